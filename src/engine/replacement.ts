import type { AgentInputItem } from '@openai/agents';
import type { Entry } from '../layer.ts';
import type { Comparison } from './comparison.ts';
import type { Opened } from './pipeline.ts';

/** How a list of items takes the place of records: what is written anew, and where old records stay. */
export interface Replacement {
  /** Entries to write. */
  readonly fresh: readonly Entry[];
  /** The records of the replacement, given those of the fresh entries in their order. */
  records(written: readonly AgentInputItem[]): AgentInputItem[];
}

/**
 * Items at the start that stay what they were keep their raw records. From the first change on everything is sealed
 * anew, an item that equals one that goes under its old stamps: a cache in another process looks at one record at
 * the end, and a record with the same bytes must mean that nothing before it has changed.
 *
 * @param going - The visible records that `replacement` takes the place of, as `expected` in plaintext.
 */
export function planReplacement(
  comparison: Comparison,
  replacement: readonly AgentInputItem[],
  expected: readonly AgentInputItem[],
  going: readonly Opened[],
): Replacement {
  const kept = comparison.commonStart(replacement, expected);
  const bottoms = going.slice(kept).flatMap((record) => record.bottom ?? []);
  return {
    fresh: comparison.keepStamps(comparison.entriesOf(replacement.slice(kept)), bottoms),
    records: (written) => [...going.slice(0, kept).map((record) => record.stored), ...written],
  };
}
