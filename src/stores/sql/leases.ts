import type { Fence, Leases } from '../driver.ts';
import { lostTurnError } from '../failure.ts';
import { NOTHING, text, type SqlClient, type SqlRunner } from './client.ts';
import type { SqlDialect } from './dialect.ts';

/** Leases in a table, by the server's clock: those of the machines may differ. */
export function sqlLeases(dialect: SqlDialect, runner: SqlRunner): Leases {
  const leases = dialect.table('leases');
  const [insertBefore, insertAfter] = dialect.insertNew;
  return {
    async acquire(name, owner, milliseconds) {
      const token = await runner.transaction(async (client) => {
        await client.query(
          `${insertBefore} INTO ${leases} (name, owner, token, expires_at) VALUES (?, '', 0, 0) ${insertAfter}`,
          [name],
        );
        const { rows } = await client.query(
          `SELECT owner, token, expires_at, ${dialect.clock} AS at FROM ${leases} WHERE name = ? FOR UPDATE`,
          [name],
        );
        const [row] = rows;
        if (row === undefined) return NOTHING;
        const at = Number(row['at']);
        if (text(row['owner']) !== owner && Number(row['expires_at']) > at) return NOTHING;
        const next = Number(row['token']) + 1;
        await client.query(`UPDATE ${leases} SET owner = ?, token = ?, expires_at = ? WHERE name = ?`, [
          owner,
          next,
          at + milliseconds,
          name,
        ]);
        return next;
      });
      return token === NOTHING ? undefined : token;
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
      await runner.write(`UPDATE ${leases} SET expires_at = 0 WHERE name = ? AND owner = ?`, [name, owner]);
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
