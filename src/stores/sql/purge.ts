import type { StoreDriver } from '../driver.ts';
import { list, text, type SqlClient, type SqlRunner } from './client.ts';
import type { SqlDialect } from './dialect.ts';

/**
 * Deletes a batch of expired records in one transaction of a few statements, however many sessions they are of.
 *
 * @param notHeld Condition on the column `session` of the items.
 */
export function sqlPurge(dialect: SqlDialect, runner: SqlRunner, notHeld: string): StoreDriver['purge'] {
  const sessions = dialect.table('sessions');
  const items = dialect.table('items');
  const operations = dialect.table('operations');

  /**
   * The sessions are locked before their rows are touched, as by every other change: no deadlock, and a session that
   * gets an item meanwhile is not taken for an empty one.
   */
  async function purgeRows(
    client: SqlClient,
    found: ReadonlyMap<number, readonly number[]>,
    condition: string,
    time: number,
  ): Promise<string[]> {
    const locked = await client.query(
      `SELECT number, id FROM ${sessions} WHERE number IN (${list(found.size)}) ORDER BY number FOR UPDATE`,
      [...found.keys()],
    );
    const ids = new Map(locked.rows.map((row) => [Number(row['number']), text(row['id'])]));
    const present = [...found].filter(([session]) => ids.has(session));
    const deleted = await dialect.deleteItems(client, new Map(present), `${condition} AND ${notHeld}`, time);
    if (deleted.size === 0) return [];
    const { rows } = await client.query(
      `SELECT number FROM ${sessions} s WHERE number IN (${list(deleted.size)})
       AND NOT EXISTS (SELECT 1 FROM ${items} WHERE session = s.number)`,
      [...deleted.keys()],
    );
    const empty = new Set(rows.map((row) => Number(row['number'])));
    const rest = [...deleted.keys()].filter((session) => !empty.has(session));
    if (empty.size > 0) {
      const values = [...empty];
      await client.query(`DELETE FROM ${operations} WHERE session IN (${list(empty.size)})`, values);
      await client.query(`DELETE FROM ${sessions} WHERE number IN (${list(empty.size)})`, values);
    }
    if (rest.length > 0) {
      await client.query(
        `UPDATE ${sessions} SET generation = generation + 1 WHERE number IN (${list(rest.length)})`,
        rest,
      );
    }
    return [...deleted].flatMap(([session, count]) => Array<string>(count).fill(ids.get(session) as string));
  }

  return async (expired, batch) => {
    const conditions: [string, number][] = [['expires_at', expired.now]];
    if (expired.writtenBefore !== undefined) conditions.push([dialect.birth, expired.writtenBefore]);
    const purged: string[] = [];
    for (const [column, time] of conditions) {
      const room = batch - purged.length;
      if (room === 0) break;
      const condition = `${column} <= ?`;
      // In the order of the index: a scan of the table would pass over all that earlier batches deleted.
      const { rows } = await runner.read(
        `SELECT session, seq FROM ${items} WHERE ${condition} AND ${notHeld} ORDER BY ${column} LIMIT ?`,
        [time, room],
      );
      const found = new Map<number, number[]>();
      for (const row of rows) {
        const session = Number(row['session']);
        const seqs = found.get(session);
        if (seqs === undefined) found.set(session, [Number(row['seq'])]);
        else seqs.push(Number(row['seq']));
      }
      if (found.size > 0) {
        purged.push(...(await runner.transaction((client) => purgeRows(client, found, condition, time))));
      }
      if (rows.length === room) return { sessions: purged, more: true };
    }
    return { sessions: purged, more: false };
  };
}
