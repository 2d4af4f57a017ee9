import { ancestorsOf } from '../../derived-id.ts';
import { inSlices } from '../../slices.ts';
import type { Expired, PurgeStep, StoreDriver } from '../driver.ts';
import { purgeRules, SESSIONS_A_STEP } from '../first-times.ts';
import { MARKS, newMark } from '../marks.ts';
import type { Connection } from './connection.ts';
import { openHold } from './holds.ts';
import { removeEndedLeases } from './leases.ts';
import { isEmpty, protectHeld, purgedFor } from './shares.ts';
import type { Statements } from './statements.ts';

/**
 * Holds are few: the list is made once a statement. A hold also covers derived sessions: all of a root, and those
 * whose id ends with `~` and the id of the session.
 */
const NOT_HELD = `AND s.id NOT IN (SELECT session FROM strongroom_holds WHERE released_at IS NULL)
  AND (s.root IS NULL OR NOT EXISTS (SELECT 1 FROM strongroom_holds h WHERE h.released_at IS NULL
    AND (h.session = s.root OR (substr(s.id, -length(h.session) - 1) = '~' || h.session
      AND substr(h.session, -length(s.root) - 1) = '~' || s.root))))`;

/** Records that one statement deletes: it cannot be interrupted. */
const MOST_A_STATEMENT = 256;

/** Deletes expired records, a batch in one transaction. */
export function sqlitePurge(connection: Connection): Pick<StoreDriver, 'purge' | 'expired'> {
  return {
    purge: (expired, batch) =>
      connection.write(
        (statements) => inSlices(purge(statements, expired, batch)),
        () => true,
      ),

    expired: ({ now, writtenBefore }) =>
      connection.read(({ all }) =>
        all(
          `SELECT s.id, count(*) AS items FROM strongroom_sessions s JOIN strongroom_items i ON i.session = s.key
           WHERE (s.first_expiry_at <= ?1 OR s.first_birth_at <= ?2)
             AND (i.expires_at <= ?1 OR coalesce(i.born_at, i.written_at) <= ?2) ${NOT_HELD} GROUP BY s.key`,
          now,
          writtenBefore ?? null,
        ).map((row) => ({ id: row['id'] as string, items: row['items'] as number })),
      ),
  };
}

function* purge(statements: Statements, expired: Expired, batch: number): Generator<void, PurgeStep> {
  const { all, run } = statements;
  const sessions: string[] = [];
  for (const { bound, column, time } of purgeRules(expired)) {
    const due = all(
      `SELECT s.key, s.id FROM strongroom_sessions s WHERE s.${bound} <= ? ${NOT_HELD} ORDER BY s.${bound} LIMIT ?`,
      time,
      SESSIONS_A_STEP,
    );
    for (const { key, id } of due as { key: number; id: string }[]) {
      const room = batch - sessions.length;
      if (room === 0) return { sessions, more: true };
      protectHeld(
        statements,
        key,
        (heir) => openHold(statements, [heir, ...ancestorsOf(heir)]) !== undefined,
      );
      let deleted = 0;
      for (let some = 1; some > 0 && deleted < room; deleted += some) {
        yield;
        const sql = `DELETE FROM strongroom_items WHERE key IN
           (SELECT key FROM strongroom_items WHERE session = ? AND ${column} <= ? LIMIT ?)`;
        some = run(sql, key, time, Math.min(room - deleted, MOST_A_STATEMENT));
      }
      for (let item = 0; item < deleted; item++) sessions.push(id);
      const heirs = deleted > 0 ? purgedFor(statements, key) : [];
      for (const heir of heirs)
        if (isEmpty(statements, heir)) removeSession(statements, heir, idOf(statements, heir));
      if (deleted > 0 && isEmpty(statements, key)) {
        removeSession(statements, key, id);
        continue;
      }
      // Also when nothing was deleted: the record that set the bound was removed, and the session would be
      // processed again.
      run(
        `UPDATE strongroom_sessions SET generation = (generation + ?) % ${MARKS},
           ${bound} = (SELECT min(${column}) FROM strongroom_items WHERE session = ?) WHERE key = ?`,
        deleted === 0 ? 0 : newMark(),
        key,
        key,
      );
    }
    if (due.length === SESSIONS_A_STEP) return { sessions, more: true };
  }
  if (sessions.length === batch) return { sessions, more: true };
  removeEndedLeases(statements);
  return { sessions, more: false };
}

function idOf({ get }: Statements, key: number): string {
  return get('SELECT id FROM strongroom_sessions WHERE key = ?', key)?.['id'] as string;
}

/** Its derived sessions keep its subject, so that they are found by it. */
export function removeSession({ run }: Statements, key: number, id: string): void {
  run(
    `UPDATE strongroom_sessions SET subject = (SELECT subject FROM strongroom_sessions WHERE key = ?)
     WHERE root = ? AND subject IS NULL`,
    key,
    id,
  );
  run('DELETE FROM strongroom_operations WHERE session = ?', key);
  run('DELETE FROM strongroom_sessions WHERE key = ?', key);
  run('DELETE FROM strongroom_shares WHERE session = ?', key);
}
