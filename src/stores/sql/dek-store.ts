import type { DekRecord, DekStore, DekTombstone } from '../../keys/dek-store.ts';
import type { SqlRow, SqlRunner, SqlValue } from './client.ts';
import type { SqlDialect } from './dialect.ts';
import { text } from './driver.ts';

const PAGE = 200;

/** The database's own table of wrapped data keys. */
export function sqlDekStore(dialect: SqlDialect, runner: SqlRunner, now: () => number): DekStore {
  const deks = dialect.table('deks');
  const columns = 'number, session, did, kid, wrapped, created_at, destroyed_at';
  const [insertBefore, insertAfter] = dialect.insertNew;
  return {
    async put({ sessionId, did, kid, wrapped, createdAt }) {
      const { changes } = await runner.write(
        `${insertBefore} INTO ${deks} (session, did, kid, wrapped, created_at) VALUES (?, ?, ?, ?, ?) ${insertAfter}`,
        [sessionId, did, kid, wrapped, createdAt],
      );
      return changes === 1;
    },

    async get(sessionId, did) {
      const { rows } = await runner.read(`SELECT ${columns} FROM ${deks} WHERE session = ? AND did = ?`, [
        sessionId,
        did,
      ]);
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
        await client.query(
          `UPDATE ${deks} SET wrapped = NULL, destroyed_at = ? WHERE ${which} AND wrapped IS NOT NULL`,
          [now(), ...values],
        );
        const { rows } = await client.query(`SELECT ${columns} FROM ${deks} WHERE ${which}`, values);
        return rows.map(toTombstone);
      });
    },
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
