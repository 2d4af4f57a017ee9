import { defined } from '../../defined.ts';
import { isBranch, lineageOf } from '../../derived-id.ts';
import type { SessionSummary } from '../../session-contract.ts';
import type { StoreDriver } from '../driver.ts';
import { textOf } from './client.ts';
import type { IndexEntries } from './index-entries.ts';
import type { RedisParts } from './parts.ts';
import { unlessLost } from './refusals.ts';
import { STATS } from './scripts.ts';

/** Sessions with items, in the order of their ids. */
export function redisSummaries(
  { commands, prefix, shares, keysOf, lists: { onList } }: RedisParts,
  { ids, derived, ofSubject, subjectKey }: IndexEntries,
): StoreDriver['summaries'] {
  async function summary(id: string, wanted: string | undefined): Promise<SessionSummary | undefined> {
    const { meta } = keysOf(id);
    const answer = await onList(id, ({ list, items }) =>
      commands.script(STATS, [items, meta], [list, shares && isBranch(id) ? prefix : '', id], true),
    );
    const [count, bytes, first, last, owner] = answer as [number, number, Buffer, Buffer, Buffer];
    if (count === 0) return undefined;
    const subject = owner.length > 0 ? owner.toString() : await subjectOfRoot(id, wanted);
    if (wanted !== undefined && subject !== wanted) return undefined;
    const times = { firstAt: Number(first), lastAt: Number(last) };
    return defined({ id, items: count, bytes, ...times, subject });
  }

  /** The keys of a root may have ended before those of what belongs to it; the index of its subject still has it. */
  async function subjectOfRoot(id: string, wanted: string | undefined): Promise<string | undefined> {
    const root = lineageOf(id)?.root;
    if (root === undefined) return undefined;
    const { meta } = keysOf(root);
    const found = await commands.read('HGET', meta, 'subject');
    if (found !== null) return textOf(found);
    if (wanted === undefined || (await commands.read('EXISTS', meta)) === 1) return undefined;
    return (await commands.read('ZSCORE', subjectKey(wanted), root)) === null ? undefined : wanted;
  }

  async function page(after: string | undefined, count: number): Promise<string[]> {
    const start = after === undefined ? '-' : `(${after}`;
    const range = await commands.read('ZRANGEBYLEX', ids, start, '+', 'LIMIT', '0', String(count));
    return (range as Buffer[]).map(String);
  }

  /** Candidates for the subject, with derived sessions without a subject of their own. */
  async function allOf(subject: string): Promise<string[]> {
    const own = await ofSubject(subject);
    // Also of roots whose keys have ended.
    const roots = (await commands.read('ZRANGE', subjectKey(subject), '0', '-1')) as Buffer[];
    const trees = await Promise.all(roots.map((id) => derived(String(id))));
    return [...new Set([...own, ...trees.flat()])].toSorted((one, other) =>
      Buffer.compare(Buffer.from(one), Buffer.from(other)),
    );
  }

  return async (after, count, subject) => {
    const found: SessionSummary[] = [];
    const listed = subject === undefined ? undefined : await allOf(subject);
    const past = Buffer.from(after ?? '');
    let following = listed?.filter((id) => Buffer.compare(Buffer.from(id), past) > 0);
    for (let last = after; ;) {
      const some = following?.slice(0, count) ?? (await page(last, count));
      following = following?.slice(count);
      const summaries = await Promise.all(some.map((id) => unlessLost(summary(id, subject), undefined)));
      for (const each of summaries) if (each !== undefined && found.length < count) found.push(each);
      if (some.length < count || found.length === count) return found;
      last = some.at(-1);
    }
  };
}
