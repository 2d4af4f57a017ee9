import { defined } from '../../defined.ts';
import type { SessionSummary } from '../../session-contract.ts';
import type { StoreDriver } from '../driver.ts';
import type { IndexEntries } from './index-entries.ts';
import type { RedisParts } from './parts.ts';
import { unlessLost } from './refusals.ts';
import { STATS } from './scripts.ts';

/** Sessions with items, in the order of their ids. */
export function redisSummaries(
  { commands, keysOf, lists: { onList } }: RedisParts,
  { ids, subjectKey }: IndexEntries,
): StoreDriver['summaries'] {
  async function summary(id: string, subject: string): Promise<SessionSummary | undefined> {
    const { meta } = keysOf(id);
    const answer = await onList(id, ({ list, items }) =>
      commands.script(STATS, [items, meta], [list, subject], true),
    );
    const [count, bytes, first, last, owner] = answer as [number, number, Buffer, Buffer, Buffer];
    if (count === 0) return undefined;
    const times = { firstAt: Number(first), lastAt: Number(last) };
    return defined({ id, items: count, bytes, ...times, subject: owner.toString() || undefined });
  }

  return async (after, count, subject) => {
    const key = subject === undefined ? ids : subjectKey(subject);
    const found: SessionSummary[] = [];
    let start = after === undefined ? '-' : `(${after}`;
    for (;;) {
      const range = await commands.read('ZRANGEBYLEX', key, start, '+', 'LIMIT', '0', String(count));
      const page = (range as Buffer[]).map(String);
      const summaries = await Promise.all(
        page.map((id) => unlessLost(summary(id, subject ?? ''), undefined)),
      );
      for (const each of summaries) if (each !== undefined && found.length < count) found.push(each);
      if (page.length < count || found.length === count) return found;
      start = `(${page.at(-1)}`;
    }
  };
}
