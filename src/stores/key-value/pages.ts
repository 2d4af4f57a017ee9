import type { Database } from './checked.ts';
import type { KeyRange, KeyValue } from './database.ts';
import { after } from './layout.ts';

const PAGE = 200;

/** What is under the range, read in pages: each is of one moment, all together are not. */
export async function* pairsOf(database: Database, range: KeyRange): AsyncGenerator<KeyValue> {
  for (let rest = range; ;) {
    const page = await database.list({ ...rest, limit: PAGE });
    yield* page;
    const [last] = page.at(-1) ?? [];
    if (last === undefined || page.length < PAGE) return;
    rest = after(rest, last);
  }
}
