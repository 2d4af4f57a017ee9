import type { SQLOutputValue } from 'node:sqlite';
import type { MaybePromise } from '../../layer.ts';
import type { Look, StoreDriver, StoredRecord } from '../driver.ts';
import { withoutDid } from '../record.ts';
import type { Connection } from './connection.ts';
import type { Statements } from './statements.ts';

export const SESSION_KEY = '(SELECT key FROM strongroom_sessions WHERE id = ?)';
const RECORD = 'head, body, wrapped, written_at, expires_at, born_at, dek';
const READ_LAST = `SELECT ${RECORD} FROM strongroom_items WHERE session = ${SESSION_KEY} ORDER BY seq DESC LIMIT ?`;
const READ_PAST = `${READ_LAST} OFFSET ?`;
/** Each statement sees one moment, so every page says which generation of the history it is of. */
const PAGE_ROW = `${RECORD}, seq, (SELECT generation FROM strongroom_sessions WHERE id = ?1)`;
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

/** Records of the first page: what most histories have, in one statement. */
export const FIRST_PAGE = 256;
/** Of any later one. */
const MOST_A_PAGE = 1_024;
/** Bytes that a page should have. */
const PAGE_BYTES = 1_048_576;
/** How often a read in pages begins anew. One that never ends it would starve; then it is made in one statement. */
const ATTEMPTS = 4;

/** As many records as make a page of the usual size, if they are as long as these. */
function nextSize(page: readonly Tuple[]): number {
  const bytes = page.reduce((sum, row) => sum + (row[1] as string | Uint8Array).length, 1);
  return Math.min(Math.max(Math.floor((PAGE_BYTES * page.length) / bytes), 1), MOST_A_PAGE);
}

/** Reads histories, long ones in pages. */
export function sqliteReading(connection: Connection): {
  readonly read: StoreDriver['read'];
  readonly lookAt: (
    statements: Statements,
    session: number | undefined,
    look: Look,
  ) => Generator<void, { readonly rows: Tuple[]; readonly records: StoredRecord[] }>;
} {
  const toRecords = createToRecords();

  const readAtOnce = (sessionId: string, count: number): MaybePromise<StoredRecord[]> =>
    connection.readNow((statements) =>
      toRecords(statements.tuples(READ_LAST, sessionId, count).reverse(), statements),
    );

  /**
   * From the end backwards, each page a call of its own, so that others come in between. Appends put nothing before a
   * page, and any other change gives the history another generation: then all of it is read again.
   */
  async function readInPages(sessionId: string, count: number): Promise<StoredRecord[]> {
    // Most histories end here: the columns that pages need besides cost such a read a fifth.
    const short = await readAtOnce(sessionId, FIRST_PAGE + 1);
    if (short.length <= FIRST_PAGE) return short;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const pages: StoredRecord[][] = [];
      let generation: unknown;
      let before: number | undefined;
      let left = count;
      for (let size = FIRST_PAGE; ;) {
        const asked = Math.min(size, left);
        const page = await connection.read((statements) => {
          const rows =
            before === undefined
              ? statements.tuples(LAST_PAGE, sessionId, asked)
              : statements.tuples(PAGE_BEFORE, sessionId, asked, before);
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
    return readAtOnce(sessionId, count === Number.POSITIVE_INFINITY ? -1 : count);
  }

  /** What a change needs to see. The transaction is open, so that it is of one moment in any number of pages. */
  function* lookAt(
    statements: Statements,
    session: number | undefined,
    { records: count, from = 'end' }: Look,
  ): Generator<void, { readonly rows: Tuple[]; readonly records: StoredRecord[] }> {
    const rows: Tuple[] = [];
    const records: StoredRecord[] = [];
    if (session === undefined) return { rows, records };
    let left = count === 'all' ? Number.POSITIVE_INFINITY : count;
    let size = FIRST_PAGE;
    while (left > 0) {
      const asked = Math.min(size, left);
      const page =
        rows.length === 0
          ? statements.tuples(LOOK_AT[from], session, asked)
          : statements.tuples(LOOK_BEYOND[from], session, asked, seqOf(rows.at(-1)));
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
      if (count === undefined || count > FIRST_PAGE) {
        const all = count === undefined ? Number.POSITIVE_INFINITY : count + skip;
        const records = await readInPages(sessionId, all);
        return skip === 0 ? records : records.slice(0, Math.max(records.length - skip, 0));
      }
      if (skip === 0) return await readAtOnce(sessionId, count);
      return await connection.read((statements) =>
        toRecords(statements.tuples(READ_PAST, sessionId, count, skip).reverse(), statements),
      );
    },
    lookAt,
  };
}

function generationOf({ get }: Statements, sessionId: string): unknown {
  return get('SELECT generation FROM strongroom_sessions WHERE id = ?', sessionId)?.['generation'];
}

/** A row of {@link RECORD}. */
export type Tuple = readonly SQLOutputValue[];

/** How many ids of data keys are remembered. */
const MOST_DIDS = 1_000;

/**
 * The ids of data keys are remembered by their numbers, because a join takes a third of a read, until another connection
 * changes the database: SQLite gives the number of a row that was deleted to another one.
 */
function createToRecords(): (rows: readonly Tuple[], statements: Statements) => StoredRecord[] {
  const dids = new Map<number, string>();
  let version: unknown;

  function didOf(key: number, { get }: Statements): string | null {
    let did = dids.get(key);
    if (did === undefined) {
      const found = get('SELECT did FROM strongroom_deks WHERE key = ?', key);
      if (found === undefined) return null;
      did = found['did'] as string;
      if (dids.size === MOST_DIDS) dids.clear();
      dids.set(key, did);
    }
    return did;
  }

  function toRecord(row: Tuple, statements: Statements): StoredRecord {
    const did = row[6] === null ? null : didOf(row[6] as number, statements);
    return {
      ...withoutDid(row[0] as string | null, did),
      body: row[1] as string | Uint8Array,
      wrapped: row[2] as string | null,
      writtenAt: row[3] as number,
      expiresAt: row[4] as number | null,
      bornAt: row[5] as number | null,
    };
  }

  return (rows, statements) => {
    if (rows.some((row) => row[6] !== null)) {
      const now = statements.get('PRAGMA data_version')?.['data_version'];
      if (now !== version) dids.clear();
      version = now;
    }
    return rows.map((row) => toRecord(row, statements));
  };
}

export function seqOf(row: Tuple | undefined): number {
  return row?.[7] as number;
}
