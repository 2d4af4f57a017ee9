import { firstTimes } from '../first-times.ts';
import { firstGeneration } from '../generation.ts';
import { list } from '../sql/client.ts';
import type { SqlDialect } from '../sql/dialect.ts';
import { tableName } from './schema.ts';

/** Each value twice: `least` of anything and `NULL` is `NULL`. */
export const LOWER_BOUNDS: string = ['first_expiry_at', 'first_birth_at']
  .map((bound) => `${bound} = coalesce(least(${bound}, ?), ${bound}, ?)`)
  .join(', ');

export function mysqlDialect(prefix: string): SqlDialect {
  const sessions = tableName(prefix, 'sessions');
  return {
    name: 'openMysql',
    table: (name) => tableName(prefix, name),
    // The isolation level is set when a connection is taken into use, see pool.ts.
    begin: 'START TRANSACTION',
    forShare: 'LOCK IN SHARE MODE',
    insertNew: ['INSERT IGNORE', ''],
    clock: 'CAST(unix_timestamp(now(3)) * 1000 AS SIGNED)',
    async reserve(client, { id, subject }, coming = [], numbers = coming.length) {
      const { expiry, birth } = firstTimes(coming);
      for (;;) {
        const { rows } = await client.query(
          `SELECT number, next_seq FROM ${sessions} WHERE id = ? FOR UPDATE`,
          [id],
        );
        const [row] = rows;
        if (row !== undefined) {
          const firstSeq = Number(row['next_seq']);
          if (coming.length > 0 || subject !== undefined) {
            await client.query(
              `UPDATE ${sessions} SET next_seq = next_seq + ?, subject = coalesce(?, subject), ${LOWER_BOUNDS}
               WHERE id = ?`,
              [numbers, subject ?? null, expiry, expiry, birth, birth, id],
            );
          }
          return { session: Number(row['number']), firstSeq };
        }
        // Whoever comes second finds the row of the first one in the next round.
        await client.query(
          `INSERT IGNORE INTO ${sessions} (id, subject, next_seq, generation) VALUES (?, ?, 0, ?)`,
          [id, subject ?? null, firstGeneration()],
        );
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
