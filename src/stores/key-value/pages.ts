import type { KeyRange, KeyValue, KeyValueDriver } from './database.ts';
import { after, decodeJson } from './layout.ts';

const PAGE = 200;

/** The pairs of the range, read in pages: each page is a consistent snapshot, all together are not. */
export async function* pairsOf(
  database: Pick<KeyValueDriver, 'list'>,
  range: KeyRange,
): AsyncGenerator<KeyValue> {
  for (let rest = range; ;) {
    const page = await database.list({ ...rest, limit: PAGE });
    yield* page;
    const [last] = page.at(-1) ?? [];
    if (last === undefined || page.length < PAGE) return;
    rest = after(rest, last);
  }
}

/** The ids of sessions that are under the range. */
export async function idsIn(database: Pick<KeyValueDriver, 'list'>, range: KeyRange): Promise<string[]> {
  const ids: string[] = [];
  for await (const [, value] of pairsOf(database, range)) ids.push(decodeJson(value) as string);
  return ids;
}
