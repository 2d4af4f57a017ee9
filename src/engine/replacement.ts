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
 * An item that equals one of those that go keeps its raw record with its stamps. But for the last one, when anything
 * before it changes: a cache in another process looks at the end, and the same bytes there would tell it that
 * nothing has happened. That item is sealed anew under its old stamps.
 *
 * @param going - The visible records that `replacement` takes the place of, as `expected` in plaintext.
 */
export function planReplacement(
  comparison: Comparison,
  replacement: readonly AgentInputItem[],
  expected: readonly AgentInputItem[],
  going: readonly Opened[],
): Replacement {
  const reused = comparison.reuse(replacement, expected);
  const last = going.at(-1)?.bottom;
  const endStays = last !== undefined && comparison.endStays(replacement, expected);
  return {
    fresh: replacement.flatMap((item, index) => {
      if (reused[index] !== undefined) return [];
      const isEnd = endStays && index === replacement.length - 1;
      return isEnd ? comparison.restamped([last]) : [{ item, header: {} }];
    }),
    records(written) {
      const next = written.values();
      return reused.map((at) =>
        at === undefined ? (next.next().value as AgentInputItem) : (going[at] as Opened).stored,
      );
    },
  };
}
