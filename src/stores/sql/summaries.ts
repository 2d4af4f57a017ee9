import { defined } from '../../defined.ts';
import type { StoreDriver } from '../driver.ts';
import { text, type SqlRunner } from './client.ts';
import type { SqlDialect } from './dialect.ts';
import { partsOf } from './shares.ts';

/** Sessions with items, in the order of their ids. */
export function sqlSummaries(dialect: SqlDialect, runner: SqlRunner): StoreDriver['summaries'] {
  const sessions = dialect.table('sessions');
  const items = dialect.table('items');
  // A derived session has the subject of its root.
  const ofSubject = `s.id IN (SELECT o.id FROM ${sessions} o WHERE o.subject = ? UNION ALL
    SELECT d.id FROM ${sessions} r JOIN ${sessions} d ON d.root = r.id WHERE r.subject = ? AND d.subject IS NULL)`;
  return async (after, count, subject) => {
    const conditions = [
      ...(after === undefined ? [] : ['s.id > ?']),
      ...(subject === undefined ? [] : [ofSubject]),
      `(EXISTS (SELECT 1 FROM ${items} WHERE session = s.number)
        OR EXISTS (SELECT 1 FROM ${dialect.table('shares')} WHERE session = s.number))`,
    ];
    const { rows } = await runner.read(
      `WITH RECURSIVE page AS (
         SELECT s.number, s.id, coalesce(s.subject, (SELECT r.subject FROM ${sessions} r WHERE r.id = s.root)) AS subject
         FROM ${sessions} s WHERE ${conditions.join(' AND ')} ORDER BY s.id ${limit(count)}
       ), ${partsOf(dialect, 'page')}
       SELECT s.id, s.subject, count(*) AS item_count, min(i.written_at) AS first_at, max(i.written_at) AS last_at,
       sum(coalesce(octet_length(i.item), 0) + coalesce(octet_length(i.body), 0)
         + coalesce(octet_length(i.head), 0) + coalesce(octet_length(i.wrapped), 0)) AS bytes
       FROM page s JOIN parts p ON p.top = s.number JOIN ${items} i ON i.session = p.number AND i.seq <= p.high
       GROUP BY s.number, s.id, s.subject ORDER BY s.id`,
      [...(after === undefined ? [] : [after]), ...(subject === undefined ? [] : [subject, subject])],
    );
    return rows.map((row) =>
      defined({
        id: text(row['id']),
        items: Number(row['item_count']),
        bytes: Number(row['bytes']),
        firstAt: Number(row['first_at']),
        lastAt: Number(row['last_at']),
        subject: row['subject'] === null ? undefined : text(row['subject']),
      }),
    );
  };
}

/** Written into the statement: some drivers send numbers as a type that `LIMIT` does not accept. */
function limit(count: number | undefined): string {
  return count === undefined ? '' : `LIMIT ${Math.trunc(count)}`;
}
