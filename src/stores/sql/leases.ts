import { type Fence, type Leases, lostTurnError } from '../../session-contract.ts';
import { leaseWatch } from '../lease-watch.ts';
import { single, text, type SqlClient, type SqlRunner } from './client.ts';
import type { SqlDialect } from './dialect.ts';

/**
 * Leases in a table. They expire by the server's clock, because those of the machines may differ, and by
 * observation (see lease-watch.ts). The owner keeps the lease after its end, until another owner takes it over.
 */
export function sqlLeases(dialect: SqlDialect, runner: SqlRunner): Leases {
  const leases = dialect.table('leases');
  const mayTake = leaseWatch(0);

  async function renew(name: string, owner: string, milliseconds: number): Promise<boolean> {
    const { changes } = await runner.write(
      `UPDATE ${leases} SET expires_at = ${dialect.clock} + ? WHERE name = ? AND owner = ?`,
      [milliseconds, name, owner],
    );
    return changes === 1;
  }

  return {
    async acquire(name, owner, milliseconds, patience = 0) {
      const row = {
        table: 'leases',
        columns: 'name, owner, expires_at',
        places: `?, ?, ${dialect.clock} + ?`,
        values: [name, owner, milliseconds],
      } as const;
      if (await dialect.insertNew(single(runner), row)) return true;
      const { rows } = await runner.read(
        `SELECT owner, expires_at, ${dialect.clock} AS server_time FROM ${leases} WHERE name = ?`,
        [name],
      );
      const [found] = rows;
      // It was released just now. The next call gets it.
      if (found === undefined) return false;
      const current = text(found['owner']);
      if (current === owner) return await renew(name, owner, milliseconds);
      const [ends, clock] = [Number(found['expires_at']), Number(found['server_time'])];
      const seen = [name, current, ends];
      if (mayTake(name, { owner: current, ends, ended: ends <= clock }, { milliseconds, patience })) {
        const { changes } = await runner.write(
          `UPDATE ${leases} SET owner = ?, expires_at = ${dialect.clock} + ? WHERE name = ? AND owner = ? AND expires_at = ?`,
          [owner, milliseconds, ...seen],
        );
        return changes === 1;
      }
      if (ends > clock + milliseconds) {
        // The clock was ahead when it was written.
        await runner.write(
          `UPDATE ${leases} SET expires_at = ${dialect.clock} + ? WHERE name = ? AND owner = ? AND expires_at = ?`,
          [milliseconds, ...seen],
        );
      }
      return false;
    },
    renew,
    async release(name, owner) {
      await runner.write(`DELETE FROM ${leases} WHERE name = ? AND owner = ?`, [name, owner]);
    },
  };
}

/** Longer than a clock jumps. */
const LONG_AGO = 2 * 3_600_000;
const MOST_A_PURGE = 1_000;

/**
 * Removes leases that ended long ago, and those that an earlier purge of this process found ended and that were not renewed since:
 * a clock that jumped ahead must not remove them from live owners.
 */
export function leasePurge(dialect: SqlDialect, runner: SqlRunner): () => Promise<void> {
  const leases = dialect.table('leases');
  let found: ReadonlySet<string> = new Set();
  return async () => {
    const { rows } = await runner.read(
      `SELECT name, owner, expires_at, ${dialect.clock} AS server_time FROM ${leases} WHERE expires_at <= ${dialect.clock}
       LIMIT ${MOST_A_PURGE}`,
    );
    const before = found;
    const ended = rows.map((row) => {
      const key = [text(row['name']), text(row['owner']), Number(row['expires_at'])] as const;
      const isOld = Number(row['expires_at']) <= Number(row['server_time']) - LONG_AGO;
      return { key, isOver: isOld || before.has(key.join(' ')) };
    });
    found = new Set(ended.map(({ key }) => key.join(' ')));
    for (const { key, isOver } of ended) {
      const where = 'name = ? AND owner = ? AND expires_at = ?';
      if (isOver) await runner.write(`DELETE FROM ${leases} WHERE ${where}`, key);
    }
  };
}

/**
 * No other owner can get the lease until the transaction ends.
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
    `SELECT 1 FROM ${dialect.table('leases')} WHERE name = ? AND owner = ? ${dialect.forShare}`,
    [lease, owner],
  );
  if (rows.length === 0) throw lostTurnError(sessionId);
}
