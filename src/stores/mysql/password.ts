import type { Pool, PoolConnection } from 'mysql2/promise';
import { credentials, type PasswordProvider } from '../credentials.ts';
import { underneath, type MysqlPool } from './pool.ts';

/**
 * The pool, with the current password. `mysql2` accepts a password, not a function: a pool copies its settings to
 * each connection that it opens, so the password is set there before a connection is requested.
 */
export function withPassword(pool: Pool, provider: PasswordProvider): MysqlPool {
  // A pool does not report when it opens a connection, so a password without an expiry is requested again when it
  // is refused.
  const secret = credentials(provider, 'until refused');
  // mysql2 reads it at each connection; its types do not name it.
  const { connectionConfig } = pool.pool.config as unknown as { connectionConfig: { password?: string } };

  async function connect(): Promise<PoolConnection> {
    const password = await secret.current();
    connectionConfig.password = password;
    try {
      return await pool.getConnection();
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ER_ACCESS_DENIED_ERROR') throw error;
      const next = await secret.current(password);
      if (next === password) throw error;
      connectionConfig.password = next;
      return await pool.getConnection();
    }
  }

  return {
    getConnection: () => secret.lend(connect, (connection) => connection.destroy(), underneath),
    end: () => pool.end(),
  };
}
