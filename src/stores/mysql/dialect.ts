import { lineageOf } from '../../derived-id.ts';
import { isStrongroomError } from '../../errors.ts';
import { subjectError } from '../failure.ts';
import { firstTimes } from '../first-times.ts';
import { MARKS } from '../marks.ts';
import { kept, list, text, type SqlClient } from '../sql/client.ts';
import type { SqlDialect } from '../sql/dialect.ts';
import { isDuplicate } from './failure.ts';
import { tableName } from './schema.ts';

/** Each value twice: `least` of anything and `NULL` is `NULL`. */
export const LOWER_BOUNDS: string = ['first_expiry_at', 'first_birth_at']
  .map((bound) => `${bound} = coalesce(least(${bound}, ?), ${bound}, ?)`)
  .join(', ');

export function mysqlDialect(prefix: string): SqlDialect {
  const sessions = tableName(prefix, 'sessions');
  const lock = kept(`SELECT number, next_seq, subject FROM ${sessions} WHERE id = ? FOR UPDATE`);
  const move = kept(
    `UPDATE ${sessions} SET generation = (generation + ?) % ${MARKS}, next_seq = next_seq + ?,
       subject = coalesce(?, subject), ${LOWER_BOUNDS} WHERE id = ?`,
  );
  const create = kept(
    `INSERT INTO ${sessions} (id, subject, root, next_seq, generation) VALUES (?, ?, ?, 0, 0)
     ON DUPLICATE KEY UPDATE number = number`,
  );
  const ofKin = kept(
    `SELECT subject FROM ${sessions} WHERE id = ? OR (root = ? AND subject IS NOT NULL)
     ORDER BY subject IS NULL, id = ? DESC LIMIT 1`,
  );

  /**
   * Of the root, else of any session that is derived from it: the root can be gone. What the process presumes counts
   * only where there is neither.
   */
  async function subjectOf(client: SqlClient, root: string, presumed?: string): Promise<string | undefined> {
    const [row] = (await client.query(ofKin, [root, root, root])).rows;
    if (row === undefined) return presumed;
    return row['subject'] === null ? undefined : text(row['subject']);
  }

  return {
    name: 'openMysql',
    table: (name) => tableName(prefix, name),
    // The isolation level is set when a connection is taken into use, see pool.ts.
    // The settings of a connection limit its duration, see settings.ts.
    begin: () => 'START TRANSACTION',
    forShare: 'LOCK IN SHARE MODE',
    // `INSERT IGNORE` would also truncate values that do not fit.
    async insertNew(client, { table, columns, places, values }) {
      try {
        await client.query(
          kept(`INSERT INTO ${tableName(prefix, table)} (${columns}) VALUES (${places})`),
          values,
        );
        return true;
      } catch (error) {
        if (isDuplicate(isStrongroomError(error) ? error.cause : error)) return false;
        throw error;
      }
    },
    bytes: (column) => `CONVERT(${column} USING binary) AS ${/\w+$/.exec(column)?.[0] ?? column}`,
    // MariaDB cannot.
    lateral: false,
    // In UTC: the hour that a time zone repeats in autumn is two hours.
    clock: "(timestampdiff(MICROSECOND, '1970-01-01 00:00:00', utc_timestamp(3)) DIV 1000)",
    async reserve(client, { id, subject, presumed, mark }, coming = [], numbers = coming.length) {
      const { expiry, birth } = firstTimes(coming);
      for (let created = false; ; created = true) {
        const { rows } = await client.query(lock, [id]);
        const [row] = rows;
        if (row !== undefined) {
          const owner = row['subject'];
          if (subject !== undefined && owner !== null && text(owner) !== subject) throw subjectError(id);
          const firstSeq = Number(row['next_seq']);
          if (coming.length > 0 || subject !== undefined) {
            await client.query(move, [mark, numbers, subject ?? null, expiry, expiry, birth, birth, id]);
          }
          return { session: Number(row['number']), firstSeq, isNew: created && firstSeq === 0 };
        }
        // The second of two concurrent calls finds the row of the first one in the next round.
        const root = lineageOf(id)?.root;
        const owner = subject ?? (root === undefined ? undefined : await subjectOf(client, root, presumed));
        await client.query(create, [id, owner ?? null, root ?? null]);
      }
    },
    async deleteItems(client, items) {
      for (const [session, seqs] of items) {
        await client.query(
          `DELETE FROM ${tableName(prefix, 'items')} WHERE session = ? AND seq IN (${list(seqs.length)})`,
          [session, ...seqs],
        );
      }
    },
  };
}
