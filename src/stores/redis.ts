import { clockOf } from '../clock.ts';
import { StrongroomError } from '../errors.ts';
import { isThenable, type MaybePromise } from '../maybe-promise.ts';
import { checkOptions, invalidOption, parseCount, parseDuration, type Duration } from '../options.ts';
import type { DekDatabase } from '../keys/dek-store.ts';
import { announcementsOver } from './announcements.ts';
import { redisCommands, type SendCommand } from './redis/client.ts';
import { fromUrls } from './redis/cluster.ts';
import { redisDriver } from './redis/driver.ts';
import { prepareSchema } from './redis/schema.ts';
import { checkSettings, refuseNode } from './redis/settings.ts';
import type { Source } from './redis/connection-source.ts';
import { fromClient, fromUrl, type RedisTarget } from './redis/source.ts';
import { track } from './redis/tracking.ts';
import type { StoreSession } from './session.ts';
import { createStore, type Store } from './store.ts';
import { dekDatabase } from './dek-database.ts';

export * from './entry.ts';
export type { DekDatabase } from '../keys/dek-store.ts';
export type { IoRedisClient, IoRedisOptions } from './redis/ioredis.ts';
export type { NodeRedisClient, NodeRedisCluster, NodeRedisClusterNode } from './redis/node-redis.ts';
export type { RedisTarget } from './redis/source.ts';

/** Options of {@link openRedis}. */
export interface RedisOptions {
  /** Prefix of all keys. Printable ASCII without braces, at most 64 characters. Default `'strongroom'`. */
  readonly prefix?: string;
  /**
   * The server announces each change (`CLIENT TRACKING`), so that `cache()` queries nothing while nothing changes.
   * Items of another process are then visible a little later instead of at once. Needs one more connection; while
   * it is down, each cached read queries the server. Needs one server, by a URL or a client of `createClient` of
   * `redis`. Default `false`.
   */
  readonly push?: boolean;
  /**
   * `true`: accept that the server evicts any key when its memory is full (`maxmemory-policy allkeys-…`), so that
   * histories and data keys disappear. Default `false`: such a server is refused. See docs/stores.md.
   */
  readonly allowEviction?: boolean;
  /** How long a call waits for the connection and its answer. Default `'30s'`. */
  readonly timeout?: Duration;
  /**
   * The keys of a session expire in the server this long after its last write, also if its records last longer. A
   * read does not extend the time. Default: none. Without it, the keys of a session expire with its records if all
   * of them have an expiry (`expire()`).
   */
  readonly idle?: Duration;
  /** How many operations of a session are remembered for idempotence. Default 256. */
  readonly operationLog?: number;
  /** Unix milliseconds: when items without a time of their own were written, what is expired. Default `Date.now`. */
  readonly clock?: () => number;
}

/** Options of {@link redisDekStore}. */
export type RedisDekStoreOptions = Omit<RedisOptions, 'push' | 'operationLog' | 'allowEviction' | 'idle'>;

const WHERE = 'openRedis';
const OPTIONS = ['prefix', 'push', 'allowEviction', 'timeout', 'idle', 'operationLog', 'clock'] as const;
const DEK_OPTIONS = ['prefix', 'timeout', 'clock'] as const;

/**
 * Many sessions in Redis 6.2 or later (or Valkey), one server or a Redis Cluster, through the package `redis`, or a client of
 * `ioredis`. Connects at the first call. The keys of one session are in one hash slot, and every change of one is one Lua
 * script; `archiveTo` of `replacePrefix` takes two steps when the archive is in another slot. The server's settings
 * decide how durable an acknowledged write is: with `appendonly yes` and `appendfsync always` it survives a crash,
 * with the default up to a second is lost; a failover of a cluster loses what the replica did not have yet. See
 * docs/stores.md.
 *
 * @param target `redis://` or `rediss://` URL; a list of URLs of some nodes of a cluster, of which the first one's user and
 * password are those of nodes that are not in it; or `{ client }`, which the store never closes.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Later calls: `ERR_STORE` with the database's error as
 * `cause`, `ERR_INVALID_OPTION` for a single node of a cluster, `ERR_UNSUPPORTED` for keys of a newer version of strongroom and
 * for a server that evicts keys, `ERR_CLOSED`.
 *
 * @example
 * ```ts
 * import { openRedis } from 'strongroom/redis';
 *
 * await using store = openRedis('redis://127.0.0.1:6379', { prefix: 'conversations' });
 * await store.session('user-123').addItems([{ role: 'user', content: 'Hello' }]);
 * ```
 *
 * @example A cluster.
 * ```ts
 * import { openRedis } from 'strongroom/redis';
 *
 * const store = openRedis(['redis://10.0.0.1:6379', 'redis://10.0.0.2:6379']);
 * await store.session('user-123').addItems([{ role: 'user', content: 'Hello' }]);
 * await store.close();
 * ```
 */
export function openRedis(
  target: string | readonly string[] | RedisTarget,
  options: RedisOptions = {},
): Store<StoreSession> {
  checkOptions(WHERE, options, OPTIONS);
  const { prefix = 'strongroom', push = false, operationLog = 256, allowEviction = false } = options;
  if (typeof prefix !== 'string' || !/^[!-z|~]{1,64}$/.test(prefix)) {
    invalidOption(WHERE, 'prefix', 'at most 64 printable ASCII characters without braces and spaces', prefix);
  }
  if (typeof push !== 'boolean') invalidOption(WHERE, 'push', 'true or false', push);
  if (typeof allowEviction !== 'boolean')
    invalidOption(WHERE, 'allowEviction', 'true or false', allowEviction);
  const timeout = parseDuration(WHERE, 'timeout', options.timeout ?? '30s');
  const now = clockOf(WHERE, options.clock);

  const source = sourceOf(target, timeout);
  /** The number of connections that were made: each may lead to another server than the previous one. */
  let era = 0;
  let over = new AbortController();
  /** The checks of a new connection. */
  let ready: { readonly era: number; readonly done: Promise<void>; passed: boolean } | undefined;
  const bare = redisCommands(source.connect, timeout, source);
  const check = async (): Promise<void> => {
    if (source.isCluster !== true) await refuseNode(bare);
    await checkSettings(bare, allowEviction);
  };
  /** Without a promise where there is nothing to wait for, as for almost every command. */
  const prepared = (): MaybePromise<SendCommand> => {
    const connection = source.connect();
    return ready?.era === era && ready.passed && !isThenable(connection) ? connection : prepare(connection);
  };
  const prepare = async (connecting: MaybePromise<SendCommand>): Promise<SendCommand> => {
    const connection = await connecting;
    if (ready?.era !== era)
      ready = { era, done: check().then(() => prepareSchema(bare, prefix)), passed: false };
    const mine = ready;
    try {
      await mine.done;
      mine.passed = true;
    } catch (error) {
      // A check that failed is made again by the next call.
      if (ready === mine) ready = undefined;
      throw error;
    }
    return connection;
  };

  if (push && source.duplicable === undefined) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `${WHERE}: push needs one server, given as a URL or a client of createClient of redis: ioredis does not pass invalidation messages on, and each node of a cluster sends only its own.`,
    );
  }
  const announcements = push
    ? announcementsOver(WHERE, async (opening) => {
        await prepared();
        const connected = source.duplicable?.();
        if (connected === undefined) throw new Error('The connection was lost.');
        const channel = await track(connected, prefix, opening);
        // A channel to a server that we no longer write to gets no announcements.
        const signals = channel.gone === undefined ? [over.signal] : [over.signal, channel.gone];
        return { ...channel, gone: AbortSignal.any(signals) };
      })
    : undefined;
  const driver = redisDriver(redisCommands(prepared, timeout, source), {
    prefix,
    operationLog: parseCount(WHERE, 'operationLog', operationLog),
    now,
    isAlone: source.isCluster !== true,
    idle: options.idle === undefined ? 0 : parseDuration(WHERE, 'idle', options.idle),
    onConnection: (made) =>
      source.onConnection(() => {
        era++;
        over.abort();
        over = new AbortController();
        made();
      }),
    check,
    announcements,
    close: async () => {
      await announcements?.close();
      await source.close();
    },
  });
  return createStore(driver, now);
}

function sourceOf(target: string | readonly string[] | RedisTarget, timeout: number): Source {
  if (typeof target === 'string') return fromUrl(target, timeout);
  return Array.isArray(target)
    ? fromUrls(target as readonly string[], timeout, (url) => fromUrl(url, timeout))
    : fromClient(target as RedisTarget, timeout);
}

/**
 * Data keys and legal holds in Redis or Valkey, in another database than the items: an erasure then reaches every copy of the items,
 * backups included, as far as the backups of this database do not hold the keys. It has the tables of {@link openRedis}, of
 * which it uses those for data keys and holds. A lost data key is a lost session:
 * let the server keep acknowledged writes (`appendonly yes`, `appendfsync always`) and evict nothing.
 *
 * @param target As for {@link openRedis}.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Later calls: `ERR_STORE`, `ERR_CLOSED`, `ERR_HELD` from `destroy`.
 *
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring } from 'strongroom';
 * import { redisDekStore } from 'strongroom/redis';
 *
 * await using dekStore = redisDekStore('redis://127.0.0.1:6380');
 * const layer = encrypt({ keys: keyring({ current: await generateKey() }), dekStore });
 * ```
 */
export function redisDekStore(
  target: string | readonly string[] | RedisTarget,
  options: RedisDekStoreOptions = {},
): DekDatabase {
  checkOptions('redisDekStore', options, DEK_OPTIONS);
  return dekDatabase('redisDekStore', openRedis(target, options));
}
