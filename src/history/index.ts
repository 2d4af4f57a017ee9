export {
  archiveHistory,
  archiveOf,
  type ArchiveHistoryOptions,
  type ArchiveReport,
} from './archive-history.ts';
export {
  scaleFromUsage,
  tokenEstimate,
  type TokenEstimateOptions,
  type UsageSample,
} from './calibrated-estimate.ts';
export {
  branches,
  type BranchComparison,
  type Branches,
  type BranchInfo,
  type BranchPoint,
  type BranchStore,
  type CreateBranchOptions,
  type DeleteBranchOptions,
} from './branches.ts';
export { derivedId, parseDerivedId, type DerivedId } from '../derived-id.ts';
export { composeFilters } from './compose-filters.ts';
export { dropOrphans } from './drop-orphans.ts';
export type { MediaCosts } from './item-cost.ts';
export { limitImages, type LimitImagesOptions } from './limit-images.ts';
export { o200kTokenCounter } from './o200k.ts';
export type { HistorySize } from './plan/size.ts';
export { page, type HistoryPage, type ItemDetails, type PageOptions } from './page.ts';
export { planTrim } from './plan-trim.ts';
export {
  repairHistory,
  type RepairedItem,
  type RepairHistoryOptions,
  type RepairReason,
  type RepairReport,
} from './repair-history.ts';
export { rewindTo, undoTurn, type RewindReport, type RewindTarget } from './rewind.ts';
export { parseSessionId, sessionId, subjectOf } from './session-id.ts';
export { sessionStats, type SessionStats } from './session-stats.ts';
export { estimateTokens, type TokenCounter } from './token-counter.ts';
export {
  trimHistory,
  type DroppedItem,
  type DropReason,
  type TrimHistoryOptions,
  type TrimPlan,
  type TrimReport,
} from './trim-history.ts';
export {
  summarizeHistory,
  type HistoryLimit,
  type SummarizeHistoryOptions,
  type SummaryInput,
  type SummaryReport,
} from './summarize-history.ts';
export { clearToolOutputs, type ClearedOutput, type ClearToolOutputsOptions } from './tool-outputs.ts';
export { turns, type Turn } from './turns.ts';
export {
  recordUsage,
  sessionUsage,
  subjectUsage,
  usageByTurn,
  type PriceOf,
  type RunWithUsage,
  type SessionUsage,
  type SubjectStore,
  type TokenUsage,
  type TurnUsage,
  type UsageOptions,
  type UsageReportOptions,
  type UsageStore,
  type UsageSum,
} from './usage.ts';
