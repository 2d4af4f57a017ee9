import { isBranch, rootOf } from '../../derived-id.ts';
import type { SessionSummary } from '../../session-contract.ts';
import { isExpired } from '../../stores/first-times.ts';
import type { Maintenance } from '../../stores/maintenance.ts';

/** The state that a purge would make, for a dry run. */
export interface AfterPurge {
  /** What it would delete. */
  readonly expired: { readonly items: number; readonly sessions: number };
  /** The session after it; `undefined` when it would have no items. */
  summary(summary: SessionSummary): Promise<SessionSummary | undefined>;
}

/**
 * @param writtenBefore Records of this time or before are expired, whatever their stamps say.
 */
export async function afterPurge(
  maintenance: Maintenance,
  writtenBefore: number | undefined,
): Promise<AfterPurge> {
  const rule = { now: maintenance.now(), writtenBefore };
  const found = await maintenance.expired(writtenBefore, rule.now);
  const own = new Map(found.map(({ id, items }) => [id, items]));
  // A purge takes records that branches share from all of them.
  const shared = new Set(maintenance.shares ? found.map(({ id }) => rootOf(id)) : []);
  const known = new Map<string, SessionSummary | undefined>();

  async function look(summary: SessionSummary): Promise<SessionSummary | undefined> {
    const { id } = summary;
    const records = await maintenance.records(id);
    const expired = records.filter((record) => isExpired(record, rule));
    // Those of its own are the last ones.
    const going = new Set(expired.slice(expired.length - Math.min(own.get(id) ?? 0, expired.length)));
    if (!(await maintenance.isKept(id))) {
      for (const record of expired) if (own.has(record.origin ?? id)) going.add(record);
    }
    const times = records.filter((record) => !going.has(record)).map(({ writtenAt }) => writtenAt);
    if (times.length === 0) return undefined;
    let [firstAt, lastAt] = [Infinity, -Infinity];
    for (const time of times) [firstAt, lastAt] = [Math.min(firstAt, time), Math.max(lastAt, time)];
    return { ...summary, items: times.length, firstAt, lastAt };
  }

  return {
    expired: { items: found.reduce((sum, { items }) => sum + items, 0), sessions: found.length },
    async summary(summary) {
      const { id } = summary;
      if (!own.has(id) && !(isBranch(id) && shared.has(rootOf(id)))) return summary;
      if (!known.has(id)) known.set(id, await look(summary));
      return known.get(id);
    },
  };
}
