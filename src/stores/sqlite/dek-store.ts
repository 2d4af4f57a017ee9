import type { DekRecord, DekStore, DekTombstone, HoldStore } from '../../keys/dek-store.ts';
import type { Connection } from './connection.ts';
import type { Row, Statements } from './statements.ts';
import { assertNotHeld, sqliteHolds } from './holds.ts';

/** As floating point: an edited whole number beyond 2^53 would fail in the driver. */
const COLUMNS = `key, session, did, kid, wrapped, CAST(created_at AS REAL) AS created_at,
  CAST(destroyed_at AS REAL) AS destroyed_at`;

const PAGE = 200;

/** The number of its row, `undefined` when there is one of its name, destroyed or not. */
export function insertDek(
  { insert }: Statements,
  { sessionId, did, kid, wrapped, createdAt }: DekRecord,
): number | undefined {
  const sql = `INSERT INTO strongroom_deks (session, did, kid, wrapped, created_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (session, did) DO NOTHING`;
  return insert(sql, sessionId, did, kid, wrapped, createdAt);
}

/** Wrapped data keys, their tombstones and legal holds, in tables beside the items. */
export function sqliteDekStore(
  connection: Connection,
  now: () => number,
): DekStore & { readonly holds: HoldStore } {
  const toDek = (row: Row): DekRecord => ({
    sessionId: row['session'] as string,
    did: row['did'] as string,
    kid: row['kid'] as string,
    wrapped: row['wrapped'] as string,
    createdAt: row['created_at'] as number,
  });
  const toTombstone = (row: Row): DekTombstone => ({
    sessionId: row['session'] as string,
    did: row['did'] as string,
    destroyedAt: row['destroyed_at'] as number,
  });
  return {
    put: (record) => connection.write((statements) => insertDek(statements, record) !== undefined),
    get: (sessionId, did) =>
      connection.read(({ get }) => {
        const row = get(
          `SELECT ${COLUMNS} FROM strongroom_deks WHERE session = ? AND did = ?`,
          sessionId,
          did,
        );
        if (row === undefined) return undefined;
        return row['wrapped'] === null ? toTombstone(row) : toDek(row);
      }),
    async *list({ sessionId, kid } = {}) {
      for (let after = 0; ;) {
        const page = await connection.read(({ all }) =>
          all(
            `SELECT ${COLUMNS} FROM strongroom_deks WHERE key > ?1 AND wrapped IS NOT NULL
               AND (?2 IS NULL OR session = ?2) AND (?3 IS NULL OR kid = ?3) ORDER BY key LIMIT ${PAGE}`,
            after,
            sessionId ?? null,
            kid ?? null,
          ),
        );
        for (const row of page) yield toDek(row);
        const last = page.at(-1);
        // A page that is not full is the last one, also while another process adds keys.
        if (last === undefined || page.length < PAGE) return;
        after = last['key'] as number;
      }
    },
    replaceWrapped: (sessionId, did, expected, next) =>
      connection.write(
        ({ run }) =>
          run(
            'UPDATE strongroom_deks SET wrapped = ?, kid = ? WHERE session = ? AND did = ? AND wrapped = ?',
            next.wrapped,
            next.kid,
            sessionId,
            did,
            expected,
          ) === 1,
      ),
    destroy: (sessionId, did) =>
      connection.write(
        (statements) => {
          const { all, run } = statements;
          assertNotHeld(statements, sessionId);
          run(
            `UPDATE strongroom_deks SET wrapped = NULL, destroyed_at = ?
           WHERE session = ? AND did = ifnull(?, did) AND wrapped IS NOT NULL`,
            now(),
            sessionId,
            did ?? null,
          );
          return all(
            `SELECT ${COLUMNS} FROM strongroom_deks WHERE session = ? AND did = ifnull(?, did)`,
            sessionId,
            did ?? null,
          ).map(toTombstone);
        },
        () => true,
      ),
    holds: sqliteHolds(connection),
  };
}
