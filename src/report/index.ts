export { auditFile, auditLines, type AuditFile, type AuditFileOptions } from './audit-file.ts';
export type { NamedReceipt } from './erasures.ts';
export { renderReport } from './page/render.ts';
export { complianceReport, type ReportOptions } from './report.ts';
export type {
  CallCounts,
  ComplianceReport,
  Counts,
  DueSession,
  Finding,
  KeyAge,
  KindCounts,
  NamedCalls,
  Period,
  Periods,
  ReportedCalls,
  ReportedErasure,
  ReportedHold,
  ReportedKey,
  ReportedKeys,
  ReportedLog,
  ReportedRedactions,
  ReportedRule,
  SealedCounts,
  TimeClass,
} from './types.ts';
