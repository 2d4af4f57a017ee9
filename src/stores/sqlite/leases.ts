import type { Fence, Leases } from '../../session-contract.ts';
import type { Connection } from './connection.ts';
import type { Statements } from './statements.ts';

/**
 * Milliseconds of the monotonic clock of the machine. It is the same for all processes of the machine, and only
 * they can have the file open.
 */
function machineTime(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** Leases by a clock that does not jump. The owner keeps the lease after its end, until another owner takes it over. */
export function sqliteLeases(connection: Connection): Leases {
  return {
    acquire: (name, owner, milliseconds) =>
      connection.write(({ run }) => {
        const now = machineTime();
        // One that lasts longer than its duration is from before a restart of the machine.
        run(
          'UPDATE strongroom_leases SET expires_at = ?2 WHERE name = ?1 AND expires_at > ?2',
          name,
          now + milliseconds,
        );
        const taken = run(
          `INSERT INTO strongroom_leases (name, owner, expires_at) VALUES (?1, ?2, ?3 + ?4)
             ON CONFLICT (name) DO UPDATE SET owner = ?2, expires_at = ?3 + ?4 WHERE owner = ?2 OR expires_at <= ?3`,
          name,
          owner,
          now,
          milliseconds,
        );
        return taken === 1;
      }),
    renew: (name, owner, milliseconds) =>
      connection.write(({ run }) => {
        const sql = 'UPDATE strongroom_leases SET expires_at = ? WHERE name = ? AND owner = ?';
        return run(sql, machineTime() + milliseconds, name, owner) === 1;
      }),
    release: (name, owner) =>
      connection.write(({ run }) => {
        run('DELETE FROM strongroom_leases WHERE name = ? AND owner = ?', name, owner);
      }),
  };
}

export function stands({ get }: Statements, { lease, owner }: Fence): boolean {
  return get('SELECT 1 FROM strongroom_leases WHERE name = ? AND owner = ?', lease, owner) !== undefined;
}

/** No lease lasts as long. */
const DAY = 86_400_000;

/** Removes expired leases; those that seem to last for days are from before a restart of the machine. */
export function removeEndedLeases({ run }: Statements): void {
  const now = machineTime();
  run('DELETE FROM strongroom_leases WHERE expires_at <= ? OR expires_at > ?', now, now + DAY);
}
