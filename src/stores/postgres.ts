import type * as pgModule from 'pg';
import { StrongroomError } from '../errors.ts';
import { loadModule } from '../load-module.ts';
import { checkOptions, invalidOption, parseCount, type Duration } from '../options.ts';
import type { DekDatabase } from '../keys/dek-store.ts';
import { credentials, type PasswordProvider } from './credentials.ts';
import { announceStatements, type ListeningClient } from './postgres/announce.ts';
import { postgresAppend } from './postgres/append.ts';
import { postgresDialect } from './postgres/dialect.ts';
import { generationsOf, type Generations } from './generations.ts';
import { serverLimit, type ServerLimit } from './postgres/limit.ts';
import { fromPGlite, type PGliteLike } from './postgres/pglite.ts';
import {
  binaryError,
  fromPool,
  hearErrorsOfNew,
  postgresFailure,
  type Listening,
  type PostgresConnections,
  type PostgresPool,
  type PostgresPoolClient,
} from './postgres/pool.ts';
import { setupStatements, type PostgresNames } from './postgres/schema.ts';
import { checkSettings } from './postgres/settings.ts';
import { checkVersion, setUp } from './postgres/setup.ts';
import { sharedPool } from './shared-pool.ts';
import { announcementsOver } from './announcements.ts';
import { postgresCheckup } from './postgres/checkup.ts';
import { openSqlStore } from './sql/open.ts';
import { checkUrlOptions, refuseUrlOptions, URL_OPTIONS } from './sql/url-options.ts';
import type { StoreSession } from './session.ts';
import type { Store } from './store.ts';
import { dekDatabase } from './dek-database.ts';

export * from './entry.ts';
export type { DekDatabase } from '../keys/dek-store.ts';
export type { Password, PasswordProvider } from './credentials.ts';
export type { PGliteLike } from './postgres/pglite.ts';
export type { PostgresPool } from './postgres/pool.ts';

/** Options of {@link openPostgres}. */
export interface PostgresOptions {
  /** Schema of the tables, created if it is missing. Default: the first one of the connection's `search_path`. */
  readonly schema?: string;
  /** Prefix of the names of the tables. Lower-case letters, digits and `_`. Default `'strongroom_'`. */
  readonly prefix?: string;
  /**
   * `false` when the database user may not create tables: run {@link postgresSetup}'s statements by hand. A schema
   * that is missing is `ERR_STORE` then. Default `true`.
   */
  readonly createTables?: boolean;
  /** How long a call waits for a connection, and for the answer to a statement. Default `'30s'`. */
  readonly timeout?: Duration;
  /**
   * The database announces each change (a trigger and `LISTEN`), so that `cache()` queries nothing while nothing
   * changes. Items of another process are then visible a little later instead of at once. Needs one more
   * connection; while it is down, and behind a pooler that does not deliver announcements, each cached read queries
   * the database. Writers need not set it: the trigger belongs to the table. Default `false`.
   */
  readonly push?: boolean;
  /**
   * `true`: accept that tables of ours are `UNLOGGED`, which a crash of the server empties. Default `false`: they
   * are refused.
   */
  readonly allowUnlogged?: boolean;
  /** How many operations of a session are remembered for idempotence. Default 256. */
  readonly operationLog?: number;
  /** Unix milliseconds: when items without a time of their own were written, what is expired. Default `Date.now`. */
  readonly clock?: () => number;
  /** With a URL: the most connections. Default 10. */
  readonly maxConnections?: number;
  /**
   * With a URL: where the password comes from, for passwords and tokens that change. Called once for many
   * connections, again before it expires; a connection does not outlive the password that it was opened with.
   */
  readonly password?: PasswordProvider;
  /**
   * With a URL: `false` for connections of this store's own. Default `true`: stores of one process with the same URL
   * and options share them, and the last one that closes ends them.
   */
  readonly sharePool?: boolean;
  /** With a URL: stores share connections only with stores of the same key. */
  readonly poolKey?: string;
}

/** An existing pool: `pg.Pool` or an object of its shape, or a PGlite database. The store never closes it. */
export interface PostgresTarget {
  readonly pool: PostgresPool | PGliteLike;
}

/** Options of {@link postgresDekStore}. */
export type PostgresDekStoreOptions = Omit<PostgresOptions, 'push' | 'allowUnlogged' | 'operationLog'>;

const WHERE = 'openPostgres';
const OPTIONS = [
  'schema',
  'prefix',
  'createTables',
  'push',
  'allowUnlogged',
  'timeout',
  'operationLog',
  'clock',
  ...URL_OPTIONS,
] as const;
const DEK_OPTIONS = OPTIONS.filter((option) => !['push', 'allowUnlogged', 'operationLog'].includes(option));

/**
 * Many sessions in PostgreSQL 13 or later, through the package `pg`, or in PGlite. Connects at the first call and
 * creates its tables if they are missing. Any number of processes can use one database: changes of one session happen
 * one after the other, an append is one round trip.
 *
 * @param target `postgres://user@host/database`, or `{ pool }` with your own pool, which the store never closes.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Later calls: `ERR_STORE` with the database's error as
 * `cause`, `ERR_UNSUPPORTED` for tables of a newer version of strongroom and for `UNLOGGED` ones, `ERR_CLOSED`.
 *
 * @example
 * ```ts
 * import { openPostgres } from 'strongroom/postgres';
 *
 * await using store = openPostgres('postgres://app@127.0.0.1:5432/app', { schema: 'conversations' });
 * await store.session('user-123').addItems([{ role: 'user', content: 'Hello' }]);
 * ```
 */
export function openPostgres(
  target: string | PostgresTarget,
  options: PostgresOptions = {},
): Store<StoreSession> {
  checkOptions(WHERE, options, OPTIONS);
  const { push = false, allowUnlogged = false } = options;
  if (typeof push !== 'boolean') invalidOption(WHERE, 'push', 'true or false', push);
  if (typeof allowUnlogged !== 'boolean')
    invalidOption(WHERE, 'allowUnlogged', 'true or false', allowUnlogged);
  const names = checkNames(options);
  const dialect = postgresDialect(names);
  return openSqlStore<PostgresConnections>(options, {
    dialect,
    kindOf: postgresFailure,
    open: (timeout) =>
      typeof target === 'string'
        ? poolOfUrl(target, options, timeout)
        : poolOfTarget(target, options, timeout),
    setUp: (runner) => setUp(runner, names, push),
    checkVersion: (runner) => checkVersion(runner, names),
    checkSettings: (runner) => checkSettings(runner, names, allowUnlogged),
    checkup: (runner) => postgresCheckup(runner, names),
    append: (runner) => postgresAppend(dialect, runner),
    ...(push && {
      announcements: (prepared) =>
        announcementsOver(WHERE, async ({ changed, signal }) =>
          (await prepared()).channel(names, changed, signal),
        ),
    }),
  });
}

/**
 * Data keys and legal holds in PostgreSQL or PGlite, in another database than the items: an erasure then reaches every copy of the items,
 * backups included, as far as the backups of this database do not hold the keys. It has the tables of {@link openPostgres}, of
 * which it uses those for data keys and holds.
 *
 * @param target As for {@link openPostgres}.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Later calls: `ERR_STORE`, `ERR_CLOSED`, `ERR_HELD` from `destroy`.
 *
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring } from 'strongroom';
 * import { postgresDekStore } from 'strongroom/postgres';
 *
 * await using dekStore = postgresDekStore('postgres://keys@127.0.0.1:5433/keys');
 * const layer = encrypt({ keys: keyring({ current: await generateKey() }), dekStore });
 * ```
 */
export function postgresDekStore(
  target: string | PostgresTarget,
  options: PostgresDekStoreOptions = {},
): DekDatabase {
  checkOptions('postgresDekStore', options, DEK_OPTIONS);
  return dekDatabase('postgresDekStore', openPostgres(target, options));
}

/** Options of {@link postgresSetup}. */
export interface PostgresSetupOptions extends Pick<PostgresOptions, 'schema' | 'prefix' | 'push'> {
  /** The schema version that the database has; the error of a store that needs another one states it. Default 0: empty. */
  readonly from?: number;
}

/**
 * The statements that {@link openPostgres} runs on an empty database, or on one of an earlier version, for a set-up by
 * hand.
 *
 * @example
 * ```ts
 * import { postgresSetup } from 'strongroom/postgres';
 *
 * console.log(postgresSetup({ schema: 'conversations' }).join(';\n'));
 * ```
 */
export function postgresSetup(options: PostgresSetupOptions = {}): string[] {
  const where = 'postgresSetup';
  checkOptions(where, options, ['schema', 'prefix', 'push', 'from']);
  const names = checkNames(options);
  const from = options.from === undefined ? 0 : parseCount(where, 'from', options.from);
  return [...setupStatements(names, from), ...(options.push === true ? announceStatements(names) : [])];
}

function checkNames({ schema, prefix = 'strongroom_' }: PostgresOptions): PostgresNames {
  for (const [option, name] of [
    ['schema', schema],
    ['prefix', prefix],
  ] as const) {
    if (name !== undefined && (typeof name !== 'string' || !/^[a-z_][a-z0-9_]{0,39}$/.test(name))) {
      invalidOption(
        WHERE,
        option,
        'at most 40 lower-case letters, digits and _, not beginning with a digit',
        name,
      );
    }
  }
  return { schema, prefix };
}

function poolOfTarget(
  target: PostgresTarget,
  options: PostgresOptions,
  timeout: number,
): () => Promise<PostgresConnections> {
  refuseUrlOptions(WHERE, options);
  const pool: unknown = typeof target === 'object' && target !== null ? target.pool : undefined;
  // A pool of the application: closing the store leaves it open.
  const keep = (): Promise<void> => Promise.resolve();
  if (hasMethods(pool, ['query', 'transaction', 'close'])) {
    const database = fromPGlite(pool as PGliteLike, keep);
    return () => Promise.resolve(database);
  }
  if (hasMethods(pool, ['connect', 'end', 'escapeLiteral'])) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${WHERE}: this is a Client of pg, which is one connection. Pass a pool: openPostgres({ pool: new Pool(…) }).`,
    );
  }
  if (hasMethods(pool, ['connect', 'end'])) {
    if ((pool as { options?: { binary?: unknown } }).options?.binary === true) throw binaryError();
    if (options.push === true && (pool as { options?: { max?: unknown } }).options?.max === 1) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `${WHERE}: push keeps one connection of the pool to listen, and this pool has only one. Raise its max.`,
      );
    }
    const connections = fromPool(pool as PostgresPool, timeout, { close: keep });
    return () => Promise.resolve(connections);
  }
  return invalidOption(
    WHERE,
    'target',
    'a postgres:// URL, or { pool } with a pool of pg or a PGlite',
    pool ?? target,
  );
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
  );
}

function poolOfUrl(
  url: string,
  options: PostgresOptions,
  timeout: number,
): () => Promise<PostgresConnections> {
  if (!/^postgres(?:ql)?:\/\//.test(url)) {
    // The value is not named: it can hold a password.
    invalidOption(WHERE, 'target', 'a postgres:// URL, or { pool }', url);
  }
  const { max, key } = checkUrlOptions(WHERE, options, url, timeout);
  const { password } = options;
  const make = async (): Promise<UrlPool> => {
    const { Client, Pool } = await importPg();
    const secret = password === undefined ? undefined : credentials(password);
    let used: string | undefined;
    const Connection =
      secret === undefined ? Client : withPassword(Client, async () => (used = await secret.current()));
    const config: pgModule.PoolConfig = {
      connectionString: url,
      max,
      connectionTimeoutMillis: timeout,
      statement_timeout: timeout,
      keepAlive: true,
      application_name: 'strongroom',
      Client: Connection,
    };
    const pool = new Pool(config);
    const limit = serverLimit([config, (pool as { options?: pgModule.PoolConfig }).options ?? {}]);
    // An idle connection that dies is replaced at the next call; without a listener it would end the process.
    pool.on('error', () => undefined);
    hearErrorsOfNew(pool);
    const end = (): Promise<void> => pool.end();
    const listening = (): Promise<Listening> => limit.open(() => dedicated(new Connection(config)));
    const open = (): Promise<PostgresPoolClient> => limit.open(() => pool.connect());
    const connect = (): Promise<PostgresPoolClient> =>
      secret === undefined
        ? open()
        : secret.lend(
            async () => unlessRefused(open, () => secret.current(used)),
            (client) => client.release(true),
          );
    return { pool: { connect, end }, end, listening, limit, generations: generationsOf(pool, 'connect') };
  };
  return async () => {
    const shared = await sharedPool(key, password, make);
    const { pool, listening, limit, generations } = shared;
    return fromPool(pool, timeout, {
      close: () => shared.release(),
      connect: listening,
      isLimited: limit.isTold,
      generations,
    });
  };
}

interface UrlPool {
  readonly pool: PostgresPool;
  readonly end: () => Promise<void>;
  readonly listening: () => Promise<Listening>;
  readonly limit: ServerLimit;
  readonly generations: Generations;
}

/** Each attempt after the first is with another password, if there is one. */
const LOGINS = 3;

/** A password can be replaced between the call of its provider and the login. */
async function unlessRefused<T>(open: () => Promise<T>, renew: () => Promise<unknown>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await open();
    } catch (error) {
      // invalid_password, and invalid_authorization_specification.
      const { code } = (error ?? {}) as { readonly code?: unknown };
      if (attempt === LOGINS || (code !== '28P01' && code !== '28000')) throw error;
      await renew();
    }
  }
}

/** A separate connection: one that listens cannot serve the pool. */
async function dedicated(client: pgModule.Client): Promise<Listening> {
  client.on('error', () => undefined);
  await client.connect();
  // The store listens as long as the process has other work.
  (client as { unref?(): void }).unref?.();
  // A `Client` of pg, by the members that listening needs.
  return { client: client as unknown as ListeningClient, close: () => client.end() };
}

/** `pg` ignores the option `password` when there is a URL, even one without a password. */
function withPassword(
  Client: typeof pgModule.Client,
  password: () => Promise<string>,
): typeof pgModule.Client {
  return class extends Client {
    constructor(config?: string | pgModule.ClientConfig) {
      super(config);
      Object.assign(this, { password });
    }
  };
}

function importPg(): Promise<typeof pgModule> {
  return loadModule(
    'pg',
    () => import('pg'),
    `${WHERE} with a URL needs the package pg: npm install pg. Or pass a pool: openPostgres({ pool }).`,
  );
}
