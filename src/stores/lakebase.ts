import { uuidV7 } from '../crypto/uuid.ts';
import { StrongroomError } from '../errors.ts';
import { checkOptions, invalidOption } from '../options.ts';
import type { PasswordProvider } from './credentials.ts';
import { openPostgres, type PostgresOptions, type PostgresPool } from './postgres.ts';
import type { StoreSession } from './session.ts';
import type { Store } from './store.ts';

export * from './entry.ts';
export type { Password, PasswordProvider } from './credentials.ts';
export type { PostgresOptions, PostgresPool } from './postgres.ts';

/**
 * The part of the `WorkspaceClient` of `@databricks/sdk-experimental` that is used (version 0.17): your client, with
 * the identity that connects.
 */
export interface LakebaseClient {
  readonly currentUser: { me(): Promise<{ readonly userName?: string | undefined }> };
  readonly database: {
    getDatabaseInstance(request: { name: string }): Promise<LakebaseInstance>;
    listDatabaseInstances(request: object): AsyncIterable<LakebaseInstance>;
    generateDatabaseCredential(request: { request_id: string; instance_names: string[] }): Promise<{
      readonly token?: string | undefined;
      readonly expiration_time?: string | undefined;
    }>;
  };
}

/** A database instance, as the API describes it. */
export interface LakebaseInstance {
  readonly name?: string | undefined;
  readonly read_write_dns?: string | undefined;
}

/** Options of {@link lakebase}. */
export interface LakebaseOptions {
  readonly client: LakebaseClient;
  /** The name of the instance, or its host name. Default: the environment variable `LAKEBASE_INSTANCE_NAME`. */
  readonly instance?: string;
  /** The role in PostgreSQL. Default: the identity of the client, a user name or the application id of a service principal. */
  readonly user?: string;
  /** Default `'databricks_postgres'`. */
  readonly database?: string;
  /** Default 5432. */
  readonly port?: number;
  /**
   * Connections are encrypted in either case. `'verify-full'` (default) also checks the server's certificate and
   * name; `'require'` checks neither, as in libpq.
   */
  readonly sslmode?: 'verify-full' | 'require';
  /** A file with certificate authorities, in PEM. Default: those of Node.js. */
  readonly sslrootcert?: string;
}

/** The result of {@link lakebase}: the arguments of `openPostgres(url, { password })`. */
export interface LakebaseConnection {
  /** Without a password. */
  readonly url: string;
  /** Asks for a token. The same function for the same client and instance, by which stores share connections. */
  readonly password: PasswordProvider;
}

/** Options of {@link openLakebase}: those of `openPostgres`, and those of {@link lakebase} or a pool of your own. */
export type OpenLakebaseOptions = Omit<PostgresOptions, 'password'> &
  (LakebaseOptions | { readonly pool: PostgresPool });

const WHERE = 'lakebase';
const OPTIONS = ['client', 'instance', 'user', 'database', 'port', 'sslmode', 'sslrootcert'] as const;

/** By client, because two identities may use one instance. */
const providers = new WeakMap<object, Map<string, PasswordProvider>>();

/**
 * Finds the host of a Databricks Lakebase instance (Provisioned) and the role of the client's identity, and gives
 * OAuth tokens as passwords. For Lakebase Autoscaling pass the pool that `@databricks/lakebase` makes to
 * `openPostgres({ pool })`.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`, also when there is no such instance; `ERR_STORE` with the client's error as
 * `cause`.
 * @example
 * ```ts
 * import { lakebase, type LakebaseClient } from 'strongroom/lakebase';
 * import { openPostgres } from 'strongroom/postgres';
 *
 * export async function conversations(client: LakebaseClient) {
 *   const { url, password } = await lakebase({ client, instance: 'agents' });
 *   return openPostgres(url, { password, schema: 'conversations' });
 * }
 * ```
 */
export async function lakebase(options: LakebaseOptions): Promise<LakebaseConnection> {
  checkOptions(WHERE, options, OPTIONS);
  const {
    client,
    port = 5432,
    database = 'databricks_postgres',
    sslmode = 'verify-full',
    sslrootcert,
  } = options;
  const { instance = process.env['LAKEBASE_INSTANCE_NAME'] } = options;
  if (
    typeof client?.database?.generateDatabaseCredential !== 'function' ||
    typeof client.currentUser?.me !== 'function'
  ) {
    invalidOption(WHERE, 'client', 'a WorkspaceClient of @databricks/sdk-experimental', client);
  }
  if (typeof instance !== 'string' || instance === '') {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${WHERE}: instance must be the name or the host name of a database instance. Pass it, or set LAKEBASE_INSTANCE_NAME.`,
    );
  }
  if (options.user !== undefined && (typeof options.user !== 'string' || options.user === ''))
    invalidOption(WHERE, 'user', 'a non-empty text', options.user);
  if (typeof database !== 'string' || database === '')
    invalidOption(WHERE, 'database', 'a non-empty text', database);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    invalidOption(WHERE, 'port', 'a number from 1 to 65535', port);
  if (sslmode !== 'verify-full' && sslmode !== 'require')
    invalidOption(WHERE, 'sslmode', "'verify-full' or 'require'", sslmode);
  if (sslrootcert !== undefined && (typeof sslrootcert !== 'string' || sslrootcert === ''))
    invalidOption(WHERE, 'sslrootcert', 'the path of a file', sslrootcert);

  const { name, host } = await findInstance(client, instance);
  const user =
    options.user ?? (await asked('the identity of the client', () => client.currentUser.me())).userName;
  if (typeof user !== 'string' || user === '') {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${WHERE}: the identity of the client has no user name. Pass the role in PostgreSQL as user.`,
    );
  }
  const url = new URL(`postgres://${host}:${port}`);
  url.username = encodeURIComponent(user);
  url.pathname = `/${encodeURIComponent(database)}`;
  // `pg` takes `require` for `verify-full` unless it is told to read it as libpq does.
  if (sslmode === 'require') url.searchParams.set('uselibpqcompat', 'true');
  url.searchParams.set('sslmode', sslmode);
  if (sslrootcert !== undefined) url.searchParams.set('sslrootcert', sslrootcert);
  return { url: url.href, password: providerOf(client, name) };
}

/**
 * Many sessions in a Databricks Lakebase instance: {@link lakebase} and `openPostgres`. A token is replaced before it
 * expires, and a connection does not outlive its token. Stores of one process with the same client, instance and
 * options share connections (`sharePool: false`: not); another client never does.
 *
 * Tested against PostgreSQL with a token server of the tests, not against Lakebase itself.
 *
 * @throws {@link StrongroomError} As {@link lakebase}; later calls as `openPostgres`.
 * @example
 * ```ts
 * import { openLakebase, type LakebaseClient } from 'strongroom/lakebase';
 *
 * export async function remember(client: LakebaseClient): Promise<void> {
 *   await using store = await openLakebase({ client, instance: 'agents', schema: 'conversations' });
 *   await store.session('user-123').addItems([{ role: 'user', content: 'Hello' }]);
 * }
 * ```
 */
export async function openLakebase(options: OpenLakebaseOptions): Promise<Store<StoreSession>> {
  if ('pool' in options) {
    const { pool, ...rest } = options;
    const given = OPTIONS.find((name) => name in rest);
    if (given !== undefined) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `openLakebase: a pool has its own connections, so ${given} has no effect. Remove it, or the pool.`,
      );
    }
    return openPostgres({ pool }, rest);
  }
  const { client, instance, user, database, port, sslmode, sslrootcert, ...rest } = options;
  if ((rest as PostgresOptions).password !== undefined) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      'openLakebase: the password is a token of the client. Remove the option password.',
    );
  }
  const own = { client, instance, user, database, port, sslmode, sslrootcert };
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  const { url, password } = await lakebase(given as unknown as LakebaseOptions);
  return openPostgres(url, { ...rest, password });
}

async function findInstance(
  client: LakebaseClient,
  instance: string,
): Promise<{ readonly name: string; readonly host: string }> {
  const isHost = instance.includes('.');
  const found = await asked('the database instance', async () => {
    if (!isHost) return client.database.getDatabaseInstance({ name: instance });
    for await (const each of client.database.listDatabaseInstances({})) {
      if (each.read_write_dns?.toLowerCase() === instance.toLowerCase()) return each;
    }
    return undefined;
  });
  const name = isHost ? found?.name : instance;
  const host = found?.read_write_dns;
  if (typeof name === 'string' && typeof host === 'string' && /^[A-Za-z0-9.-]+$/.test(host))
    return { name, host };
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${WHERE}: ${
      isHost
        ? 'no database instance has this host name for reading and writing'
        : 'this database instance has no host name yet'
    }. Check the option instance, and that the client may see the instance.`,
  );
}

async function asked<T>(what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    throw new StrongroomError(
      'ERR_STORE',
      `${WHERE}: Databricks did not give ${what}. Check the client's permissions and the network. See the cause.`,
      { cause, written: 'no' },
    );
  }
}

function providerOf(client: LakebaseClient, name: string): PasswordProvider {
  const ofClient = providers.get(client) ?? new Map<string, PasswordProvider>();
  providers.set(client, ofClient);
  const known = ofClient.get(name);
  if (known !== undefined) return known;
  const provider: PasswordProvider = async () => {
    const { token, expiration_time: expiry } = await asked('a token', () =>
      client.database.generateDatabaseCredential({ request_id: uuidV7(), instance_names: [name] }),
    );
    const expiresAt = expiry === undefined ? Number.NaN : Date.parse(expiry);
    if (typeof token === 'string' && token !== '' && Number.isFinite(expiresAt))
      return { password: token, expiresAt };
    throw new StrongroomError(
      'ERR_STORE',
      `${WHERE}: Databricks gave no token, or one without a time of expiry. Update the client and strongroom.`,
      { written: 'no' },
    );
  };
  ofClient.set(name, provider);
  return provider;
}
