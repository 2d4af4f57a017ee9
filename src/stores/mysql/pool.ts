import { StrongroomError } from '../../errors.ts';
import { inTime } from '../in-time.ts';
import { rowsFor, type SqlLoan, type SqlPool, type SqlResult, type Statement } from '../sql/client.ts';
import { generationsOf, type Generations } from '../generations.ts';
import { settingsOf, withSettings } from './settings.ts';
import { toMysql, withLiterals, type MysqlValue } from './values.ts';

/** The part of a `mysql2/promise` pool that is used. */
export interface MysqlPool {
  getConnection(): Promise<MysqlConnection>;
  end(): Promise<void>;
}

/** The part of a pooled `mysql2/promise` connection that is used. */
export interface MysqlConnection {
  query(statement: MysqlStatement, values?: unknown[]): Promise<[unknown, unknown]>;
  /** As a prepared statement, which the connection keeps until `unprepare`. */
  execute?(statement: MysqlStatement, values?: MysqlValue[]): Promise<[unknown, unknown]>;
  unprepare?(statement: MysqlStatement): unknown;
  release(): void;
  destroy(): void;
}

/** A statement with the options for its rows, which override those of the pool. */
interface MysqlStatement {
  readonly sql: string;
  readonly rowsAsArray?: boolean;
  readonly nestTables?: boolean;
  readonly typeCast?: boolean;
  readonly supportBigNumbers?: boolean;
  readonly bigNumberStrings?: boolean;
  readonly decimalNumbers?: boolean;
  readonly namedPlaceholders?: boolean;
}

/** The internal settings of a pool of `mysql2/promise`. */
export function configOf(pool: object): PoolConfig | undefined {
  return (pool as { pool?: { config?: PoolConfig } }).pool?.config;
}

interface PoolConfig {
  readonly resetOnRelease?: boolean;
  readonly connectionConfig?: { readonly clientFlags?: number };
}

/** The object that stays the same when a pool hands out a connection again, in a new wrapper. */
export function underneath(connection: object): object {
  return (connection as { connection?: object }).connection ?? connection;
}

/**
 * Errors of a statement that cannot be prepared, or not with such values, before any part of it ran: the limit of
 * the server (`max_prepared_stmt_count`), an older server or MySQL, a proxy that shares connections.
 */
const NOT_PREPARED = [
  'ER_MAX_PREPARED_STMT_COUNT_REACHED',
  'ER_UNSUPPORTED_PS',
  'ER_WRONG_ARGUMENTS',
  'ER_UNKNOWN_STMT_HANDLER',
];

/** No part of a block ran: `sql_mode` is `ORACLE`, which has another grammar for blocks. */
const NOT_PARSED = [1064, 4161];

const ENDS = ['COMMIT', 'ROLLBACK'];

/** Options of {@link fromPool}. */
export interface MysqlPoolOptions {
  /** Milliseconds for one statement, and for getting a connection. */
  readonly timeout: number;
  /** No other program uses the connections: settings persist. */
  readonly own: boolean;
  readonly close: () => Promise<void>;
  /** Of the pool. Default: of `pool`. */
  readonly generations?: Generations;
}

/** Facts about the server of a pool, read once. */
interface Server {
  readonly isMariaDb: boolean;
  readonly settings: string;
}

export function fromPool(pool: MysqlPool, options: MysqlPoolOptions): SqlPool {
  const { timeout, own, close, generations = generationsOf(pool, 'connection') } = options;
  const ready = new WeakSet<object>();
  const resets = configOf(pool)?.resetOnRelease === true;
  let prepares = true;
  let server: Server | undefined;
  let generation = generations.number();

  async function connected(): Promise<MysqlConnection> {
    for (;;) {
      const connection = await pool.getConnection();
      if (!generations.isOld(underneath(connection))) return connection;
      connection.destroy();
    }
  }

  /** Facts about a server do not apply to the next one. */
  async function serverOf(connection: MysqlConnection): Promise<Server> {
    if (generation !== generations.number()) {
      generation = generations.number();
      server = undefined;
      prepares = true;
    }
    return (server ??= await look(connection));
  }

  /** With values of a prepared statement only: nothing is escaped. */
  async function run(
    connection: MysqlConnection,
    sql: string,
    values: MysqlValue[],
    { keeps = false, tuples = false } = {},
  ): Promise<unknown> {
    const asked = statementOf(sql, tuples);
    if (prepares && connection.execute !== undefined && (keeps || values.length > 0)) {
      try {
        return (await inTime(connection.execute(asked, values), timeout))[0];
      } catch (error) {
        if (!NOT_PREPARED.includes((error as { code?: string }).code ?? '')) throw error;
        prepares = false;
      } finally {
        if (!keeps) connection.unprepare?.(asked);
      }
    }
    return (await inTime(connection.query(statementOf(withLiterals(sql, values), tuples)), timeout))[0];
  }

  async function look(connection: MysqlConnection): Promise<Server> {
    const [row] = (await run(
      connection,
      'SELECT version() AS version, charset(?) AS sent, @@character_set_client AS client',
      [Buffer.from('x')],
    )) as { version: string; sent: string; client: string }[];
    const isMariaDb = String(row?.version).includes('MariaDB');
    if (row?.sent !== 'binary' && row?.client !== 'utf8mb4') {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `openMysql: the pool has the charset ${JSON.stringify(row?.client)}, and this version of mysql2 converts ` +
          "bytes to it, so text would be lost. Create the pool with charset: 'utf8mb4', or update mysql2.",
      );
    }
    return { isMariaDb, settings: settingsOf(timeout, isMariaDb, own) };
  }

  function lend(connection: MysqlConnection, { isMariaDb, settings }: Server): SqlLoan {
    const same = underneath(connection);
    const stays = own && !resets;
    let isSet = stays && ready.has(same);

    async function send(statement: Statement, values: MysqlValue[]): Promise<unknown> {
      const isKept = typeof statement === 'object';
      const sql = isKept ? statement.sql : statement;
      const form = { keeps: isKept, tuples: isKept && statement.tuples };
      if (isSet || ENDS.includes(sql)) return await run(connection, sql, values, form);
      if (isKept && isMariaDb && !stays) {
        try {
          const result = await run(connection, settled(sql, settings), values, form);
          isSet = true;
          // A block returns the results of its statements, and then its own.
          return Array.isArray(result) ? (result as unknown[])[0] : result;
        } catch (error) {
          if (!NOT_PARSED.includes((error as { errno?: number }).errno ?? 0)) throw error;
        }
      }
      await run(connection, settings, []);
      isSet = true;
      if (stays) ready.add(same);
      return await run(connection, sql, values, form);
    }

    return {
      async query(statement, values = []): Promise<SqlResult> {
        const result = await send(statement, values.map(toMysql));
        if (Array.isArray(result)) return { rows: rowsFor(statement, result), changes: 0 };
        return { rows: [], changes: (result as { affectedRows?: number }).affectedRows ?? 0 };
      },
      moved: () => generations.moved(same),
      release(broken) {
        if (broken) {
          connection.destroy();
          return;
        }
        connection.release();
        // The settings are documented to stay, so they are set again after such a pool resets a connection.
        if (resets && isSet) connection.query({ sql: settings }).catch(() => undefined);
      },
    };
  }

  return {
    async acquire(): Promise<SqlLoan> {
      const connecting = connected();
      const connection = await inTime(connecting, timeout, () => {
        connecting.then(
          (late) => late.release(),
          () => undefined,
        );
      });
      try {
        return lend(connection, await serverOf(connection));
      } catch (error) {
        connection.destroy();
        throw error;
      }
    },
    close,
  };
}

const blocks = new Map<string, string>();

/** The same text for the same statement, so that a connection prepares it once. */
function settled(sql: string, settings: string): string {
  const key = `${settings} ${sql}`;
  let found = blocks.get(key);
  if (found === undefined) {
    if (blocks.size > 500) blocks.clear();
    blocks.set(key, (found = withSettings(settings, sql)));
  }
  return found;
}

function statementOf(sql: string, rowsAsArray: boolean): MysqlStatement {
  return {
    sql,
    rowsAsArray,
    nestTables: false,
    typeCast: true,
    supportBigNumbers: false,
    bigNumberStrings: false,
    decimalNumbers: false,
    namedPlaceholders: false,
  };
}
