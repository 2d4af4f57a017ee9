import { lineageOf } from '../../derived-id.ts';
import { subjectError } from '../failure.ts';
import { firstTimes } from '../first-times.ts';
import { MARKS } from '../marks.ts';
import { kept } from '../sql/client.ts';
import type { SqlDialect } from '../sql/dialect.ts';
import { tableName, type PostgresNames } from './schema.ts';

/**
 * The conflict clause for an `INSERT` of an existing session `s`: it returns no row, and changes nothing, when the
 * subject differs. `least` takes no notice of `NULL`.
 */
const ON_CONFLICT = `ON CONFLICT (id) DO UPDATE SET next_seq = s.next_seq + excluded.next_seq,
  generation = (s.generation + excluded.generation) % ${MARKS},
  subject = coalesce(excluded.subject, s.subject),
  first_expiry_at = least(s.first_expiry_at, excluded.first_expiry_at),
  first_birth_at = least(s.first_birth_at, excluded.first_birth_at)
  WHERE excluded.subject IS NULL OR s.subject IS NULL OR s.subject = excluded.subject`;

/**
 * Inserts sessions from the rows of `source`, see {@link ON_CONFLICT}. A derived one without a subject has the one that it
 * had, else that of its root, else of any session that is derived from it: the root can be gone; else the presumed one if neither
 * has a row.
 */
export function insertSessions(sessions: string, source: string, condition = ''): string {
  return `INSERT INTO ${sessions} AS s (id, subject, root, next_seq, generation, first_expiry_at, first_birth_at)
    SELECT b.id, coalesce(b.subject, (
      SELECT k.subject FROM ${sessions} k
      WHERE b.root IS NOT NULL AND (k.id = b.root OR k.root = b.root) AND k.subject IS NOT NULL
      ORDER BY k.id = b.id DESC, k.id = b.root DESC LIMIT 1
    ), CASE WHEN NOT EXISTS (SELECT 1 FROM ${sessions} k WHERE k.id IN (b.id, b.root)) THEN b.presumed END), b.root, b.items, b.mark, b.expiry, b.birth
    FROM ${source} AS b (id, subject, root, items, mark, expiry, birth, presumed) ${condition} ${ON_CONFLICT}`;
}

/** The source for one session. */
export const ONE_SESSION =
  '(VALUES (?::text, ?::text, ?::text, ?::bigint, ?::bigint, ?::bigint, ?::bigint, ?::text))';

/** A process that is busy for a short time must not lose its transaction. */
const LEAST_IDLE = 1_000;

export function postgresDialect(names: PostgresNames): SqlDialect {
  const sessions = tableName(names, 'sessions');
  const reserve = kept(
    `${insertSessions(sessions, ONE_SESSION)} RETURNING number, next_seq, xmax = 0 AS is_new`,
  );
  return {
    name: 'openPostgres',
    table: (name) => tableName(names, name),
    begin: (timeout) =>
      'BEGIN ISOLATION LEVEL READ COMMITTED; ' +
      `SET LOCAL idle_in_transaction_session_timeout = ${Math.max(timeout, LEAST_IDLE)}`,
    forShare: 'FOR SHARE',
    async insertNew(client, { table, columns, places, values }) {
      const { changes } = await client.query(
        `INSERT INTO ${tableName(names, table)} (${columns}) VALUES (${places}) ON CONFLICT DO NOTHING`,
        values,
      );
      return changes === 1;
    },
    bytes: (column) => column,
    lateral: true,
    clock: 'CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)',
    async reserve(client, { id, subject, presumed, mark }, coming = [], numbers = coming.length) {
      const { expiry, birth } = firstTimes(coming);
      const root = lineageOf(id)?.root ?? null;
      const { rows } = await client.query(reserve, [
        id,
        subject ?? null,
        root,
        numbers,
        mark,
        expiry,
        birth,
        presumed ?? null,
      ]);
      const [row] = rows;
      if (row === undefined) throw subjectError(id);
      const firstSeq = Number(row['next_seq']) - numbers;
      // Nobody has locked a row that was just inserted; one that was updated instead is locked by its own transaction.
      const isNew = row['is_new'] === true;
      return { session: Number(row['number']), firstSeq, isNew };
    },
    async deleteItems(client, items) {
      const pairs = [...items].flatMap(([session, seqs]) => seqs.map((seq) => [session, seq] as const));
      await client.query(
        `DELETE FROM ${tableName(names, 'items')} i USING unnest(?::bigint[], ?::bigint[]) AS f (in_session, at_seq)
         WHERE i.session = f.in_session AND i.seq = f.at_seq`,
        [pairs.map(([session]) => session), pairs.map(([, seq]) => seq)],
      );
    },
  };
}
