import { firstGeneration } from '../generation.ts';
import { kept } from '../sql/client.ts';
import type { SqlDialect } from '../sql/dialect.ts';
import { tableName, type PostgresNames } from './schema.ts';

export function postgresDialect(names: PostgresNames): SqlDialect {
  const sessions = tableName(names, 'sessions');
  const reserve = kept(
    `INSERT INTO ${sessions} AS s (id, subject, next_seq, generation) VALUES (?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET next_seq = s.next_seq + excluded.next_seq,
       subject = coalesce(excluded.subject, s.subject)
     RETURNING number, next_seq`,
  );
  return {
    name: 'openPostgres',
    table: (name) => tableName(names, name),
    begin: 'BEGIN ISOLATION LEVEL READ COMMITTED',
    forShare: 'FOR SHARE',
    insertNew: ['INSERT', 'ON CONFLICT DO NOTHING'],
    clock: 'CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)',
    birth: 'coalesce(born_at, written_at)',
    async reserve(client, { id, subject }, count) {
      const { rows } = await client.query(reserve, [id, subject ?? null, count, firstGeneration()]);
      return { session: Number(rows[0]?.['number']), firstSeq: Number(rows[0]?.['next_seq']) - count };
    },
    async deleteItems(client, items, condition, value) {
      const pairs = [...items].flatMap(([session, seqs]) => seqs.map((seq) => [session, seq] as const));
      const { rows } = await client.query(
        `WITH deleted AS (
           DELETE FROM ${tableName(names, 'items')} i USING unnest(?::bigint[], ?::bigint[]) AS f (in_session, at_seq)
           WHERE i.session = f.in_session AND i.seq = f.at_seq AND ${condition} RETURNING i.session
         )
         SELECT session, count(*) AS items FROM deleted GROUP BY session`,
        [pairs.map(([session]) => session), pairs.map(([, seq]) => seq), value],
      );
      return new Map(rows.map((row) => [Number(row['session']), Number(row['items'])]));
    },
  };
}
