import { defined } from '../../defined.ts';
import type { StoreDriver } from '../driver.ts';
import type { Connection } from './connection.ts';
import { PAGE_PARTS } from './shares.ts';

/** For a derived session, the subject of its root. */
const SUBJECT = 'coalesce(s.subject, (SELECT subject FROM strongroom_sessions WHERE id = s.root))';

const OF_SUBJECT = `AND s.id IN (SELECT id FROM strongroom_sessions WHERE subject = ?3
  UNION ALL SELECT d.id FROM strongroom_sessions r JOIN strongroom_sessions d ON d.root = r.id
    WHERE r.subject = ?3 AND d.subject IS NULL)`;

/** Sessions with items, in the order of their ids. */
export function sqliteSummaries(connection: Connection): StoreDriver['summaries'] {
  return (after, count, subject) =>
    connection.read(({ all }) =>
      all(
        `WITH RECURSIVE page AS MATERIALIZED (
           SELECT key, id, ${SUBJECT} AS subject FROM strongroom_sessions s
           WHERE id > ?1 ${subject === undefined ? '' : OF_SUBJECT} AND (EXISTS (SELECT 1 FROM strongroom_items WHERE session = s.key)
             OR EXISTS (SELECT 1 FROM strongroom_shares WHERE session = s.key)) ORDER BY id LIMIT ?2
         ), ${PAGE_PARTS}
         SELECT s.id, s.subject, count(*) AS items, min(i.written_at) AS first_at, max(i.written_at) AS last_at,
           sum(octet_length(i.body) + ifnull(octet_length(i.head), 0) + ifnull(octet_length(i.wrapped), 0)) AS bytes
         FROM page s JOIN parts p ON p.top = s.key JOIN strongroom_items i ON i.session = p.key AND i.seq <= p.high
         GROUP BY s.key ORDER BY s.id`,
        after ?? '',
        count,
        ...(subject === undefined ? [] : [subject]),
      ).map((row) =>
        defined({
          id: row['id'] as string,
          items: row['items'] as number,
          bytes: row['bytes'] as number,
          firstAt: row['first_at'] as number,
          lastAt: row['last_at'] as number,
          subject: (row['subject'] ?? undefined) as string | undefined,
        }),
      ),
    );
}
