import { openConnection, type Row } from '../stores/sqlite/connection.ts';
import { sqliteDekStore } from '../stores/sqlite/driver.ts';
import type { DekTombstone, HoldRecord, HoldStore } from './dek-store.ts';
import { heldError } from './held.ts';
import type { SqliteDekStore } from './sqlite-dek-store.ts';

const HOLDS = `CREATE TABLE IF NOT EXISTS strongroom_holds (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  session TEXT NOT NULL,
  reason TEXT NOT NULL,
  placed_at INTEGER NOT NULL,
  placed_by TEXT,
  released_at INTEGER,
  released_by TEXT
)`;

/** The file behind `sqliteDekStore`: the data key table of the SQLite store, and a table of holds. */
export async function openDekFile(
  path: string,
  busyTimeout: number,
  now: () => number,
): Promise<SqliteDekStore> {
  const connection = openConnection({ path, busyTimeout, durability: 'full' });
  await connection.write(({ run }) => run(HOLDS));
  const deks = sqliteDekStore(connection, now);
  const holds: HoldStore = {
    place: (hold) =>
      connection.write(
        ({ run }) =>
          run(
            `INSERT INTO strongroom_holds (id, session, reason, placed_at, placed_by) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (id) DO NOTHING`,
            hold.id,
            hold.sessionId,
            hold.reason,
            hold.placedAt,
            hold.placedBy ?? null,
          ) === 1,
      ),
    release: (id, releasedAt, releasedBy) =>
      connection.write(({ run, get }) => {
        run(
          'UPDATE strongroom_holds SET released_at = ?, released_by = ? WHERE id = ? AND released_at IS NULL',
          releasedAt,
          releasedBy ?? null,
          id,
        );
        const row = get('SELECT * FROM strongroom_holds WHERE id = ?', id);
        return row === undefined ? undefined : toHold(row);
      }),
    list: ({ sessionId, open } = {}) =>
      connection.read(({ all }) =>
        all(
          `SELECT * FROM strongroom_holds WHERE (?1 IS NULL OR session = ?1)
             AND (?2 IS NULL OR (released_at IS NULL) = ?2) ORDER BY number`,
          sessionId ?? null,
          open === undefined ? null : Number(open),
        ).map(toHold),
      ),
  };
  const close = (): Promise<void> => connection.close();
  return {
    ...deks,
    destroy: (sessionId, did) =>
      connection.write(({ get, run, all }) => {
        const held = get(
          'SELECT id FROM strongroom_holds WHERE session = ? AND released_at IS NULL LIMIT 1',
          sessionId,
        );
        if (held !== undefined) throw heldError(sessionId, held['id'] as string);
        run(
          `UPDATE strongroom_deks SET wrapped = NULL, destroyed_at = ?
             WHERE session = ? AND did = ifnull(?, did) AND wrapped IS NOT NULL`,
          now(),
          sessionId,
          did ?? null,
        );
        return all(
          'SELECT * FROM strongroom_deks WHERE session = ? AND did = ifnull(?, did)',
          sessionId,
          did ?? null,
        ).map(toTombstone);
      }),
    holds,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function toTombstone(row: Row): DekTombstone {
  return {
    sessionId: row['session'] as string,
    did: row['did'] as string,
    destroyedAt: row['destroyed_at'] as number,
  };
}

function toHold(row: Row): HoldRecord {
  return {
    id: row['id'] as string,
    sessionId: row['session'] as string,
    reason: row['reason'] as string,
    placedAt: row['placed_at'] as number,
    ...(row['placed_by'] !== null && { placedBy: row['placed_by'] as string }),
    ...(row['released_at'] !== null && { releasedAt: row['released_at'] as number }),
    ...(row['released_by'] !== null && { releasedBy: row['released_by'] as string }),
  };
}
