import { isBranch } from '../../derived-id.ts';
import type { MaybePromise } from '../../layer.ts';
import type { Look, StoreDriver, StoredRecord } from '../driver.ts';
import type { Connection } from './connection.ts';
import { createReadForwards } from './forwards.ts';
import {
  ATTEMPTS,
  createToRecords,
  FIRST_PAGE,
  generationOf,
  nextSize,
  PAGE_ROW,
  RECORD,
  seqOf,
  SESSION_KEY,
  type Tuple,
} from './pages.ts';
import { onOneState, sharedRows, type Extent } from './shared-reading.ts';
import type { Statements } from './statements.ts';

const READ_LAST = `SELECT ${RECORD} FROM strongroom_items WHERE session = ${SESSION_KEY} ORDER BY seq DESC LIMIT ?`;
const READ_PAST = `${READ_LAST} OFFSET ?`;
const LAST_PAGE = `SELECT ${PAGE_ROW} FROM strongroom_items WHERE session = (SELECT key FROM strongroom_sessions WHERE id = ?1)
  ORDER BY seq DESC LIMIT ?2`;
const PAGE_BEFORE = `SELECT ${PAGE_ROW} FROM strongroom_items
  WHERE session = (SELECT key FROM strongroom_sessions WHERE id = ?1) AND seq < ?3 ORDER BY seq DESC LIMIT ?2`;
const LOOK_AT = {
  start: `SELECT ${RECORD}, seq FROM strongroom_items WHERE session = ? ORDER BY seq ASC LIMIT ?`,
  end: `SELECT ${RECORD}, seq FROM strongroom_items WHERE session = ? ORDER BY seq DESC LIMIT ?`,
};

const LOOK_BEYOND = {
  start: `SELECT ${RECORD}, seq FROM strongroom_items WHERE session = ? AND seq > ?3 ORDER BY seq ASC LIMIT ?2`,
  end: `SELECT ${RECORD}, seq FROM strongroom_items WHERE session = ? AND seq < ?3 ORDER BY seq DESC LIMIT ?2`,
};

/** Reads histories, long ones in pages. */
export function sqliteReading(connection: Connection): {
  readonly read: StoreDriver['read'];
  readonly lookAt: (
    statements: Statements,
    session: number | undefined,
    look: Look,
    isShared: boolean,
  ) => Generator<void, { readonly rows: Tuple[]; readonly records: StoredRecord[] }>;
} {
  const rows = createToRecords();
  const { toRecords } = rows;
  const readForwards = createReadForwards(connection, rows);

  const readAtOnce = (sessionId: string, count: number): MaybePromise<StoredRecord[]> =>
    connection.readNow((statements) =>
      toRecords(statements.tuples(READ_LAST, sessionId, count).reverse(), statements),
    );

  const readShared = (sessionId: string, extent: Extent): Promise<StoredRecord[]> =>
    connection.read((statements) =>
      onOneState(statements, () =>
        toRecords(sharedRows(statements, keyOf(statements, sessionId), extent).reverse(), statements),
      ),
    );

  /** The next page from the end. */
  function pageBefore(
    statements: Statements,
    sessionId: string,
    asked: number,
    before: number | undefined,
  ): Tuple[] {
    if (isBranch(sessionId)) {
      const extent = { from: 'end', count: asked, beyond: before } as const;
      return onOneState(statements, () => sharedRows(statements, keyOf(statements, sessionId), extent));
    }
    return before === undefined
      ? statements.tuples(LAST_PAGE, sessionId, asked)
      : statements.tuples(PAGE_BEFORE, sessionId, asked, before);
  }

  /**
   * From the end backwards, each page a call of its own, so that others can run in between. Appends add nothing
   * before a page, and any other change gives the history another generation: then all of it is read again.
   */
  async function readInPages(sessionId: string, count: number): Promise<StoredRecord[]> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const pages: StoredRecord[][] = [];
      let generation: unknown;
      let before: number | undefined;
      let left = count;
      for (let size = FIRST_PAGE; ;) {
        const asked = Math.min(size, left);
        const page = await connection.read((statements) => {
          const rows = pageBefore(statements, sessionId, asked, before);
          const now = rows.length > 0 ? rows[0]?.[8] : generationOf(statements, sessionId);
          if (before !== undefined && now !== generation) return undefined;
          generation = now;
          before = seqOf(rows.at(-1));
          size = nextSize(rows);
          return toRecords(rows.reverse(), statements);
        });
        if (page === undefined) break;
        pages.push(page);
        left -= page.length;
        if (page.length < asked || left === 0) return pages.length === 1 ? page : pages.toReversed().flat();
      }
    }
    if (isBranch(sessionId)) return readShared(sessionId, { from: 'end', count });
    return readAtOnce(sessionId, count === Number.POSITIVE_INFINITY ? -1 : count);
  }

  /** Reads the view of a change. The transaction is open, so that all pages are one snapshot. */
  function* lookAt(
    statements: Statements,
    session: number | undefined,
    { records: count, from = 'end' }: Look,
    isShared: boolean,
  ): Generator<void, { readonly rows: Tuple[]; readonly records: StoredRecord[] }> {
    const rows: Tuple[] = [];
    const records: StoredRecord[] = [];
    if (session === undefined) return { rows, records };
    let left = count === 'all' ? Number.POSITIVE_INFINITY : count;
    let size = FIRST_PAGE;
    while (left > 0) {
      const asked = Math.min(size, left);
      const beyond = rows.length === 0 ? undefined : seqOf(rows.at(-1));
      let page: Tuple[];
      if (isShared) page = sharedRows(statements, session, { from, count: asked, beyond });
      else if (beyond === undefined) page = statements.tuples(LOOK_AT[from], session, asked);
      else page = statements.tuples(LOOK_BEYOND[from], session, asked, beyond);
      rows.push(...page);
      records.push(...toRecords(page, statements));
      if (page.length < asked) break;
      left -= asked;
      size = nextSize(page);
      yield;
    }
    if (from === 'end') {
      rows.reverse();
      records.reverse();
    }
    return { rows, records };
  }

  return {
    async read(sessionId, count, skip = 0) {
      const isShared = isBranch(sessionId);
      if (count === undefined && skip === 0 && !isShared) return await readForwards(sessionId);
      if (count === undefined || count > FIRST_PAGE) {
        const all = count === undefined ? Number.POSITIVE_INFINITY : count + skip;
        const records = await readInPages(sessionId, all);
        return skip === 0 ? records : records.slice(0, Math.max(records.length - skip, 0));
      }
      if (isShared) return await readShared(sessionId, { from: 'end', count, skip });
      if (skip === 0) return await readAtOnce(sessionId, count);
      return await connection.read((statements) =>
        toRecords(statements.tuples(READ_PAST, sessionId, count, skip).reverse(), statements),
      );
    },
    lookAt,
  };
}

function keyOf({ get }: Statements, sessionId: string): number | undefined {
  return get('SELECT key FROM strongroom_sessions WHERE id = ?', sessionId)?.['key'] as number | undefined;
}
