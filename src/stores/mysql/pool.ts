import { inTime, TimeoutError } from '../in-time.ts';
import type { FailureKind, SqlLoan, SqlPool, SqlResult, SqlRow } from '../sql/client.ts';

/** The part of a `mysql2/promise` pool that is used. */
export interface MysqlPool {
  getConnection(): Promise<MysqlConnection>;
  end(): Promise<void>;
}

/** The part of a pooled `mysql2/promise` connection that is used. */
export interface MysqlConnection {
  query(sql: string, values?: unknown[]): Promise<[unknown, unknown]>;
  release(): void;
  destroy(): void;
}

/** What stays the same when a pool lends a connection again, in a new wrapper. */
export function underneath(connection: object): object {
  return (connection as { connection?: object }).connection ?? connection;
}

/** Connections that have our settings. */
const prepared = new WeakSet<object>();

/**
 * @param timeout Milliseconds for one statement, and for getting a connection.
 */
export function fromPool(pool: MysqlPool, timeout: number, close: () => Promise<void>): SqlPool {
  const seconds = Math.max(1, Math.ceil(timeout / 1_000));
  // Escaping of values needs backslashes to mean what they mean by default; row locks need no gaps between rows.
  const settings = [
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    `SET SESSION innodb_lock_wait_timeout = ${seconds}`,
  ];
  return {
    async acquire(): Promise<SqlLoan> {
      const connecting = pool.getConnection();
      const connection = await inTime(connecting, timeout, () => {
        connecting.then(
          (late) => late.release(),
          () => undefined,
        );
      });
      const same = underneath(connection);
      try {
        if (!prepared.has(same)) {
          for (const setting of settings) await inTime(connection.query(setting), timeout);
          prepared.add(same);
        }
      } catch (error) {
        connection.destroy();
        throw error;
      }
      return {
        async query(statement, values = []): Promise<SqlResult> {
          const sql = typeof statement === 'string' ? statement : statement.sql;
          const escapable = values.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value));
          const [result] = await inTime(connection.query(sql, escapable), timeout);
          if (Array.isArray(result)) return { rows: result as SqlRow[], changes: 0 };
          return { rows: [], changes: (result as { affectedRows?: number }).affectedRows ?? 0 };
        },
        release: (broken) => (broken ? connection.destroy() : connection.release()),
      };
    },
    close,
  };
}

const FAILURES: Readonly<Record<string, string>> = {
  ER_ACCESS_DENIED_ERROR: 'the database refused the user or the password',
  ER_BAD_DB_ERROR: 'the database does not exist',
  ER_CON_COUNT_ERROR: 'the database has too many connections',
  ER_DISK_FULL: 'the disk of the database is full',
  ER_NET_PACKET_TOO_LARGE: 'the call is larger than the server takes (max_allowed_packet)',
  ER_NO_SUCH_TABLE: 'a table is missing: let the store create its tables, or run mysqlSetup() by hand',
  ER_OPTION_PREVENTS_STATEMENT: 'the database is read-only',
  ER_RECORD_FILE_FULL: 'the disk of the database is full',
  ER_TABLEACCESS_DENIED_ERROR: 'the database user may not do this',
};
const TRANSIENT = ['ER_LOCK_DEADLOCK', 'ER_CHECKREAD'];

export function mysqlFailure(error: unknown): FailureKind {
  const { code, errno, fatal } = (error ?? {}) as { code?: unknown; errno?: unknown; fatal?: unknown };
  if (error instanceof TimeoutError || code === 'ETIMEDOUT') {
    return { what: 'the database did not answer in time', disconnected: true, late: true };
  }
  const name = typeof code === 'string' ? code : '';
  if (TRANSIENT.includes(name))
    return { what: 'the database ended a conflict of transactions', transient: true };
  const known = FAILURES[name];
  const disconnected = fatal === true || !name.startsWith('ER_') || name === 'ER_SERVER_SHUTDOWN';
  if (known !== undefined) return { what: known, disconnected };
  if (disconnected) return { what: 'the connection to the database failed', disconnected };
  return { what: `the database answered with error ${String(errno)} (${name})` };
}
