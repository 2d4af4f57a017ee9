import { defined } from '../../defined.ts';
import type { SessionSummary } from '../../session-contract.ts';
import type { StoreDriver } from '../driver.ts';
import type { Database } from './checked.ts';
import { decodeElement } from './element.ts';
import { after, decodeJson, keyOf, rangeOf } from './layout.ts';
import { sessionKeyOf, type SessionRow } from './session-row.ts';

/** Sessions with items, in the order of their keys. */
export function keyValueSummaries(database: Database): StoreDriver['summaries'] {
  /** Rows of the page, with the key of the last entry. */
  async function page(
    from: string | undefined,
    count: number,
    subject: string | undefined,
  ): Promise<{ readonly rows: readonly SessionRow[]; readonly next: string | undefined }> {
    const whole = subject === undefined ? rangeOf('session') : rangeOf('subject', subject);
    const range = from === undefined ? whole : after(whole, from);
    const pairs = await database.list({ ...range, limit: count });
    const values = pairs.map(([, value]) => value);
    const found =
      subject === undefined
        ? values
        : await database.get(values.map((value) => sessionKeyOf(decodeJson(value) as string)));
    const rows = found.flatMap((value) => (value === undefined ? [] : [decodeJson(value) as SessionRow]));
    return { rows, next: pairs.length < count ? undefined : pairs.at(-1)?.[0] };
  }

  async function summary({ id, items, bytes, subject }: SessionRow): Promise<SessionSummary | undefined> {
    const range = { ...rangeOf('item', id), limit: 1 };
    const [[first], [last]] = await Promise.all([
      database.list(range),
      database.list({ ...range, reverse: true }),
    ]);
    // Emptied since its row was read.
    if (first === undefined || last === undefined) return undefined;
    const firstAt = decodeElement(first[1]).writtenAt;
    const lastAt = decodeElement(last[1]).writtenAt;
    return defined({ id, items, bytes, firstAt, lastAt, subject: subject ?? undefined });
  }

  return async (afterId, count, subject) => {
    const found: SessionSummary[] = [];
    let from =
      afterId === undefined
        ? undefined
        : subject === undefined
          ? sessionKeyOf(afterId)
          : keyOf('subject', subject, afterId);
    for (;;) {
      const { rows, next } = await page(from, count - found.length, subject);
      const summaries = await Promise.all(rows.filter(({ items }) => items > 0).map(summary));
      for (const each of summaries) if (each !== undefined) found.push(each);
      if (next === undefined || found.length === count) return found;
      from = next;
    }
  };
}
