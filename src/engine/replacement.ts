import type { AgentInputItem } from '@openai/agents';
import type { Entry } from '../layer.ts';
import type { Comparison } from './comparison.ts';
import type { Opened } from './records.ts';

/** How a list of items replaces records: which entries are written, and where old records stay. */
export interface Replacement {
  /** Entries to write. */
  readonly fresh: readonly Entry[];
  /** The records of the replacement, given those of the fresh entries in their order. */
  records(written: readonly AgentInputItem[]): AgentInputItem[];
  /** How many records at the start stay as they are. */
  readonly kept: number;
}

/**
 * Items at the start that exactly equal the visible or stored ones keep their raw records. From the first change on
 * everything is sealed again, an item that equals a replaced one with its old stamps: a cache in another process
 * checks one record at the end, and a record with the same bytes must mean that nothing before it has changed.
 *
 * @param going - The visible records that are replaced.
 */
export async function planReplacement(
  comparison: Comparison,
  replacement: readonly AgentInputItem[],
  going: readonly Opened[],
): Promise<Replacement> {
  const change = replacement.findIndex((item, index) => {
    const record = going[index];
    return record === undefined || !comparison.isExactly(item, record);
  });
  const kept = change < 0 ? replacement.length : change;
  return {
    kept,
    fresh: await comparison.restored(comparison.entriesOf(replacement.slice(kept)), going.slice(kept)),
    records: (written) => [...going.slice(0, kept).map((record) => record.stored), ...written],
  };
}
