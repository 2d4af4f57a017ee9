import { single, type SqlClient, type SqlRunner } from './client.ts';
import type { SqlDialect } from './dialect.ts';
import { type Fence, type Leases, lostTurnError } from '../../session-contract.ts';

/** Leases in a table, by the server's clock: those of the machines may differ. */
export function sqlLeases(dialect: SqlDialect, runner: SqlRunner): Leases {
  const leases = dialect.table('leases');
  return {
    async acquire(name, owner, milliseconds) {
      const row = {
        table: 'leases',
        columns: 'name, owner, expires_at',
        places: `?, ?, ${dialect.clock} + ?`,
        values: [name, owner, milliseconds],
      } as const;
      if (await dialect.insertNew(single(runner), row)) return true;
      const taken = await runner.write(
        `UPDATE ${leases} SET expires_at = ${dialect.clock} + ?, owner = ? WHERE name = ?
         AND (owner = ? OR expires_at <= ${dialect.clock})`,
        [milliseconds, owner, name, owner],
      );
      return taken.changes === 1;
    },
    async renew(name, owner, milliseconds) {
      const { changes } = await runner.write(
        `UPDATE ${leases} SET expires_at = ${dialect.clock} + ? WHERE name = ? AND owner = ?
         AND expires_at > ${dialect.clock}`,
        [milliseconds, name, owner],
      );
      return changes === 1;
    },
    async release(name, owner) {
      await runner.write(`DELETE FROM ${leases} WHERE name = ? AND owner = ?`, [name, owner]);
    },
  };
}

/**
 * Until the transaction ends nobody else can get the lease.
 *
 * @throws {@link StrongroomError} `ERR_CONFLICT`.
 */
export async function assertStands(
  dialect: SqlDialect,
  client: SqlClient,
  sessionId: string,
  { lease, owner }: Fence,
): Promise<void> {
  const { rows } = await client.query(
    `SELECT 1 FROM ${dialect.table('leases')} WHERE name = ? AND owner = ? AND expires_at > ${dialect.clock}
     ${dialect.forShare}`,
    [lease, owner],
  );
  if (rows.length === 0) throw lostTurnError(sessionId);
}
