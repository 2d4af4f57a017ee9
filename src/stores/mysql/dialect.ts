import { firstGeneration } from '../generation.ts';
import { list } from '../sql/client.ts';
import type { SqlDialect } from '../sql/dialect.ts';
import { tableName } from './schema.ts';

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
    birth: 'birth',
    async reserve(client, { id, subject }, count) {
      for (;;) {
        const { rows } = await client.query(
          `SELECT number, next_seq FROM ${sessions} WHERE id = ? FOR UPDATE`,
          [id],
        );
        const [row] = rows;
        if (row !== undefined) {
          const firstSeq = Number(row['next_seq']);
          if (count > 0 || subject !== undefined) {
            await client.query(
              `UPDATE ${sessions} SET next_seq = next_seq + ?, subject = coalesce(?, subject) WHERE id = ?`,
              [count, subject ?? null, id],
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
    // MySQL does not return what it deletes, so a statement for each session.
    async deleteItems(client, items, condition, value) {
      const deleted = new Map<number, number>();
      for (const [session, seqs] of items) {
        const { changes } = await client.query(
          `DELETE FROM ${tableName(prefix, 'items')} WHERE session = ? AND seq IN (${list(seqs.length)}) AND ${condition}`,
          [session, ...seqs, value],
        );
        if (changes > 0) deleted.set(session, changes);
      }
      return deleted;
    },
  };
}
