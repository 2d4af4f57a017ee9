import type { AgentInputItem } from '@openai/agents';
import type { Outputs, Range } from './outputs.ts';
import type { Leaf } from './plan.ts';
import { formatPath } from './report-path.ts';
import type { RedactedItem, RedactionFinding, UnsearchedText } from './redacted-item.ts';

/** The progress of the redaction of an item. */
export interface Progress {
  readonly original: AgentInputItem;
  readonly mayBlock: boolean;
  readonly findings: RedactionFinding[];
  readonly unsearched: UnsearchedText[];
  readonly tokens: Map<string, string>;
  /** Object keys in which something was found: paths do not show them. */
  readonly foundKeys: Set<string>;
  /** Outputs of custom operators in earlier rounds, and in this one. */
  outputs: Outputs;
  nextOutputs: Map<string, readonly Range[]>;
  round: number;
}

export const beginProgress = (original: AgentInputItem, mayBlock: boolean): Progress => ({
  original,
  mayBlock,
  findings: [],
  unsearched: [],
  tokens: new Map(),
  foundKeys: new Set(),
  outputs: new Map(),
  nextOutputs: new Map(),
  round: 0,
});

export const resultOf = (item: AgentInputItem, { findings, unsearched, tokens }: Progress): RedactedItem => ({
  item,
  findings,
  unsearched,
  tokens,
});

export function noteUnsearched(
  reason: UnsearchedText['reason'],
  leaf: Leaf,
  length: number,
  progress: Progress,
): void {
  if (progress.round > 0) return;
  const { itemType } = leaf.context;
  progress.unsearched.push({ reason, path: reportPath(leaf, progress), itemType, length });
}

/** The path of a text for reports. */
export function reportPath({ path }: Leaf, { foundKeys }: Progress): string {
  return formatPath(path, foundKeys);
}
