import { MARKS, newMark } from '../marks.ts';
import { damagedBeginningError, MOST_PARTS } from '../shared-parts.ts';
import type { Row, Statements } from './statements.ts';

/**
 * The items with numbers up to `high` of one session, as a part of a history: branches share the records of their
 * beginning (decision 85). The history of a session is its own items, after those of the session `base` with numbers up to
 * `high`, and so on. Its own numbers are higher than `high`. Only branches share, so that other sessions are read as
 * before.
 */
export interface Part {
  readonly key: number;
  /** The id of the session, which its records were written for unless they say otherwise; `null` for the own items. */
  readonly origin: string | null;
  readonly high: number;
}

/** The parts of histories: of the session whose key is the parameter `?1`, with the number of each part. */
const PARTS = `WITH RECURSIVE parts (key, high, place) AS (
    SELECT ?1, ${Number.MAX_SAFE_INTEGER}, 0
    UNION ALL SELECT s.base, min(s.high, p.high), p.place + 1
    FROM parts p JOIN strongroom_shares s ON s.session = p.key WHERE p.place < ${MOST_PARTS}
  )`;

/**
 * The parts of a history, the newest first.
 *
 * @throws {@link StrongroomError} `ERR_MALFORMED` when they are more than strongroom makes, such as those of a circle.
 */
export function partsOf(statements: Statements, session: number): readonly Part[] {
  const parts = foundParts(statements, session);
  if (parts.length > MOST_PARTS) {
    const row = statements.get('SELECT id FROM strongroom_sessions WHERE key = ?', session) as Row;
    throw damagedBeginningError('openSqlite', row['id'] as string);
  }
  return parts;
}

function foundParts({ all }: Statements, session: number): readonly Part[] {
  const sql = `${PARTS} SELECT p.key, p.high, s.id, p.place FROM parts p
    JOIN strongroom_sessions s ON s.key = p.key ORDER BY p.place`;
  return all(sql, session).map((row) => ({
    key: row['key'] as number,
    origin: row['place'] === 0 ? null : (row['id'] as string),
    high: row['high'] as number,
  }));
}

/** Up to which number of which session a history begins with the items of that. */
interface Beginning {
  readonly base: number;
  readonly high: number;
}

export function beginningOf({ get }: Statements, session: number): Beginning | undefined {
  const row = get('SELECT base, high FROM strongroom_shares WHERE session = ?', session);
  return row && { base: row['base'] as number, high: row['high'] as number };
}

/** An empty session begins with these items from now on. */
export function share({ run }: Statements, session: number, { base, high }: Beginning): void {
  run('INSERT INTO strongroom_shares (session, base, high) VALUES (?, ?, ?)', session, base, high);
}

/** A new branch with too many parts gets records of its own. */
export function boundParts(statements: Statements, session: number): void {
  if (foundParts(statements, session).length > MOST_PARTS) takeOver(statements, session);
}

/** Without what it begins with. */
export function forgetBeginning({ run }: Statements, session: number): void {
  run('DELETE FROM strongroom_shares WHERE session = ?', session);
}

/** Without the items of its beginning from this number on. */
export function shorten(statements: Statements, session: number, from: number): void {
  statements.run('UPDATE strongroom_shares SET high = ? WHERE session = ?', from - 1, session);
  settle(statements, session);
}

/** A beginning without items is none. */
function settle(statements: Statements, session: number): void {
  const some = 'SELECT 1 FROM strongroom_items WHERE session = ? AND seq <= ? LIMIT 1';
  const isPresent = ({ key, high, origin }: Part): boolean =>
    origin !== null && statements.get(some, key, high) !== undefined;
  if (!foundParts(statements, session).some(isPresent)) forgetBeginning(statements, session);
}

const COLUMNS = 'seq, head, dek, written_at, expires_at, born_at, wrapped, body';

/** The history of a session without its beginning becomes its own items, so that they can be changed. */
export function takeOver(statements: Statements, session: number): void {
  const columns = COLUMNS.replaceAll(/\w+/g, 'i.$&');
  statements.run(
    `INSERT INTO strongroom_items (session, ${COLUMNS}, origin)
     ${PARTS} SELECT ?1, ${columns}, coalesce(i.origin, s.id) FROM parts p
     JOIN strongroom_items i ON i.session = p.key AND i.seq <= p.high
     JOIN strongroom_sessions s ON s.key = p.key WHERE p.place > 0`,
    session,
  );
  forgetBeginning(statements, session);
  boundTimes(statements, session);
}

/** The times of a session are at most those of its items, so that a purge looks at it. */
function boundTimes({ run }: Statements, session: number): void {
  run(
    `UPDATE strongroom_sessions SET
       first_expiry_at = (SELECT min(expires_at) FROM strongroom_items WHERE session = ?1),
       first_birth_at = (SELECT min(coalesce(born_at, written_at)) FROM strongroom_items WHERE session = ?1)
     WHERE key = ?1`,
    session,
  );
}

/**
 * Before items of a session with numbers from `from` on are removed: the branches that share some of them get these as their
 * own, and share less. What the session shares itself, they share with its base, when it may lose that.
 */
export function leave(statements: Statements, session: number, from: number = Number.MIN_SAFE_INTEGER): void {
  const { all, run } = statements;
  const heirs = all(
    'SELECT session, high FROM strongroom_shares WHERE base = ? AND high >= ? AND session <> base',
    session,
    from,
  ) as { session: number; high: number }[];
  if (heirs.length === 0) return;
  const own = beginningOf(statements, session);
  const isKept = from > (own?.high ?? Number.MIN_SAFE_INTEGER);
  for (const { session: heir, high } of heirs) {
    run(
      `INSERT INTO strongroom_items (session, ${COLUMNS}, origin)
       SELECT ?, ${COLUMNS}, coalesce(origin, (SELECT id FROM strongroom_sessions WHERE key = ?2))
       FROM strongroom_items WHERE session = ?2 AND seq BETWEEN ?3 AND ?4`,
      heir,
      session,
      from,
      high,
    );
    if (isKept) shorten(statements, heir, from);
    else forgetBeginning(statements, heir);
    if (!isKept && own !== undefined)
      share(statements, heir, { base: own.base, high: Math.min(own.high, high) });
    boundTimes(statements, heir);
  }
}

/** The sessions that share items of this one, at any distance. */
function heirsOf({ all }: Statements, session: number): readonly number[] {
  return all(
    `WITH RECURSIVE heirs (key) AS (
       SELECT session FROM strongroom_shares WHERE base = ?
       UNION SELECT s.session FROM heirs h JOIN strongroom_shares s ON s.base = h.key)
     SELECT key FROM heirs`,
    session,
  ).map(({ key }) => key as number);
}

/** Before a purge of a session: what is under a hold keeps its history. */
export function protectHeld(statements: Statements, session: number, isHeld: (id: string) => boolean): void {
  for (const heir of heirsOf(statements, session)) {
    const row = statements.get('SELECT id FROM strongroom_sessions WHERE key = ?', heir) as Row;
    if (isHeld(row['id'] as string)) takeOver(statements, heir);
  }
}

/** After a purge of a session: the histories that shared the purged items have changed, too. Returns their keys. */
export function purgedFor(statements: Statements, session: number): readonly number[] {
  const heirs = heirsOf(statements, session);
  for (const heir of heirs) {
    statements.run(
      `UPDATE strongroom_sessions SET generation = (generation + ?) % ${MARKS} WHERE key = ?`,
      newMark(),
      heir,
    );
  }
  for (const heir of heirs) settle(statements, heir);
  return heirs;
}

/** Whether a session has neither items nor a beginning. */
export function isEmpty(statements: Statements, session: number): boolean {
  const sql = 'SELECT 1 FROM strongroom_items WHERE session = ? LIMIT 1';
  return statements.get(sql, session) === undefined && beginningOf(statements, session) === undefined;
}

/** The items of the sessions of a page, by the key of the session: `parts` of a query that has `page`. */
export const PAGE_PARTS: string = `parts (top, key, high, place) AS (
    SELECT key, key, ${Number.MAX_SAFE_INTEGER}, 0 FROM page
    UNION ALL SELECT p.top, s.base, min(s.high, p.high), p.place + 1
    FROM parts p JOIN strongroom_shares s ON s.session = p.key WHERE p.place < ${MOST_PARTS}
  )`;
