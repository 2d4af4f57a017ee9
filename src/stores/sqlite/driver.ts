import { isBranch, lineageOf } from '../../derived-id.ts';
import { sqliteCheckup } from './checkup.ts';
import type { AppendStep } from '../../layer.ts';
import { takenError } from '../../keys/data-keys/key-row.ts';
import type { DekRecord } from '../../keys/dek-store.ts';
import { after as andThen } from '../../maybe-promise.ts';
import { lostTurnError } from '../../session-contract.ts';
import { inSlices } from '../../slices.ts';
import { appendEach } from '../append-each.ts';
import type { Batch, Change, Claim, Share, StoreDriver, StoredRecord } from '../driver.ts';
import { keyError, notEmptyError, subjectError } from '../failure.ts';
import { firstTimes, isEarlier } from '../first-times.ts';
import { answerOf, MARKS, newMark, type CountedVersion } from '../marks.ts';
import { isPlain, keyProblem, withDid } from '../record.ts';
import { leavesNothing, removes } from '../removal.ts';
import type { Connection } from './connection.ts';
import { insertDek, sqliteDekStore } from './dek-store.ts';
import { assertNotHeld, derivedHolds, openHold } from './holds.ts';
import { sqliteLeases, stands } from './leases.ts';
import { removeSession, sqlitePurge } from './purge.ts';
import { FIRST_PAGE, seqOf, SESSION_KEY, type Tuple } from './pages.ts';
import { sqliteReading } from './reading.ts';
import { sharedLength, sharedRows } from './shared-reading.ts';
import { beginningOf, boundParts, forgetBeginning, leave, share, shorten, takeOver } from './shares.ts';
import type { Row, Statements } from './statements.ts';
import { sqliteSummaries } from './summaries.ts';

const INSERT = `INSERT INTO strongroom_items (session, seq, head, dek, written_at, expires_at, born_at, wrapped, body)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const INSERT_PLAIN = 'INSERT INTO strongroom_items (session, seq, written_at, body) VALUES (?, ?, ?, ?)';

/** An item of another session. */
const INSERT_FOREIGN = `INSERT INTO strongroom_items (session, seq, head, dek, written_at, expires_at, born_at, wrapped, body, origin)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
/**
 * The last number of a session `s`, -1 of one without items. Later items have higher numbers than those that it shares, also
 * after these are gone: no other history gets them by its number. As three values, because SQLite takes half as long again
 * for {@link END_OF} when it collects them in a table.
 */
const LAST = `max(ifnull((SELECT max(seq) FROM strongroom_items WHERE session = s.key), -1),
  ifnull((SELECT high FROM strongroom_shares WHERE session = s.key), -1),
  ifnull((SELECT max(high) FROM strongroom_shares WHERE base = s.key), -1))`;

// Text that a call puts together is a new string, which has to be joined and hashed before its statement is found.
const VERSION_OF = `SELECT generation, ${LAST} FROM strongroom_sessions s WHERE id = ?`;
const END_OF = `SELECT s.key, subject, generation, first_expiry_at, first_birth_at, ${LAST} AS last,
    d.key AS dek, d.wrapped IS NULL AS destroyed
  FROM strongroom_sessions s LEFT JOIN strongroom_deks d ON d.session = s.id AND d.did = ?2 WHERE s.id = ?1`;

/** The columns of {@link END_OF}. */
type EndRow = readonly [
  key: number,
  subject: string | null,
  generation: number,
  firstExpiryAt: number | null,
  firstBirthAt: number | null,
  last: number,
  dek: number | null,
  destroyed: number,
];

/** {@link StoreDriver} over SQLite. */
export function sqliteDriver(connection: Connection, operationLog: number, now: () => number): StoreDriver {
  const { read, lookAt } = sqliteReading(connection);
  const write = (batch: Batch): Promise<void> =>
    connection.write((statements) => inSlices(append(statements, batch)));
  const idsWhere = (column: 'root' | 'subject', value: string): Promise<string[]> =>
    connection.read(({ all }) =>
      all(`SELECT id FROM strongroom_sessions WHERE ${column} = ?`, value).map(({ id }) => id as string),
    );
  return {
    name: 'openSqlite',

    read,

    append: write,
    takesKeys: true,
    shares: true,

    // Each in a transaction of its own: a database in this process has no round trips to save.
    appendMany: (batches) => appendEach(batches, write),

    change: (sessionId, look, decide, claim = {}) => {
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
          const isShared = isBranch(sessionId);
          return andThen(inSlices(lookAt(statements, session, look, isShared)), ({ rows, records }) => {
            const view = {
              records,
              operation: operation?.['digest'] as string | undefined,
            };
            return andThen(decide(view), (change) => {
              if (change === undefined) return undefined;
              frees = change.drop === true || (change.remove !== 'none' && change.insert.length === 0);
              if (look.fence !== undefined && !stands(statements, look.fence)) throw lostTurnError(sessionId);
              if (removes(change, view, look.records === 'all')) assertNotHeld(statements, sessionId);
              if (session === undefined && change.drop !== true && leavesNothing(change)) return undefined;
              return inSlices(
                change.drop
                  ? drop(statements, sessionId, now())
                  : apply(statements, { sessionId, rows, records, change, operationLog, claim }),
              );
            });
          });
        },
        () => frees,
      );
    },

    version: (sessionId, since) =>
      connection.readNow(({ tuples }) => {
        const [generation, last] = (tuples(VERSION_OF, sessionId)[0] ?? []) as readonly (number | null)[];
        return answerOf({ generation: generation ?? 0, end: (last ?? -1) + 1 }, after, since);
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

    summaries: sqliteSummaries(connection),

    derived: (root) => idsWhere('root', root),

    ofSubject: (subject) => idsWhere('subject', subject),

    heldOf: (sessionIds) => connection.read((statements) => openHold(statements, sessionIds)),
    heldDerived: () => connection.read(derivedHolds),

    ...sqlitePurge(connection),

    leases: sqliteLeases(connection),

    deleteSession: (sessionId) =>
      connection.write(
        (statements) => inSlices(drop(statements, sessionId, now())),
        () => true,
      ),

    checkup: () => sqliteCheckup(connection),

    ping: () => connection.read(({ get }) => void get('SELECT 1')),
    close: () => connection.close(),
  };
}

function findSession({ get }: Statements, sessionId: string): number | undefined {
  return get('SELECT key FROM strongroom_sessions WHERE id = ?', sessionId)?.['key'] as number | undefined;
}

/** Everything of a session; its data keys leave tombstones. */
function* drop(statements: Statements, sessionId: string, now: number): Generator<void, void> {
  assertNotHeld(statements, sessionId);
  const session = findSession(statements, sessionId);
  let origins: Row[] = [];
  if (session !== undefined) {
    leave(statements, session);
    origins = statements.all(
      'SELECT DISTINCT origin FROM strongroom_items WHERE origin IS NOT NULL AND session = ?',
      session,
    );
    yield* removeItems(statements, session);
    removeSession(statements, session, sessionId);
  }
  statements.run('DELETE FROM strongroom_leases WHERE name = ?', `session ${sessionId}`);
  destroyDeks(statements, sessionId, now);
  // Sessions that are gone left their data keys to these records.
  for (const { origin } of origins as { origin: string }[]) {
    if (findSession(statements, origin) === undefined) destroyDeks(statements, origin, now);
  }
}

/** Those of a session, except for the ones that records need which other sessions have taken over. */
function destroyDeks({ run }: Statements, sessionId: string, now: number): void {
  run(
    `UPDATE strongroom_deks SET wrapped = NULL, destroyed_at = ?1 WHERE session = ?2 AND wrapped IS NOT NULL
     AND key NOT IN (SELECT dek FROM strongroom_items WHERE origin = ?2 AND dek IS NOT NULL)`,
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

/** Records that a change other than an append happened. */
function touch({ run }: Statements, key: number): void {
  run(
    `UPDATE strongroom_sessions SET generation = (generation + ?) % ${MARKS} WHERE key = ?`,
    newMark(),
    key,
  );
}

/**
 * An append leaves a gap of random size before the numbers of its items, so that the number of the last item is the
 * sum of all marks, and the version changes without writing another row.
 */
function gapOf(mark: number, end: number): number {
  // Numbers of items are exact up to 2^53.
  return mark % (end < 2 ** 52 ? 2 ** 32 : 2 ** 16);
}

/** The version after an append. The append that creates the session sets its generation, and leaves no gap. */
function after({ generation, end }: CountedVersion, { mark, records }: AppendStep): CountedVersion {
  if (generation === 0) return { generation: mark, end: records };
  return { generation, end: end + gapOf(mark, end) + records };
}

interface SessionEnd {
  readonly session: number;
  readonly generation: number;
  readonly nextSeq: number;
  /** The data key of the new records, where the statement that found the session also read it. */
  readonly dek?: { readonly did: string; readonly found: Dek | undefined };
}

/** A row of a data key. */
interface Dek {
  readonly key: number;
  readonly destroyed: boolean;
}

/** Of the root `?3`, else of any session that is derived from it: the root can be gone. */
const SUBJECT_OF_KIN = `(SELECT subject FROM strongroom_sessions WHERE (id = ?3 OR root = ?3) AND subject IS NOT NULL
       ORDER BY id = ?3 DESC LIMIT 1)`;

/** What the process presumes counts only where the root has no row. */
const PRESUMED = 'CASE WHEN NOT EXISTS (SELECT 1 FROM strongroom_sessions WHERE id = ?3) THEN ?7 END';

/**
 * The session, created if it is missing, and the number of its next item, which is not stored: no other process
 * writes during the transaction.
 *
 * @param coming The records to insert.
 * @param generation For a new session.
 */
function endOf(
  { tuples, run, insert: insertRow }: Statements,
  sessionId: string,
  { subject, presumed }: Claim,
  coming: readonly StoredRecord[],
  generation: number,
): SessionEnd {
  const first = firstTimes(coming);
  const did = didInTable(coming[0]);
  // An array takes half the time of an object, whose names SQLite gives anew for each row.
  const [found] = tuples(END_OF, sessionId, did);
  if (found !== undefined) {
    const [session, owner, existing, expiry, birth, last, key, destroyed] = found as unknown as EndRow;
    if (isEarlier(first.expiry, expiry) || isEarlier(first.birth, birth)) {
      run(
        'UPDATE strongroom_sessions SET first_expiry_at = ?, first_birth_at = ? WHERE key = ?',
        isEarlier(first.expiry, expiry) ? first.expiry : expiry,
        isEarlier(first.birth, birth) ? first.birth : birth,
        session,
      );
    }
    if (subject !== undefined && owner === null) {
      run('UPDATE strongroom_sessions SET subject = ? WHERE key = ?', subject, session);
    } else if (subject !== undefined && owner !== subject) {
      throw subjectError(sessionId);
    }
    return {
      session,
      generation: existing,
      nextSeq: last + 1,
      ...(did !== null && {
        dek: { did, found: key === null ? undefined : { key, destroyed: destroyed === 1 } },
      }),
    };
  }
  const session = insertRow(
    `INSERT INTO strongroom_sessions (id, subject, root, generation, first_expiry_at, first_birth_at)
     VALUES (?1, coalesce(?2, ${SUBJECT_OF_KIN}, ${PRESUMED}), ?3, ?4, ?5, ?6)`,
    sessionId,
    subject ?? null,
    lineageOf(sessionId)?.root ?? null,
    generation,
    first.expiry,
    first.birth,
    presumed ?? null,
  ) as number;
  return { session, generation, nextSeq: 0 };
}

function* append(
  statements: Statements,
  { sessionId, records, subject, presumed, mark, key }: Batch,
  stored?: ReadonlySet<StoredRecord>,
): Generator<void, void> {
  const made = key && storedDek(statements, key);
  const { session, generation, nextSeq, dek } = endOf(
    statements,
    sessionId,
    { subject, presumed },
    records,
    mark,
  );
  const gap = generation === mark ? 0 : gapOf(mark, nextSeq);
  yield* insert(statements, sessionId, session, nextSeq + gap, records, stored, made ?? dek);
}

function storedDek(statements: Statements, record: DekRecord): NonNullable<SessionEnd['dek']> {
  const key = insertDek(statements, record);
  if (key === undefined) throw takenError();
  return { did: record.did, found: { key, destroyed: false } };
}

/** @param stored Records that were in this history already: their data key may be destroyed. */
function* insert(
  statements: Statements,
  sessionId: string,
  key: number,
  firstSeq: number,
  records: readonly StoredRecord[],
  stored?: ReadonlySet<StoredRecord>,
  known?: SessionEnd['dek'],
): Generator<void, void> {
  const deks = new Map<string, Dek | undefined>();
  if (known !== undefined) deks.set(known.did, known.found);
  for (let index = 0; index < records.length; index++) {
    if (index % 16 === 15) yield;
    const record = records[index] as StoredRecord;
    if (isPlain(record) && record.origin === undefined) {
      statements.run(INSERT_PLAIN, key, firstSeq + index, record.writtenAt, record.body);
      continue;
    }
    const dek = dekOf(statements, sessionId, record, deks);
    const problem = keyProblem(record, dek);
    if (problem !== undefined && !stored?.has(record)) throw keyError(sessionId, problem);
    const { writtenAt, expiresAt, bornAt, wrapped, body, origin } = record;
    const head = record.did !== null && dek === undefined ? withDid(record) : record.head;
    const row = dek?.key ?? null;
    const seq = firstSeq + index;
    if (origin === undefined) {
      statements.run(INSERT, key, seq, head, row, writtenAt, expiresAt, bornAt, wrapped, body);
    } else {
      statements.run(
        INSERT_FOREIGN,
        key,
        seq,
        head,
        row,
        writtenAt,
        expiresAt,
        bornAt,
        wrapped,
        body,
        origin,
      );
    }
  }
}

/**
 * The record's data key, `undefined` when it is not in this database's table (inline, or in a `DekStore`
 * elsewhere).
 */
function dekOf(
  { get }: Statements,
  sessionId: string,
  record: StoredRecord,
  known: Map<string, Dek | undefined>,
): Dek | undefined {
  const did = didInTable(record);
  if (did === null) return undefined;
  const name = record.origin === undefined ? did : `${did} ${record.origin}`;
  const found = known.get(name);
  if (found !== undefined) return found;
  if (!known.has(name)) {
    const sql = 'SELECT key, wrapped IS NULL AS destroyed FROM strongroom_deks WHERE session = ? AND did = ?';
    const row = get(sql, record.origin ?? sessionId, did);
    known.set(name, row && { key: row['key'] as number, destroyed: row['destroyed'] === 1 });
  }
  return known.get(name);
}

/** Of the data key that is looked up in the table, if there is one. */
function didInTable(record: StoredRecord | undefined): string | null {
  return record?.wrapped === null ? record.did : null;
}

/** Before the items with these numbers are removed from a session: others keep what they share of them. */
function removeShared(statements: Statements, key: number, first: number, last: number): void {
  leave(statements, key, first);
  const beginning = beginningOf(statements, key);
  if (beginning === undefined || first > beginning.high) return;
  const [newest] = sharedRows(statements, key, { from: 'end', count: 1 });
  // The end of a history is removed by looking less far; any other part leaves rows that have to be moved or kept.
  if (last === seqOf(newest)) shorten(statements, key, first);
  else takeOver(statements, key);
}

/** A branch begins with the first items of this session. */
function begin(
  statements: Statements,
  key: number,
  sessionId: string,
  { sessionId: branchId, count }: Share,
  rows: readonly Tuple[],
): void {
  const [last] =
    count === 'all' ? sharedRows(statements, key, { from: 'end', count: 1 }) : rows.slice(count - 1, count);
  if (last === undefined) return;
  const mark = newMark();
  const { session: branch } = endOf(statements, branchId, {}, [], mark);
  if (beginningOf(statements, branch) !== undefined || sharedLength(statements, branch) > 0) {
    throw notEmptyError(sessionId, branchId);
  }
  // The items can be those that this session shares itself.
  const base = isBranch(sessionId) ? (last[10] as number) : key;
  share(statements, branch, { base, high: seqOf(last) });
  boundParts(statements, branch);
  touch(statements, branch);
}

interface Application {
  readonly sessionId: string;
  /** The rows that the change was decided on, … */
  readonly rows: readonly Tuple[];
  /** … and the records that `decide` got. */
  readonly records: readonly StoredRecord[];
  readonly change: Change;
  readonly operationLog: number;
  readonly claim: Claim;
}

function* apply(statements: Statements, application: Application): Generator<void, void> {
  const { sessionId, rows, change, operationLog, claim } = application;
  const stored = new Set(application.records);
  const { run, get } = statements;
  const { remove } = change;
  const mark = change.mark ?? newMark();
  const { session: key } = endOf(statements, sessionId, claim, change.insert, mark);
  let firstSeq: number | undefined;
  if (remove === 'all') {
    leave(statements, key);
    forgetBeginning(statements, key);
    yield* removeItems(statements, key);
  } else if (remove !== 'none' && remove.count > 0) {
    const last = seqOf(rows[remove.start + remove.count - 1]);
    removeShared(statements, key, seqOf(rows[remove.start]), last);
    for (let index = remove.start; index < remove.start + remove.count; index += FIRST_PAGE) {
      if (index > remove.start) yield;
      const end = Math.min(index + FIRST_PAGE, remove.start + remove.count) - 1;
      const sql = 'DELETE FROM strongroom_items WHERE session = ? AND seq BETWEEN ? AND ?';
      run(sql, key, seqOf(rows[index]), seqOf(rows[end]));
    }
    // Replacements inside the history use the numbers that end with the last removed one. There are enough of them,
    // unless the first records were replaced; then the numbers can be negative.
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
  if (change.share !== undefined) begin(statements, key, sessionId, change.share, rows);
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
