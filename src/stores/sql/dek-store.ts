import { defined } from '../../defined.ts';
import { ancestorsOf, rootOf } from '../../derived-id.ts';
import {
  type HoldStore,
  type HoldRecord,
  type DekTombstone,
  type DekStore,
  type DekRecord,
  heldError,
} from '../../keys/dek-store.ts';
import {
  kept,
  list,
  single,
  text,
  type SqlClient,
  type SqlRow,
  type SqlRunner,
  type SqlValue,
} from './client.ts';
import type { HeldSession } from '../driver.ts';
import type { SqlDialect } from './dialect.ts';

const PAGE = 200;

/** The database's own table of wrapped data keys. */
export function sqlDekStore(
  dialect: SqlDialect,
  runner: SqlRunner,
  now: () => number,
): DekStore & { readonly holds: HoldStore } {
  const deks = dialect.table('deks');
  const columns = `number, session, did, kid, ${dialect.bytes('wrapped')}, created_at, destroyed_at`;
  const find = kept(`SELECT ${columns} FROM ${deks} WHERE session = ? AND did = ?`);
  return {
    put: ({ sessionId, did, kid, wrapped, createdAt }) =>
      dialect.insertNew(single(runner), {
        table: 'deks',
        columns: 'session, did, kid, wrapped, created_at',
        places: list(5),
        values: [sessionId, did, kid, wrapped, createdAt],
      }),

    async get(sessionId, did) {
      const { rows } = await runner.read(find, [sessionId, did]);
      const [row] = rows;
      if (row === undefined) return undefined;
      return row['wrapped'] === null ? toTombstone(row) : toDek(row);
    },

    async *list({ sessionId, kid } = {}) {
      for (let after = 0; ;) {
        const conditions = ['number > ?', 'wrapped IS NOT NULL'];
        const values: SqlValue[] = [after];
        if (sessionId !== undefined) {
          conditions.push('session = ?');
          values.push(sessionId);
        }
        if (kid !== undefined) {
          conditions.push('kid = ?');
          values.push(kid);
        }
        const { rows } = await runner.read(
          `SELECT ${columns} FROM ${deks} WHERE ${conditions.join(' AND ')} ORDER BY number LIMIT ${PAGE}`,
          values,
        );
        for (const row of rows) yield toDek(row);
        const last = rows.at(-1);
        if (last === undefined || rows.length < PAGE) return;
        after = Number(last['number']);
      }
    },

    async replaceWrapped(sessionId, did, expected, next) {
      const { changes } = await runner.write(
        `UPDATE ${deks} SET wrapped = ?, kid = ? WHERE session = ? AND did = ? AND wrapped = ?`,
        [next.wrapped, next.kid, sessionId, did, expected],
      );
      return changes === 1;
    },

    async destroy(sessionId, did) {
      const which = did === undefined ? 'session = ?' : 'session = ? AND did = ?';
      const values = did === undefined ? [sessionId] : [sessionId, did];
      return await runner.transaction(async (client) => {
        await lockSession(dialect, client, sessionId);
        await assertNotHeld(dialect, client, sessionId);
        await client.query(
          `UPDATE ${deks} SET wrapped = NULL, destroyed_at = ? WHERE ${which} AND wrapped IS NOT NULL`,
          [now(), ...values],
        );
        const { rows } = await client.query(`SELECT ${columns} FROM ${deks} WHERE ${which}`, values);
        return rows.map(toTombstone);
      });
    },
    holds: sqlHolds(dialect, runner),
  };
}

function toDek(row: SqlRow): DekRecord {
  return {
    sessionId: text(row['session']),
    did: text(row['did']),
    kid: text(row['kid']),
    wrapped: text(row['wrapped']),
    createdAt: Number(row['created_at']),
  };
}

function toTombstone(row: SqlRow): DekTombstone {
  return {
    sessionId: text(row['session']),
    did: text(row['did']),
    destroyedAt: Number(row['destroyed_at']),
  };
}

function sqlHolds(dialect: SqlDialect, runner: SqlRunner): HoldStore {
  const holds = dialect.table('holds');
  const texts = ['reason', 'placed_by', 'released_by'].map((column) => dialect.bytes(column)).join(', ');
  const columns = `id, session, ${texts}, placed_at, released_at`;
  return {
    place: ({ id, sessionId, reason, placedAt, placedBy }) =>
      runner.transaction(async (client) => {
        await lockTree(dialect, client, sessionId);
        return await dialect.insertNew(client, {
          table: 'holds',
          columns: 'id, session, reason, placed_at, placed_by',
          places: list(5),
          values: [id, sessionId, reason, placedAt, placedBy ?? null],
        });
      }),
    async release(id, releasedAt, releasedBy) {
      await runner.write(
        `UPDATE ${holds} SET released_at = ?, released_by = ? WHERE id = ? AND released_at IS NULL`,
        [releasedAt, releasedBy ?? null, id],
      );
      const { rows } = await runner.read(`SELECT ${columns} FROM ${holds} WHERE id = ?`, [id]);
      return rows[0] === undefined ? undefined : toHold(rows[0]);
    },
    async list({ sessionId, open } = {}) {
      const conditions = ['1 = 1'];
      if (sessionId !== undefined) conditions.push('session = ?');
      if (open !== undefined) conditions.push(`released_at IS ${open ? '' : 'NOT '}NULL`);
      const { rows } = await runner.read(
        `SELECT ${columns} FROM ${holds} WHERE ${conditions.join(' AND ')} ORDER BY number`,
        sessionId === undefined ? [] : [sessionId],
      );
      return rows.map(toHold);
    },
  };
}

/**
 * Prevents holds on the session until the transaction ends, and waits for running changes of it: every later
 * removal then finds a placed hold.
 */
async function lockSession(dialect: SqlDialect, client: SqlClient, sessionId: string): Promise<void> {
  await client.query(kept(`SELECT number FROM ${dialect.table('sessions')} WHERE id = ? FOR UPDATE`), [
    sessionId,
  ]);
}

/** The same for all sessions of one conversation: a hold on a session covers its derived sessions. */
async function lockTree(dialect: SqlDialect, client: SqlClient, sessionId: string): Promise<void> {
  const root = rootOf(sessionId);
  await lockSession(dialect, client, root);
  await client.query(
    kept(`SELECT number FROM ${dialect.table('sessions')} WHERE root = ? ORDER BY number FOR UPDATE`),
    [root],
  );
}

/**
 * Called in the transaction that removes, after locking the session. A hold also covers derived sessions.
 *
 * @throws {@link StrongroomError} `ERR_HELD`.
 */
export async function assertNotHeld(
  dialect: SqlDialect,
  client: SqlClient,
  sessionId: string,
): Promise<void> {
  const held = await openHold(dialect, client, [sessionId, ...ancestorsOf(sessionId)]);
  if (held !== undefined) throw heldError(sessionId, held.hold);
}

/** The open holds on derived sessions. */
export async function derivedHolds(dialect: SqlDialect, client: SqlClient): Promise<readonly HeldSession[]> {
  const { rows } = await client.query(
    `SELECT id, session FROM ${dialect.table('holds')} WHERE released_at IS NULL AND session LIKE '~%'`,
    [],
  );
  return rows.map((row) => ({ sessionId: text(row['session']), hold: text(row['id']) }));
}

/** An open hold on one of these sessions. */
export async function openHold(
  dialect: SqlDialect,
  client: SqlClient,
  sessionIds: readonly string[],
): Promise<HeldSession | undefined> {
  const { rows } = await client.query(
    `SELECT id, session FROM ${dialect.table('holds')}
     WHERE session IN (${list(sessionIds.length)}) AND released_at IS NULL LIMIT 1`,
    sessionIds,
  );
  const [row] = rows;
  return row && { sessionId: text(row['session']), hold: text(row['id']) };
}

function toHold(row: SqlRow): HoldRecord {
  return defined({
    id: text(row['id']),
    sessionId: text(row['session']),
    reason: text(row['reason']),
    placedAt: Number(row['placed_at']),
    placedBy: row['placed_by'] === null ? undefined : text(row['placed_by']),
    releasedAt: row['released_at'] === null ? undefined : Number(row['released_at']),
    releasedBy: row['released_by'] === null ? undefined : text(row['released_by']),
  });
}
