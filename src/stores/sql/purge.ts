import { ancestorsOf } from '../../derived-id.ts';
import type { StoreDriver } from '../driver.ts';
import { purgeRules, SESSIONS_A_STEP, type PurgeRule } from '../first-times.ts';
import { MARKS, newMark } from '../marks.ts';
import { leaveSubjects } from './change.ts';
import { list, text, type SqlClient, type SqlRunner } from './client.ts';
import type { SqlDialect } from './dialect.ts';
import { openHold } from './dek-store.ts';
import { leasePurge } from './leases.ts';
import { sqlShares, type Heir } from './shares.ts';

/** Deletes expired records, a batch in one transaction of a few statements, however many sessions they are of. */
export function sqlPurge(dialect: SqlDialect, runner: SqlRunner): Pick<StoreDriver, 'purge' | 'expired'> {
  const sessions = dialect.table('sessions');
  const items = dialect.table('items');
  const shares = sqlShares(dialect);
  const removeEndedLeases = leasePurge(dialect, runner);
  const operations = dialect.table('operations');
  const holds = dialect.table('holds');
  // Holds are few. One also covers derived sessions: all of a root, and those whose id ends with `~` and the id of
  // the session.
  const endsWith = (id: string, end: string): string =>
    `right(${id}, length(${end}) + 1) = concat('~', ${end})`;
  const notHeld = `s.id NOT IN (SELECT session FROM ${holds} WHERE released_at IS NULL)
    AND (s.root IS NULL OR NOT EXISTS (SELECT 1 FROM ${holds} h WHERE h.released_at IS NULL
      AND (h.session = s.root OR (${endsWith('s.id', 'h.session')} AND ${endsWith('h.session', 's.root')}))))`;

  /**
   * The sessions are locked before their rows are changed, as by every other change: no deadlock, and a session
   * that gets an item meanwhile is not treated as empty.
   */
  async function purgeSessions(
    client: SqlClient,
    due: readonly number[],
    { bound, column, time }: PurgeRule,
    room: number,
  ): Promise<string[]> {
    const locked = await client.query(
      `SELECT number, id FROM ${sessions} s WHERE number IN (${list(due.length)}) AND ${notHeld} ORDER BY number FOR UPDATE`,
      due,
    );
    const names = locked.rows.map((row) => text(row['id']));
    if (names.length === 0) return [];
    // One may have been placed during the wait for the lock.
    const asked = [...new Set(names.flatMap((id) => [id, ...ancestorsOf(id)]))];
    const { rows: open } = await client.query(
      `SELECT session FROM ${holds} WHERE released_at IS NULL AND session IN (${list(asked.length)})`,
      asked,
    );
    const held = new Set(open.map((row) => text(row['session'])));
    const ids = new Map(
      locked.rows
        .map((row) => [Number(row['number']), text(row['id'])] as const)
        .filter(([, id]) => ![id, ...ancestorsOf(id)].some((each) => held.has(each))),
    );
    if (ids.size === 0) return [];
    const numbers = [...ids.keys()];
    const found = await client.query(
      `SELECT session, seq FROM ${items} WHERE session IN (${list(numbers.length)}) AND ${column} <= ? LIMIT ?`,
      [...numbers, time, room],
    );
    const expired = new Map<number, number[]>();
    for (const row of found.rows) {
      const session = Number(row['session']);
      const seqs = expired.get(session);
      if (seqs === undefined) expired.set(session, [Number(row['seq'])]);
      else seqs.push(Number(row['seq']));
    }
    const changed = [...expired.keys()];
    const heirs = changed.length === 0 ? [] : await shares.heirsOf(client, changed);
    await protectHeld(dialect, client, heirs);
    if (expired.size > 0) {
      await dialect.deleteItems(client, expired);
      await client.query(
        `UPDATE ${sessions} SET generation = (generation + ?) % ${MARKS} WHERE number IN (${list(changed.length)})`,
        [newMark(), ...changed],
      );
    }
    await shares.purged(client, heirs);
    // Also for those without deleted records: the record that set their bound was removed, and they would be
    // processed again.
    await client.query(
      `UPDATE ${sessions} SET ${bound} = (SELECT min(${column}) FROM ${items} WHERE session = number)
       WHERE number IN (${list(numbers.length)})`,
      numbers,
    );
    await dropEmpty(client, [...changed, ...heirs.map(({ number }) => number)]);
    return [...expired].flatMap(([session, seqs]) =>
      Array<string>(seqs.length).fill(ids.get(session) as string),
    );
  }

  async function dropEmpty(client: SqlClient, changed: readonly number[]): Promise<void> {
    if (changed.length === 0) return;
    const { rows } = await client.query(
      `SELECT number FROM ${sessions} WHERE number IN (${list(changed.length)})
       AND NOT EXISTS (SELECT 1 FROM ${items} WHERE session = number)
       AND NOT EXISTS (SELECT 1 FROM ${dialect.table('shares')} WHERE session = number)`,
      changed,
    );
    if (rows.length === 0) return;
    const empty = rows.map((row) => Number(row['number']));
    await leaveSubjects(dialect, client, empty);
    await client.query(`DELETE FROM ${operations} WHERE session IN (${list(empty.length)})`, empty);
    await client.query(`DELETE FROM ${sessions} WHERE number IN (${list(empty.length)})`, empty);
  }

  return {
    async purge(expired, batch) {
      const purged: string[] = [];
      for (const rule of purgeRules(expired)) {
        const room = batch - purged.length;
        if (room === 0) return { sessions: purged, more: true };
        const most = Math.min(room, SESSIONS_A_STEP);
        // In the order of the index: a scan of the table would skip all rows that earlier batches deleted.
        const { rows } = await runner.read(
          `SELECT number FROM ${sessions} s WHERE ${rule.bound} <= ? AND ${notHeld} ORDER BY ${rule.bound} LIMIT ?`,
          [rule.time, most],
        );
        if (rows.length === 0) continue;
        const due = rows.map((row) => Number(row['number']));
        purged.push(...(await runner.transaction((client) => purgeSessions(client, due, rule, room))));
        if (rows.length === most || purged.length === batch) return { sessions: purged, more: true };
      }
      await removeEndedLeases();
      return { sessions: purged, more: false };
    },

    async expired(expired) {
      const rules = purgeRules(expired);
      const any = (column: 'bound' | 'column'): string =>
        rules.map((rule) => `${rule[column]} <= ?`).join(' OR ');
      const times = rules.map(({ time }) => time);
      const { rows } = await runner.read(
        `SELECT s.id, count(*) AS item_count FROM ${sessions} s JOIN ${items} i ON i.session = s.number
         WHERE (${any('bound')}) AND (${any('column')}) AND ${notHeld} GROUP BY s.number, s.id`,
        [...times, ...times],
      );
      return rows.map((row) => ({ id: text(row['id']), items: Number(row['item_count']) }));
    },
  };
}

/** A branch under a hold keeps the history that it has. */
async function protectHeld(dialect: SqlDialect, client: SqlClient, heirs: readonly Heir[]): Promise<void> {
  for (const { number, id } of heirs) {
    const held = await openHold(dialect, client, [id, ...ancestorsOf(id)]);
    if (held !== undefined) await sqlShares(dialect).takeOver(client, number);
  }
}
