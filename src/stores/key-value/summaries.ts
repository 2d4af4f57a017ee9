import { defined } from '../../defined.ts';
import { lineageOf } from '../../derived-id.ts';
import type { SessionSummary } from '../../session-contract.ts';
import type { StoreDriver } from '../driver.ts';
import type { Database } from './database.ts';
import { decodeElements } from './element.ts';
import { after, decodeJson, rangeOf } from './layout.ts';
import { idsIn } from './pages.ts';
import { sessionKeyOf, type SessionRow } from './session-row.ts';

/** Sessions with items, in the order of their keys. */
export function keyValueSummaries(database: Database): StoreDriver['summaries'] {
  /** Rows of the page, with the key of the last one. */
  async function page(
    from: string | undefined,
    count: number,
  ): Promise<{ readonly rows: readonly SessionRow[]; readonly next: string | undefined }> {
    const range = from === undefined ? rangeOf('session') : after(rangeOf('session'), from);
    const pairs = await database.list({ ...range, limit: count });
    const rows = pairs.map(([, value]) => decodeJson(value) as SessionRow);
    return { rows, next: pairs.length < count ? undefined : pairs.at(-1)?.[0] };
  }

  async function rowsOf(ids: readonly string[]): Promise<SessionRow[]> {
    const values = await database.get(ids.map(sessionKeyOf));
    return values.flatMap((value) => (value === undefined ? [] : [decodeJson(value) as SessionRow]));
  }

  /** Includes derived sessions without a subject of their own. */
  async function rowsOfSubject(subject: string): Promise<SessionRow[]> {
    const own = await rowsOf(await idsIn(database, rangeOf('subject', subject)));
    const trees = await Promise.all(own.map(async ({ id }) => idsIn(database, rangeOf('tree', id))));
    const derived = await rowsOf(trees.flat());
    const found = [...own, ...derived.filter((row) => row.subject === null)];
    return found.toSorted((one, other) => (sessionKeyOf(one.id) < sessionKeyOf(other.id) ? -1 : 1));
  }

  async function subjectOf({ id, subject }: SessionRow): Promise<string | null> {
    const lineage = lineageOf(id);
    if (subject !== null || lineage === undefined) return subject;
    const [root] = await rowsOf([lineage.root]);
    return root?.subject ?? null;
  }

  async function summary(row: SessionRow): Promise<SessionSummary | undefined> {
    const { id, items, bytes } = row;
    const [pairs, subject] = await Promise.all([database.list(rangeOf('item', id)), subjectOf(row)]);
    // Emptied since its row was read.
    if (pairs.length === 0) return undefined;
    // Wherever they stand: a summary is newer than what follows it.
    let [firstAt, lastAt] = [Infinity, -Infinity];
    for (const { writtenAt } of await decodeElements(pairs)) {
      firstAt = Math.min(firstAt, writtenAt);
      lastAt = Math.max(lastAt, writtenAt);
    }
    return defined({ id, items, bytes, firstAt, lastAt, subject: subject ?? undefined });
  }

  async function summariesOf(rows: readonly SessionRow[]): Promise<SessionSummary[]> {
    const found = await Promise.all(rows.filter(({ items }) => items > 0).map(summary));
    return found.filter((each) => each !== undefined);
  }

  return async (afterId, count, subject) => {
    const found: SessionSummary[] = [];
    if (subject !== undefined) {
      const rows = await rowsOfSubject(subject);
      const past = afterId === undefined ? '' : sessionKeyOf(afterId);
      const following = rows.filter(({ id }) => sessionKeyOf(id) > past);
      for (let start = 0; start < following.length && found.length < count; start += count) {
        found.push(...(await summariesOf(following.slice(start, start + count))));
      }
      return found.slice(0, count);
    }
    let from = afterId === undefined ? undefined : sessionKeyOf(afterId);
    for (;;) {
      const { rows, next } = await page(from, count - found.length);
      found.push(...(await summariesOf(rows)));
      if (next === undefined || found.length === count) return found;
      from = next;
    }
  };
}
