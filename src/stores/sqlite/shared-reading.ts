import { RECORD, type Tuple } from './pages.ts';
import { partsOf, type Part } from './shares.ts';
import type { Statements } from './statements.ts';

/**
 * A row of `RECORD`, its number, the generation of the history that is read, the session that the record was
 * written for if it is another one, and the key of the session that has it.
 */
const ROW = `${RECORD}, seq, ?3, coalesce(origin, ?4), session`;
const SELECT = {
  end: `SELECT ${ROW} FROM strongroom_items WHERE session = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT ?5 OFFSET ?6`,
  start: `SELECT ${ROW} FROM strongroom_items WHERE session = ?1 AND seq BETWEEN ?7 AND ?2 ORDER BY seq LIMIT ?5 OFFSET ?6`,
};

/** Where a read of a shared history starts, and how far it goes. */
export interface Extent {
  readonly from: 'start' | 'end';
  readonly count: number;
  /** Rows that are left out before the first one. */
  readonly skip?: number;
  /** Only rows after this number (before it, from the end). */
  readonly beyond?: number | undefined;
}

/** Rows of a history that begins with items of other sessions, in the order of the read; of one state of the database. */
export function sharedRows(
  statements: Statements,
  session: number | undefined,
  { from, count, skip = 0, beyond }: Extent,
): Tuple[] {
  if (session === undefined) return [];
  const rows: Tuple[] = [];
  const generation = generationOf(statements, session);
  const parts = partsOf(statements, session);
  let left = skip;
  for (const { key, origin, high } of from === 'end' ? parts : parts.toReversed()) {
    const last = from === 'end' && beyond !== undefined ? Math.min(high, beyond - 1) : high;
    const first = from === 'start' && beyond !== undefined ? beyond + 1 : Number.MIN_SAFE_INTEGER;
    if (left > 0) {
      const here = countOf(statements, { key, high: last });
      if (here <= left) {
        left -= here;
        continue;
      }
    }
    const wanted = count === Number.POSITIVE_INFINITY ? -1 : count - rows.length;
    const bounds = from === 'start' ? [first] : [];
    rows.push(...statements.tuples(SELECT[from], key, last, generation, origin, wanted, left, ...bounds));
    left = 0;
    if (rows.length >= count) break;
  }
  return rows;
}

/** How many records a history has. */
export function sharedLength(statements: Statements, session: number): number {
  return partsOf(statements, session).reduce((sum, part) => sum + countOf(statements, part), 0);
}

/**
 * Several statements on one state of the database, for a read outside of a transaction.
 */
export function onOneState<T>(statements: Statements, work: () => T): T {
  statements.run('SAVEPOINT strongroom_read');
  try {
    return work();
  } finally {
    statements.run('RELEASE strongroom_read');
  }
}

function countOf({ get }: Statements, { key, high }: Pick<Part, 'key' | 'high'>): number {
  const sql = 'SELECT count(*) AS items FROM strongroom_items WHERE session = ? AND seq <= ?';
  return get(sql, key, high)?.['items'] as number;
}

function generationOf({ get }: Statements, session: number): number {
  return get('SELECT generation FROM strongroom_sessions WHERE key = ?', session)?.['generation'] as number;
}
