import type { Change, View } from '../driver.ts';
import { isBranch, rootOf } from '../../derived-id.ts';
import { MARKS, newMark } from '../marks.ts';
import { kept, list, text, type SqlClient, type SqlRow } from './client.ts';
import { assertNotHeld } from './dek-store.ts';
import type { SqlDialect } from './dialect.ts';
import { insertItems } from './insert-items.ts';
import { sqlShares } from './shares.ts';

/** Where a change is made. */
interface Target {
  readonly id: string;
  readonly session: number;
  /** The rows of the view, in the order of the history. */
  readonly rows: readonly SqlRow[];
}

/** Applies a decided change, in a transaction that has the lock on the session. */
export function sqlChange(
  dialect: SqlDialect,
  { operationLog, now }: { readonly operationLog: number; readonly now: () => number },
): {
  /** Removes everything of a session. `ERR_HELD` under a hold. */
  readonly drop: (client: SqlClient, sessionId: string) => Promise<void>;
  readonly apply: (client: SqlClient, target: Target, view: View, change: Change) => Promise<void>;
} {
  const sessions = dialect.table('sessions');
  const items = dialect.table('items');
  const shares = sqlShares(dialect);
  const destroy = keyDestruction(dialect, now);
  const operations = dialect.table('operations');
  const deleteItems = kept(`DELETE FROM ${items} WHERE session = ?`);
  const deleteBetween = kept(`DELETE FROM ${items} WHERE session = ? AND seq BETWEEN ? AND ?`);
  const findAfter = kept(`SELECT 1 FROM ${items} WHERE session = ? AND seq > ? LIMIT 1`);
  const deleteOperations = kept(`DELETE FROM ${operations} WHERE session = ?`);
  const deleteSession = kept(`DELETE FROM ${sessions} WHERE number = ?`);
  const deleteLease = kept(`DELETE FROM ${dialect.table('leases')} WHERE name = ?`);
  const findOrigins = kept(`SELECT DISTINCT origin FROM ${items} WHERE session = ? AND origin IS NOT NULL`);
  const findSession = kept(`SELECT 1 FROM ${sessions} WHERE id = ?`);
  const moveOn = kept(`UPDATE ${sessions} SET generation = (generation + ?) % ${MARKS} WHERE number = ?`);
  const lastPosition = kept(`SELECT max(position) AS last FROM ${operations} WHERE session = ?`);
  const logOperation = kept(
    `INSERT INTO ${operations} (session, operation, digest, position) VALUES (?, ?, ?, ?)`,
  );
  const forgetOldest = kept(`DELETE FROM ${operations} WHERE session = ? AND position <= ?`);

  async function drop(client: SqlClient, sessionId: string): Promise<void> {
    const { session } = await dialect.reserve(client, { id: sessionId, mark: 0 });
    await assertNotHeld(dialect, client, sessionId);
    await shares.leave(client, session);
    const hasShared = isBranch(sessionId);
    if (hasShared) await shares.forget(client, session);
    const origins = hasShared ? (await client.query(findOrigins, [session])).rows : [];
    await client.query(deleteItems, [session]);
    await client.query(deleteOperations, [session]);
    await leaveSubjects(dialect, client, [session]);
    await client.query(deleteSession, [session]);
    await client.query(deleteLease, [`session ${sessionId}`]);
    await destroy(client, sessionId);
    // Sessions that are gone left their data keys to these records.
    for (const row of origins) {
      const origin = text(row['origin']);
      if ((await client.query(findSession, [origin])).rows.length === 0) await destroy(client, origin);
    }
  }

  async function apply(client: SqlClient, target: Target, view: View, change: Change): Promise<void> {
    const { id, session, rows } = target;
    const { remove } = change;
    const stored = new Set(view.records);
    let firstSeq: number | undefined;
    if (remove === 'all') {
      await shares.leave(client, session);
      if (isBranch(id)) await shares.forget(client, session);
      await client.query(deleteItems, [session]);
    } else if (remove !== 'none' && remove.count > 0) {
      const first = seqOf(rows[remove.start]);
      const last = seqOf(rows[remove.start + remove.count - 1]);
      await shares.remove(client, id, session, first, last);
      await client.query(deleteBetween, [session, first, last]);
      // Replacements inside the history use the numbers that end with the last removed one. There are enough of
      // them, unless the first records were replaced; then the numbers can be negative.
      const after = await client.query(findAfter, [session, last]);
      if (after.rows.length > 0) firstSeq = last - change.insert.length + 1;
    }
    if (change.insert.length > 0) {
      const numbers = firstSeq === undefined ? change.insert.length : 0;
      const reserved = await dialect.reserve(
        client,
        { id, mark: change.mark ?? newMark() },
        change.insert,
        numbers,
      );
      firstSeq ??= reserved.firstSeq;
      await insertItems(dialect, client, { id, session, firstSeq }, change.insert, stored);
    }
    if (change.archive !== undefined) {
      const { sessionId, records: archived } = change.archive;
      const archive = await dialect.reserve(client, { id: sessionId, mark: newMark() }, archived);
      await insertItems(dialect, client, { id: sessionId, ...archive }, archived);
    }
    if (change.share !== undefined) {
      const { count } = change.share;
      const end = count === 'all' ? await shares.last(client, session) : placeOf(rows[count - 1], session);
      if (end !== undefined) await shares.begin(client, id, session, change.share, end);
    }
    if (change.forgetOperations) await client.query(deleteOperations, [session]);
    if (change.operation !== undefined) await log(client, session, change.operation);
    // Inserted records have changed the version.
    if (remove !== 'none' && change.insert.length === 0) {
      await client.query(moveOn, [newMark(), session]);
    }
  }

  async function log(
    client: SqlClient,
    session: number,
    operation: { readonly key: string; readonly digest: string },
  ): Promise<void> {
    const { rows } = await client.query(lastPosition, [session]);
    const position = Number(rows[0]?.['last'] ?? 0) + 1;
    await client.query(logOperation, [session, operation.key, operation.digest, position]);
    await client.query(forgetOldest, [session, position - operationLog]);
  }

  return { drop, apply };
}

/** Destroys the data keys of a session, except for the ones that records need which branches have taken over. */
function keyDestruction(
  dialect: SqlDialect,
  now: () => number,
): (client: SqlClient, sessionId: string) => Promise<void> {
  const items = dialect.table('items');
  const destroyDeks = kept(
    `UPDATE ${dialect.table('deks')} SET wrapped = NULL, destroyed_at = ? WHERE session = ? AND wrapped IS NOT NULL`,
  );
  const findKin = kept(`SELECT number FROM ${dialect.table('sessions')} WHERE root = ?`);

  return async (client, sessionId) => {
    const { rows: kin } = await client.query(findKin, [rootOf(sessionId)]);
    const needed =
      kin.length === 0
        ? []
        : (
            await client.query(
              `SELECT DISTINCT dek FROM ${items} WHERE session IN (${list(kin.length)}) AND origin = ? AND dek IS NOT NULL`,
              [...kin.map((row) => Number(row['number'])), sessionId],
            )
          ).rows.map((row) => Number(row['dek']));
    if (needed.length === 0) await client.query(destroyDeks, [now(), sessionId]);
    else {
      await client.query(`${destroyDeks.sql} AND number NOT IN (${list(needed.length)})`, [
        now(),
        sessionId,
        ...needed,
      ]);
    }
  };
}

/**
 * Gives the sessions derived from removed ones their subject, so that they are found by it. @param going Their
 * numbers.
 */
export async function leaveSubjects(
  dialect: SqlDialect,
  client: SqlClient,
  going: readonly number[],
): Promise<void> {
  const sessions = dialect.table('sessions');
  const { rows } = await client.query(
    `SELECT id, subject FROM ${sessions} WHERE number IN (${list(going.length)}) AND subject IS NOT NULL`,
    going,
  );
  for (const row of rows) {
    await client.query(`UPDATE ${sessions} SET subject = ? WHERE root = ? AND subject IS NULL`, [
      text(row['subject']),
      text(row['id']),
    ]);
  }
}

function seqOf(row: SqlRow | undefined): number {
  return Number(row?.[8]);
}

/** Rows of a branch say which session has the item. */
function placeOf(
  row: SqlRow | undefined,
  session: number,
): { readonly base: number; readonly high: number } | undefined {
  return row && { base: Number(row[9] ?? session), high: seqOf(row) };
}
