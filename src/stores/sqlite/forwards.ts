import type { StoredRecord } from '../driver.ts';
import type { Connection } from './connection.ts';
import {
  ATTEMPTS,
  FIRST_PAGE,
  generationOf,
  nextSize,
  PAGE_ROW,
  RECORD,
  seqOf,
  SESSION_KEY,
  type ToRecords,
} from './pages.ts';
import type { Statements } from './statements.ts';

const READ_ALL = `SELECT ${RECORD} FROM strongroom_items WHERE session = ${SESSION_KEY} ORDER BY seq LIMIT ?`;
const PAGE_AFTER = `SELECT ${PAGE_ROW} FROM strongroom_items
  WHERE session = (SELECT key FROM strongroom_sessions WHERE id = ?1) AND seq > ?3 ORDER BY seq LIMIT ?2`;
const PLACE = `SELECT seq, (SELECT generation FROM strongroom_sessions WHERE id = ?1) FROM strongroom_items
  WHERE session = (SELECT key FROM strongroom_sessions WHERE id = ?1) ORDER BY seq LIMIT 1 OFFSET ?2`;

/** The first page of a read of a whole history. */
interface FirstPage {
  readonly records: StoredRecord[];
  /**
   * Present if there may be more records: the number to continue after, the generation, and the size of the next
   * page.
   */
  readonly next?: { readonly after: number; readonly generation: unknown; readonly size: number };
}

/** Reads whole histories in the order of the table, which is faster than backwards. */
export function createReadForwards(
  connection: Connection,
  { toRecords, lastWrite }: ToRecords,
): (sessionId: string) => Promise<StoredRecord[]> {
  /** The oldest records, and the start of the next page if there are more. */
  function firstPage(sessionId: string, statements: Statements): FirstPage {
    const before = lastWrite();
    // Most histories end here; the additional columns of pages would make such a read a fifth slower.
    let rows = statements.tuples(READ_ALL, sessionId, FIRST_PAGE + 1);
    if (rows.length <= FIRST_PAGE) return { records: toRecords(rows, statements) };
    const [place] = statements.tuples(PLACE, sessionId, FIRST_PAGE);
    let [after, generation] = place ?? [];
    // Two statements see the same state only if no other connection wrote between them.
    if (place === undefined || lastWrite(statements) !== before) {
      rows = statements.tuples(PAGE_AFTER, sessionId, FIRST_PAGE, Number.MIN_SAFE_INTEGER);
      [after, generation] = rows.at(-1)?.slice(7) ?? [];
      if (rows.length < FIRST_PAGE) return { records: toRecords(rows, statements) };
    }
    return {
      records: toRecords(rows, statements),
      next: { after: after as number, generation, size: nextSize(rows) },
    };
  }

  /**
   * From the start, each page in a separate call, so that other calls can run in between. Records that are appended
   * meanwhile are in the last page; any other change gives the history another generation: then all of it is read
   * again.
   */
  async function readForwards(sessionId: string): Promise<StoredRecord[]> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const first = await connection.readNow((statements) => firstPage(sessionId, statements));
      if (first.next === undefined) return first.records;
      const pages = [first.records];
      const { generation } = first.next;
      let { after, size } = first.next;
      for (;;) {
        const asked = size;
        const page = await connection.read((statements) => {
          const rows = statements.tuples(PAGE_AFTER, sessionId, asked, after);
          const now = rows.length > 0 ? rows[0]?.[8] : generationOf(statements, sessionId);
          if (now !== generation) return undefined;
          if (rows.length > 0) after = seqOf(rows.at(-1));
          size = nextSize(rows);
          return toRecords(rows, statements);
        });
        if (page === undefined) break;
        pages.push(page);
        if (page.length < asked) return pages.flat();
      }
    }
    return await connection.read((statements) =>
      toRecords(statements.tuples(READ_ALL, sessionId, -1), statements),
    );
  }

  return readForwards;
}
