import { inTime, TimeoutError } from '../in-time.ts';
import {
  rowsFor,
  type FailureKind,
  type SqlLoan,
  type SqlPool,
  type SqlResult,
  type SqlValue,
  type Statement,
} from '../sql/client.ts';

/** The part of a `mysql2/promise` pool that is used. */
export interface MysqlPool {
  getConnection(): Promise<MysqlConnection>;
  end(): Promise<void>;
}

/** The part of a pooled `mysql2/promise` connection that is used. */
export interface MysqlConnection {
  query(statement: MysqlStatement, values?: unknown[]): Promise<[unknown, unknown]>;
  /** As a prepared statement, which the connection keeps. */
  execute?(statement: MysqlStatement, values?: MysqlValue[]): Promise<[unknown, unknown]>;
  release(): void;
  destroy(): void;
}

interface MysqlStatement {
  readonly sql: string;
  readonly rowsAsArray?: boolean;
}

/** What a statement that is prepared can be given. */
type MysqlValue = string | number | null | Buffer;

/** What stays the same when a pool lends a connection again, in a new wrapper. */
export function underneath(connection: object): object {
  return (connection as { connection?: object }).connection ?? connection;
}

/** Connections that have our settings. */
const prepared = new WeakSet<object>();

/**
 * Errors that say a statement cannot be prepared, or not with such values, before anything of it ran: no more of them
 * fit the server (`max_prepared_stmt_count`), an older server or MySQL, a proxy that lends others' connections.
 */
const NOT_PREPARED = [
  'ER_MAX_PREPARED_STMT_COUNT_REACHED',
  'ER_UNSUPPORTED_PS',
  'ER_WRONG_ARGUMENTS',
  'ER_UNKNOWN_STMT_HANDLER',
];

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
  let keeps = true;

  async function run(
    connection: MysqlConnection,
    statement: Statement,
    values: MysqlValue[],
  ): Promise<unknown> {
    const isKept = typeof statement === 'object';
    const asked = isKept ? { sql: statement.sql, rowsAsArray: statement.tuples } : { sql: statement };
    if (keeps && isKept && connection.execute !== undefined) {
      try {
        return (await inTime(connection.execute(asked, values), timeout))[0];
      } catch (error) {
        if (!NOT_PREPARED.includes((error as { code?: string }).code ?? '')) throw error;
        keeps = false;
      }
    }
    return (await inTime(connection.query(asked, values), timeout))[0];
  }

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
          for (const setting of settings) await inTime(connection.query({ sql: setting }), timeout);
          prepared.add(same);
        }
      } catch (error) {
        connection.destroy();
        throw error;
      }
      return {
        async query(statement, values = []): Promise<SqlResult> {
          const sendable = values.map(toMysql);
          const result = await run(connection, statement, sendable);
          if (Array.isArray(result)) return { rows: rowsFor(statement, result), changes: 0 };
          return { rows: [], changes: (result as { affectedRows?: number }).affectedRows ?? 0 };
        },
        release: (broken) => (broken ? connection.destroy() : connection.release()),
      };
    },
    close,
  };
}

function toMysql(value: SqlValue): MysqlValue {
  return value instanceof Uint8Array ? Buffer.from(value) : (value as Exclude<MysqlValue, Buffer>);
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
