import { defined } from '../../defined.ts';
import type { StoreDriver } from '../driver.ts';
import type { Connection } from './connection.ts';

/** Sessions with items, in the order of their ids. */
export function sqliteSummaries(connection: Connection): StoreDriver['summaries'] {
  return (after, count, subject) =>
    connection.read(({ all }) =>
      all(
        `SELECT s.id, s.subject, count(*) AS items, min(i.written_at) AS first_at, max(i.written_at) AS last_at,
         sum(octet_length(i.body) + ifnull(octet_length(i.head), 0) + ifnull(octet_length(i.wrapped), 0)) AS bytes
       FROM (SELECT key, id, subject FROM strongroom_sessions s WHERE id > ?1 AND (?3 IS NULL OR subject = ?3) AND EXISTS
              (SELECT 1 FROM strongroom_items WHERE session = s.key) ORDER BY id LIMIT ?2) s
       JOIN strongroom_items i ON i.session = s.key GROUP BY s.key ORDER BY s.id`,
        after ?? '',
        count,
        subject ?? null,
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
