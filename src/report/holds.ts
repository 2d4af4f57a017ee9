import { ancestorsOf } from '../derived-id.ts';
import type { DekStore, HoldRecord } from '../keys/dek-store.ts';
import type { SessionSummary } from '../session-contract.ts';
import type { ReportedHold } from './types.ts';

/** The holds of all places, each once: a wrapped session has one in every place of its keys. */
export async function listHolds(stores: readonly DekStore[]): Promise<readonly HoldRecord[]> {
  const found = new Map<string, HoldRecord>();
  for (const store of stores) {
    for (const hold of (await store.holds?.list()) ?? []) {
      const before = found.get(hold.id);
      // One that was released in one place only still keeps what is in the other.
      if (before === undefined || (before.releasedAt !== undefined && hold.releasedAt === undefined)) {
        found.set(hold.id, hold);
      }
    }
  }
  return [...found.values()].toSorted((one, other) => one.placedAt - other.placedAt);
}

/** Counts what holds keep. */
export interface HoldCount {
  add(summary: SessionSummary, items: number): void;
  result(): ReportedHold[];
}

export function countHolds(holds: readonly HoldRecord[]): HoldCount {
  const kept = new Map(holds.map(({ sessionId }) => [sessionId, { sessions: 0, items: 0 }]));
  return {
    add({ id }, items) {
      for (const each of [id, ...ancestorsOf(id)]) {
        const counts = kept.get(each);
        if (counts === undefined) continue;
        counts.sessions++;
        counts.items += items;
      }
    },
    result: () =>
      holds.map((hold) => ({ ...hold, ...(kept.get(hold.sessionId) ?? { sessions: 0, items: 0 }) })),
  };
}
