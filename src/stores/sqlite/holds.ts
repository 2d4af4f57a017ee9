import { defined } from '../../defined.ts';
import { ancestorsOf } from '../../derived-id.ts';
import { heldError, type HoldRecord, type HoldStore } from '../../keys/dek-store.ts';
import type { HeldSession } from '../driver.ts';
import type { Connection } from './connection.ts';
import type { Row, Statements } from './statements.ts';

/** Legal holds, in the file of the items. */
export function sqliteHolds(connection: Connection): HoldStore {
  return {
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
}

/** @throws {@link StrongroomError} `ERR_HELD`. In the transaction that deletes. */
export function assertNotHeld(statements: Statements, sessionId: string): void {
  const held = openHold(statements, [sessionId, ...ancestorsOf(sessionId)]);
  if (held !== undefined) throw heldError(sessionId, held.hold);
}

/** The open holds on derived sessions. */
export function derivedHolds({ all }: Statements): readonly HeldSession[] {
  return all(
    "SELECT id, session FROM strongroom_holds WHERE released_at IS NULL AND session LIKE '~%' ORDER BY number",
  ).map((row) => ({ sessionId: row['session'] as string, hold: row['id'] as string }));
}

export function openHold({ get }: Statements, sessionIds: readonly string[]): HeldSession | undefined {
  const held = get(
    `SELECT id, session FROM strongroom_holds
     WHERE session IN (SELECT value FROM json_each(?)) AND released_at IS NULL LIMIT 1`,
    JSON.stringify(sessionIds),
  );
  return held && { sessionId: held['session'] as string, hold: held['id'] as string };
}

function toHold(row: Row): HoldRecord {
  return defined({
    id: row['id'] as string,
    sessionId: row['session'] as string,
    reason: row['reason'] as string,
    placedAt: row['placed_at'] as number,
    placedBy: (row['placed_by'] ?? undefined) as string | undefined,
    releasedAt: (row['released_at'] ?? undefined) as number | undefined,
    releasedBy: (row['released_by'] ?? undefined) as string | undefined,
  });
}
