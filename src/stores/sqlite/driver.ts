import type { SQLOutputValue } from 'node:sqlite';
import type { AppendStep } from '../../layer.ts';
import { after as andThen } from '../../maybe-promise.ts';
import { inSlices } from '../../slices.ts';
import type { Batch, Change, Look, StoreDriver, StoredRecord } from '../driver.ts';
import { keyError, subjectError } from '../failure.ts';
import { firstTimes, isEarlier } from '../first-times.ts';
import { answerOf, MARKS, newMark, type CountedVersion } from '../marks.ts';
import { isPlain, keyProblem, withDid, withoutDid } from '../record.ts';
import { removes } from '../removal.ts';
import type { Connection, Row, Statements } from './connection.ts';
import { assertNotHeld, sqliteDekStore } from './dek-store.ts';
import { sqliteLeases, stands } from './leases.ts';
import { removeSession, sqlitePurge } from './purge.ts';
import { lostTurnError } from '../../session-contract.ts';

const SESSION_KEY = '(SELECT key FROM strongroom_sessions WHERE id = ?)';
const RECORD = 'head, body, wrapped, written_at, expires_at, born_at, dek';
const READ_LAST = `SELECT ${RECORD} FROM strongroom_items WHERE session = ${SESSION_KEY} ORDER BY seq DESC LIMIT ?`;
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

const INSERT = `INSERT INTO strongroom_items (session, seq, head, dek, written_at, expires_at, born_at, wrapped, body)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const INSERT_PLAIN = 'INSERT INTO strongroom_items (session, seq, written_at, body) VALUES (?, ?, ?, ?)';

/** Records of the first page: what most histories have, in one statement. */
const FIRST_PAGE = 256;
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

/** What SQLite does natively for {@link StoreDriver}. */
export function sqliteDriver(connection: Connection, operationLog: number, now: () => number): StoreDriver {
  const toRecords = createToRecords();

  const readAtOnce = (sessionId: string, count: number): Promise<StoredRecord[]> =>
    connection.read((statements) =>
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
    name: 'openSqlite',

    read: (sessionId, count) =>
      count !== undefined && count <= FIRST_PAGE
        ? readAtOnce(sessionId, count)
        : readInPages(sessionId, count ?? Number.POSITIVE_INFINITY),

    append: (batch) => connection.write((statements) => inSlices(append(statements, batch))),

    // Each in a transaction of its own: a database in this process has no round trips to save.
    appendMany: (batches) =>
      Promise.all(
        batches.map((batch) =>
          connection
            .write((statements) => inSlices(append(statements, batch)))
            .then(
              () => undefined,
              (error: unknown) => error as Error,
            ),
        ),
      ),

    change: (sessionId, look, decide, subject) => {
      let frees = false;
      return connection.write(
        (statements) => {
          const session = findSession(statements, sessionId);
          const operation =
            session === undefined || look.operation === undefined
              ? undefined
              : statements.get(
                  'SELECT digest FROM strongroom_operations WHERE session = ? AND operation = ?',
                  session,
                  look.operation,
                );
          return andThen(inSlices(lookAt(statements, session, look)), ({ rows, records }) => {
            const view = {
              records,
              ...(operation !== undefined && { operation: operation['digest'] as string }),
            };
            return andThen(decide(view), (change) => {
              if (change === undefined) return undefined;
              frees = change.drop === true || (change.remove !== 'none' && change.insert.length === 0);
              if (look.fence !== undefined && !stands(statements, look.fence)) throw lostTurnError(sessionId);
              if (removes(change, view, look.records === 'all')) assertNotHeld(statements, sessionId);
              return inSlices(
                change.drop
                  ? drop(statements, sessionId, now())
                  : apply(statements, { sessionId, rows, records, change, operationLog, subject }),
              );
            });
          });
        },
        () => frees,
      );
    },

    version: (sessionId, since) =>
      connection.read(({ get }) => {
        const row = get(
          `SELECT generation, (SELECT max(seq) FROM strongroom_items WHERE session = s.key) AS last
           FROM strongroom_sessions s WHERE id = ?`,
          sessionId,
        );
        const last = (row?.['last'] as number | null | undefined) ?? -1;
        return answerOf(
          { generation: (row?.['generation'] as number | undefined) ?? 0, end: last + 1 },
          after,
          since,
        );
      }),

    applied: (sessionId, operationKey) =>
      connection.read(
        ({ get }) =>
          get(
            `SELECT 1 FROM strongroom_operations WHERE session = ${SESSION_KEY} AND operation = ?`,
            sessionId,
            operationKey,
          ) !== undefined,
      ),

    dekStore: sqliteDekStore(connection, now),

    summaries: (after, count, subject) =>
      connection.read(({ all }) =>
        all(
          `SELECT s.id, s.subject, count(*) AS items, min(i.written_at) AS first_at, max(i.written_at) AS last_at,
             sum(octet_length(i.body) + ifnull(octet_length(i.head), 0) + ifnull(octet_length(i.wrapped), 0)) AS bytes
           FROM (SELECT key, id, subject FROM strongroom_sessions s WHERE id > ?1 AND (?3 IS NULL OR subject = ?3) AND EXISTS
                  (SELECT 1 FROM strongroom_items WHERE session = s.key) ORDER BY id LIMIT ?2) s
           JOIN strongroom_items i ON i.session = s.key GROUP BY s.key ORDER BY s.id`,
          after ?? '',
          count,
          subject ?? null,
        ).map((row) => ({
          id: row['id'] as string,
          items: row['items'] as number,
          bytes: row['bytes'] as number,
          firstAt: row['first_at'] as number,
          lastAt: row['last_at'] as number,
          ...(row['subject'] !== null && { subject: row['subject'] as string }),
        })),
      ),

    ...sqlitePurge(connection),

    leases: sqliteLeases(connection),

    deleteSession: (sessionId) =>
      connection.write(
        (statements) => inSlices(drop(statements, sessionId, now())),
        () => true,
      ),

    ping: () => connection.read(({ get }) => void get('SELECT 1')),
    close: () => connection.close(),
  };
}

function findSession({ get }: Statements, sessionId: string): number | undefined {
  return get('SELECT key FROM strongroom_sessions WHERE id = ?', sessionId)?.['key'] as number | undefined;
}

function generationOf({ get }: Statements, sessionId: string): unknown {
  return get('SELECT generation FROM strongroom_sessions WHERE id = ?', sessionId)?.['generation'];
}

/** Everything of a session; its data keys leave tombstones. */
function* drop(statements: Statements, sessionId: string, now: number): Generator<void, void> {
  assertNotHeld(statements, sessionId);
  const session = findSession(statements, sessionId);
  if (session !== undefined) {
    yield* removeItems(statements, session);
    removeSession(statements, session);
  }
  statements.run('DELETE FROM strongroom_leases WHERE name = ?', `session ${sessionId}`);
  statements.run(
    'UPDATE strongroom_deks SET wrapped = NULL, destroyed_at = ? WHERE session = ? AND wrapped IS NOT NULL',
    now,
    sessionId,
  );
}

/** All items of a session, a page at a time. */
function* removeItems({ run }: Statements, session: number): Generator<void, void> {
  const sql =
    'DELETE FROM strongroom_items WHERE key IN (SELECT key FROM strongroom_items WHERE session = ? LIMIT ?)';
  while (run(sql, session, FIRST_PAGE) === FIRST_PAGE) yield;
}

/** Tells that something else than an append happened. */
function touch({ run }: Statements, key: number): void {
  run(
    `UPDATE strongroom_sessions SET generation = (generation + ?) % ${MARKS} WHERE key = ?`,
    newMark(),
    key,
  );
}

/**
 * An append leaves a gap of random size between the numbers of its items and those before, so that the number of the last
 * item is the sum of all marks, and the version moves on without another row to be written.
 */
function gapOf(mark: number, end: number): number {
  // Numbers of items are exact up to 2^53.
  return mark % (end < 2 ** 52 ? 2 ** 32 : 2 ** 16);
}

/** The version after an append. The one that makes the session gives it its generation, and leaves no gap. */
function after({ generation, end }: CountedVersion, { mark, records }: AppendStep): CountedVersion {
  if (generation === 0) return { generation: mark, end: records };
  return { generation, end: end + gapOf(mark, end) + records };
}

interface SessionEnd {
  readonly session: number;
  readonly generation: number;
  readonly nextSeq: number;
}

/**
 * The session, made if it is missing, and the number of its next item: nobody else writes during the transaction, so
 * that it need not be kept anywhere.
 *
 * @param coming What is about to be inserted.
 * @param generation Of a session that is made.
 */
function endOf(
  { get, run }: Statements,
  sessionId: string,
  subject: string | undefined,
  coming: readonly StoredRecord[],
  generation: number,
): SessionEnd {
  const first = firstTimes(coming);
  const found = get(
    `SELECT key, subject, generation, first_expiry_at, first_birth_at,
       (SELECT max(seq) FROM strongroom_items WHERE session = s.key) AS last
     FROM strongroom_sessions s WHERE id = ?`,
    sessionId,
  );
  if (found !== undefined) {
    const session = found['key'] as number;
    const expiry = found['first_expiry_at'] as number | null;
    const birth = found['first_birth_at'] as number | null;
    if (isEarlier(first.expiry, expiry) || isEarlier(first.birth, birth)) {
      run(
        'UPDATE strongroom_sessions SET first_expiry_at = ?, first_birth_at = ? WHERE key = ?',
        isEarlier(first.expiry, expiry) ? first.expiry : expiry,
        isEarlier(first.birth, birth) ? first.birth : birth,
        session,
      );
    }
    const owner = found['subject'];
    if (subject !== undefined && owner === null) {
      run('UPDATE strongroom_sessions SET subject = ? WHERE key = ?', subject, session);
    } else if (subject !== undefined && owner !== subject) {
      throw subjectError(sessionId);
    }
    const last = (found['last'] as number | null) ?? -1;
    return { session, generation: found['generation'] as number, nextSeq: last + 1 };
  }
  const made = get(
    `INSERT INTO strongroom_sessions (id, subject, generation, first_expiry_at, first_birth_at)
     VALUES (?, ?, ?, ?, ?) RETURNING key`,
    sessionId,
    subject ?? null,
    generation,
    first.expiry,
    first.birth,
  ) as Row;
  return { session: made['key'] as number, generation, nextSeq: 0 };
}

function* append(
  statements: Statements,
  { sessionId, records, subject, mark }: Batch,
  stored?: ReadonlySet<StoredRecord>,
): Generator<void, void> {
  const { session, generation, nextSeq } = endOf(statements, sessionId, subject, records, mark);
  const gap = generation === mark ? 0 : gapOf(mark, nextSeq);
  yield* insert(statements, sessionId, session, nextSeq + gap, records, stored);
}

/** @param stored Records that were in this history already: their data key may be destroyed. */
function* insert(
  statements: Statements,
  sessionId: string,
  key: number,
  firstSeq: number,
  records: readonly StoredRecord[],
  stored?: ReadonlySet<StoredRecord>,
): Generator<void, void> {
  const deks = new Map<string, Row | undefined>();
  for (const [index, record] of records.entries()) {
    if (index % 16 === 15) yield;
    if (isPlain(record)) {
      statements.run(INSERT_PLAIN, key, firstSeq + index, record.writtenAt, record.body);
      continue;
    }
    const dek = dekOf(statements, sessionId, record, deks);
    const problem = keyProblem(record, dek && { destroyed: dek['wrapped'] === null });
    if (problem !== undefined && !stored?.has(record)) throw keyError(sessionId, problem);
    statements.run(
      INSERT,
      key,
      firstSeq + index,
      record.did !== null && dek === undefined ? withDid(record) : record.head,
      dek?.['key'] ?? null,
      record.writtenAt,
      record.expiresAt,
      record.bornAt,
      record.wrapped,
      record.body,
    );
  }
}

/**
 * The record's data key, `undefined` when it is not in this database's table (inline, or in a `DekStore`
 * elsewhere).
 */
function dekOf(
  { get }: Statements,
  sessionId: string,
  { did, wrapped }: StoredRecord,
  known: Map<string, Row | undefined>,
): Row | undefined {
  if (did === null || wrapped !== null) return undefined;
  if (!known.has(did)) {
    const sql = 'SELECT key, wrapped FROM strongroom_deks WHERE session = ? AND did = ?';
    known.set(did, get(sql, sessionId, did));
  }
  return known.get(did);
}

/** A row of {@link RECORD}. */
type Tuple = readonly SQLOutputValue[];

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

function seqOf(row: Tuple | undefined): number {
  return row?.[7] as number;
}

interface Application {
  readonly sessionId: string;
  /** What the change was decided on, as the database has it, … */
  readonly rows: readonly Tuple[];
  /** … and as `decide` saw it. */
  readonly records: readonly StoredRecord[];
  readonly change: Change;
  readonly operationLog: number;
  readonly subject: string | undefined;
}

function* apply(statements: Statements, application: Application): Generator<void, void> {
  const { sessionId, rows, change, operationLog, subject } = application;
  const stored = new Set(application.records);
  const { run, get } = statements;
  const { remove } = change;
  const mark = change.mark ?? newMark();
  const { session: key } = endOf(statements, sessionId, subject, change.insert, mark);
  let firstSeq: number | undefined;
  if (remove === 'all') {
    yield* removeItems(statements, key);
  } else if (remove !== 'none' && remove.count > 0) {
    const last = seqOf(rows[remove.start + remove.count - 1]);
    for (let index = remove.start; index < remove.start + remove.count; index += FIRST_PAGE) {
      if (index > remove.start) yield;
      const end = Math.min(index + FIRST_PAGE, remove.start + remove.count) - 1;
      const sql = 'DELETE FROM strongroom_items WHERE session = ? AND seq BETWEEN ? AND ?';
      run(sql, key, seqOf(rows[index]), seqOf(rows[end]));
    }
    // What replaces records inside the history takes the numbers that end with theirs. They suffice, or the records
    // were the first ones: numbers can be negative.
    const after = get('SELECT 1 FROM strongroom_items WHERE session = ? AND seq > ? LIMIT 1', key, last);
    if (after !== undefined) firstSeq = last - change.insert.length + 1;
  }
  if (change.insert.length > 0) {
    if (firstSeq === undefined)
      yield* append(statements, { sessionId, records: change.insert, mark }, stored);
    else yield* insert(statements, sessionId, key, firstSeq, change.insert, stored);
  }
  if (change.archive !== undefined) {
    yield* append(statements, { ...change.archive, mark: newMark() });
  }
  if (change.forgetOperations) run('DELETE FROM strongroom_operations WHERE session = ?', key);
  if (change.operation !== undefined) {
    run(
      `INSERT INTO strongroom_operations (session, operation, digest, number)
       SELECT ?1, ?2, ?3, ifnull(max(number), 0) + 1 FROM strongroom_operations WHERE session = ?1`,
      key,
      change.operation.key,
      change.operation.digest,
    );
    run(
      `DELETE FROM strongroom_operations WHERE session = ?1 AND number <=
         (SELECT max(number) FROM strongroom_operations WHERE session = ?1) - ?2`,
      key,
      operationLog,
    );
  }
  if (remove !== 'none') touch(statements, key);
}
