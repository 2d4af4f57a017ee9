import type * as mysqlModule from 'mysql2/promise';
import { StrongroomError } from '../errors.ts';
import { loadModule } from '../load-module.ts';
import { checkOptions, invalidOption, parseCount, type Duration } from '../options.ts';
import type { DekDatabase } from '../keys/dek-store.ts';
import type { PasswordProvider } from './credentials.ts';
import { mysqlAppend } from './mysql/append.ts';
import { mysqlDialect } from './mysql/dialect.ts';
import { withPassword } from './mysql/password.ts';
import { mysqlFailure } from './mysql/failure.ts';
import { configOf, fromPool, type MysqlPool } from './mysql/pool.ts';
import { setupStatements } from './mysql/schema.ts';
import { checkSettings } from './mysql/settings-check.ts';
import { checkVersion, setUp } from './mysql/setup.ts';
import { generationsOf, type Generations } from './generations.ts';
import { sharedPool } from './shared-pool.ts';
import type { SqlPool } from './sql/client.ts';
import { mysqlCheckup } from './mysql/checkup.ts';
import { openSqlStore } from './sql/open.ts';
import { checkUrlOptions, refuseUrlOptions, URL_OPTIONS } from './sql/url-options.ts';
import type { StoreSession } from './session.ts';
import type { Store } from './store.ts';
import { dekDatabase } from './dek-database.ts';

export * from './entry.ts';
export type { DekDatabase } from '../keys/dek-store.ts';
export type { Password, PasswordProvider } from './credentials.ts';
export type { MysqlConnection, MysqlPool } from './mysql/pool.ts';

/** Options of {@link openMysql}. */
export interface MysqlOptions {
  /** Prefix of the names of the tables. Lower-case letters, digits and `_`. Default `'strongroom_'`. */
  readonly prefix?: string;
  /**
   * `false` when the database user may not create tables: run {@link mysqlSetup}'s statements by hand. Default `true`.
   */
  readonly createTables?: boolean;
  /** How long a call waits for a connection, for a lock, and for the answer to a statement. Default `'30s'`. */
  readonly timeout?: Duration;
  /** How many operations of a session are remembered for idempotence. Default 256. */
  readonly operationLog?: number;
  /** Unix milliseconds: when items without a time of their own were written, what is expired. Default `Date.now`. */
  readonly clock?: () => number;
  /** With a URL: the most connections. Default 10. */
  readonly maxConnections?: number;
  /**
   * With a URL: where the password comes from, for passwords and tokens that change. Called once for many
   * connections, again before it expires or when the server refuses it; a connection does not outlive the password
   * that it was opened with.
   */
  readonly password?: PasswordProvider;
  /** With a URL: `false` for connections of this store's own, see `openPostgres`. Default `true`. */
  readonly sharePool?: boolean;
  /** With a URL: stores share connections only with stores of the same key. */
  readonly poolKey?: string;
}

/**
 * An existing pool of `mysql2/promise`, with any charset and any options for rows. The store never closes it. Each time
 * it borrows a connection it sets `autocommit`, `sql_mode`, the isolation level (`READ COMMITTED`) and the lock timeout,
 * and leaves them set.
 */
export interface MysqlTarget {
  readonly pool: MysqlPool;
}

/** Options of {@link mysqlDekStore}. */
export type MysqlDekStoreOptions = Omit<MysqlOptions, 'operationLog'>;

const WHERE = 'openMysql';
const OPTIONS = ['prefix', 'createTables', 'timeout', 'operationLog', 'clock', ...URL_OPTIONS] as const;
const DEK_OPTIONS = OPTIONS.filter((option) => option !== 'operationLog');

/**
 * Many sessions in MariaDB 10.6 or later, or MySQL 8, through the package `mysql2`. Connects at the first call and
 * creates its tables if they are missing. One call's items are limited by the server's `max_allowed_packet`. Tested
 * with MariaDB; MySQL itself was not available to the authors.
 *
 * @param target `mysql://user:password@host/database`, or `{ pool }` with your own pool, which the store never
 * closes.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Later calls: `ERR_STORE` with the database's error as
 * `cause`, `ERR_UNSUPPORTED` for tables of a newer version of strongroom and for tables without transactions, `ERR_CLOSED`.
 *
 * @example
 * ```ts
 * import { openMysql } from 'strongroom/mysql';
 *
 * await using store = openMysql('mysql://app@127.0.0.1:3306/app');
 * await store.session('user-123').addItems([{ role: 'user', content: 'Hello' }]);
 * ```
 */
export function openMysql(target: string | MysqlTarget, options: MysqlOptions = {}): Store<StoreSession> {
  checkOptions(WHERE, options, OPTIONS);
  const prefix = checkPrefix(options.prefix);
  const dialect = mysqlDialect(prefix);
  return openSqlStore(options, {
    dialect,
    kindOf: mysqlFailure,
    open: (timeout) =>
      typeof target === 'string'
        ? poolOfUrl(target, options, timeout)
        : poolOfTarget(target, options, timeout),
    setUp: (runner) => setUp(runner, prefix),
    checkVersion: (runner) => checkVersion(runner, prefix),
    checkSettings: (runner) => checkSettings(runner, prefix),
    checkup: (runner) => mysqlCheckup(runner, prefix),
    append: (runner) => mysqlAppend(dialect, runner),
  });
}

/**
 * Data keys and legal holds in MariaDB or MySQL, in another database than the items: an erasure then reaches every copy of the items,
 * backups included, as far as the backups of this database do not hold the keys. It has the tables of {@link openMysql}, of
 * which it uses those for data keys and holds.
 *
 * @param target As for {@link openMysql}.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Later calls: `ERR_STORE`, `ERR_CLOSED`, `ERR_HELD` from `destroy`.
 *
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring } from 'strongroom';
 * import { mysqlDekStore } from 'strongroom/mysql';
 *
 * await using dekStore = mysqlDekStore('mysql://keys@127.0.0.1:3307/keys');
 * const layer = encrypt({ keys: keyring({ current: await generateKey() }), dekStore });
 * ```
 */
export function mysqlDekStore(target: string | MysqlTarget, options: MysqlDekStoreOptions = {}): DekDatabase {
  checkOptions('mysqlDekStore', options, DEK_OPTIONS);
  return dekDatabase('mysqlDekStore', openMysql(target, options));
}

/** Options of {@link mysqlSetup}. */
export interface MysqlSetupOptions extends Pick<MysqlOptions, 'prefix'> {
  /** The schema version that the database has; the error of a store that needs another one states it. Default 0: empty. */
  readonly from?: number;
}

/**
 * The statements that {@link openMysql} runs on an empty database, or on one of an earlier version, for a set-up by hand.
 *
 * @example
 * ```ts
 * import { mysqlSetup } from 'strongroom/mysql';
 *
 * console.log(mysqlSetup().join(';\n'));
 * ```
 */
export function mysqlSetup(options: MysqlSetupOptions = {}): string[] {
  const where = 'mysqlSetup';
  checkOptions(where, options, ['prefix', 'from']);
  return setupStatements(
    checkPrefix(options.prefix),
    options.from === undefined ? 0 : parseCount(where, 'from', options.from),
  );
}

function checkPrefix(prefix: unknown = 'strongroom_'): string {
  if (typeof prefix === 'string' && /^[a-z_][a-z0-9_]{0,39}$/.test(prefix)) return prefix;
  return invalidOption(
    WHERE,
    'prefix',
    'at most 40 lower-case letters, digits and _, not beginning with a digit',
    prefix,
  );
}

function poolOfTarget(target: MysqlTarget, options: MysqlOptions, timeout: number): () => Promise<SqlPool> {
  refuseUrlOptions(WHERE, options);
  const pool: unknown = typeof target === 'object' && target !== null ? target.pool : undefined;
  if (typeof (pool as MysqlPool | undefined)?.getConnection !== 'function') {
    return invalidOption(
      WHERE,
      'target',
      'a mysql:// URL, or { pool } with a pool of mysql2/promise',
      pool ?? target,
    );
  }
  checkPool(pool as MysqlPool);
  // A pool of the application: closing the store leaves it open.
  const connections = fromPool(pool as MysqlPool, { timeout, own: false, close: () => Promise.resolve() });
  return () => Promise.resolve(connections);
}

/** Milliseconds. The default of `pg`. */
const IDLE_TIMEOUT = 10_000;

/** Of the protocol: an update answers with the rows that it found, not only with those that it changed. */
const FOUND_ROWS = 2;

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION`. */
function checkPool(pool: object): void {
  if (typeof (pool as { promise?: unknown }).promise === 'function') {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${WHERE}: this is a pool of mysql2 with callbacks. Pass its promise form: openMysql({ pool: pool.promise() }), ` +
        "or create it by createPool of 'mysql2/promise'.",
    );
  }
  const { clientFlags = FOUND_ROWS } = configOf(pool)?.connectionConfig ?? {};
  if ((clientFlags & FOUND_ROWS) === 0) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${WHERE}: the pool has the option flags: ['-FOUND_ROWS']. Remove it: the store counts matched rows.`,
    );
  }
}

function poolOfUrl(url: string, options: MysqlOptions, timeout: number): () => Promise<SqlPool> {
  if (!/^(?:mysql|mariadb):\/\//.test(url))
    invalidOption(WHERE, 'target', 'a mysql:// URL, or { pool }', url);
  const { max, key } = checkUrlOptions(WHERE, options, url, timeout);
  const { password } = options;
  const make = async (): Promise<UrlPool> => {
    const { createPool } = await importMysql();
    const pool = createPool({
      uri: url.replace(/^mariadb:/, 'mysql:'),
      connectionLimit: max,
      connectTimeout: timeout,
      // An idle connection is closed, as by `pg`: others may be waiting for it.
      ...(max > 1 && { maxIdle: max - 1, idleTimeout: IDLE_TIMEOUT }),
      charset: 'utf8mb4',
      resetOnRelease: false,
      enableKeepAlive: true,
    });
    // It rejects for a connection that is cut already, which needs no closing.
    const end = (): Promise<void> => pool.end().catch(() => undefined);
    checkPool(pool);
    const generations = generationsOf(pool, 'connection');
    return { pool: password === undefined ? pool : withPassword(pool, password), end, generations };
  };
  return async () => {
    const shared = await sharedPool(key, password, make);
    const { pool, generations } = shared;
    return fromPool(pool, { timeout, own: true, close: () => shared.release(), generations });
  };
}

interface UrlPool {
  readonly pool: MysqlPool;
  readonly end: () => Promise<void>;
  readonly generations: Generations;
}

function importMysql(): Promise<typeof mysqlModule> {
  return loadModule(
    'mysql2/promise',
    () => import('mysql2/promise'),
    `${WHERE} with a URL needs the package mysql2: npm install mysql2. Or pass a pool: openMysql({ pool }).`,
  );
}
