import type * as redisModule from 'redis';
import { StrongroomError } from '../../errors.ts';
import { loadModule } from '../../load-module.ts';
import { invalidOption } from '../../options.ts';
import type { SendCommand } from './client.ts';
import type { Source } from './connection-source.ts';
import { ioCommands, type IoRedisClient } from './ioredis.ts';
import {
  isNodeCluster,
  nodeClusterCommands,
  nodeCommands,
  ownCommands,
  type NodeRedisClient,
  type NodeRedisCluster,
} from './node-redis.ts';
import { duplicateOf, ownConnections, ownOptions } from './own-connections.ts';
import type { Duplicable } from './tracking.ts';
import { whileAwaited } from './unsent.ts';

const WHERE = 'openRedis';

/** Your own client, of the package `redis` or `ioredis`, for one server or a cluster. The store never closes it. */
export interface RedisTarget {
  readonly client: NodeRedisClient | NodeRedisCluster | IoRedisClient;
}

/** When a connection was made, or one to a node of a cluster, or one of those was lost for good. */
const CONNECTIONS = ['ready', 'node-ready', '+node', '-node'] as const;

interface Emitter {
  on?(event: string, made: () => void): void;
  off?(event: string, made: () => void): void;
}

export function fromClient(target: RedisTarget, timeout: number): Source {
  const client: unknown = typeof target === 'object' && target !== null ? target.client : undefined;
  const has = (name: string): boolean =>
    typeof (client as Record<string, unknown> | undefined)?.[name] === 'function';
  if (!has('callBuffer') && !has('withTypeMapping')) {
    return invalidOption(
      WHERE,
      'target',
      'a redis:// URL, an array of URLs of a cluster, or { client } of redis or ioredis',
      client ?? target,
    );
  }
  if (has('withTypeMapping') && has('getSentinelNode')) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `${WHERE}: a client of createSentinel is not supported. Pass a client of createClient or createCluster of redis, or of ioredis.`,
    );
  }
  const send = commandsOf(target.client, timeout);
  const emitter = client as Emitter;
  const listeners: (() => void)[] = [];
  /** Replaces the client when its server refuses writes. */
  let own: Source | undefined;
  return {
    connect() {
      if (own !== undefined) return own.connect();
      if (has('withTypeMapping') && !(client as NodeRedisClient).isOpen) {
        throw new StrongroomError(
          'ERR_INVALID_OPTION',
          `${WHERE}: the client is not connected. Call client.connect() before the store is used.`,
        );
      }
      return send;
    },
    // A client of the application: it manages its connection itself, and closing the store leaves it open.
    abandon: (connection) => own?.abandon(connection),
    // Cutting it would make the outcome of the application's commands in flight unknown.
    replace(connection) {
      if (own !== undefined) return own.replace(connection);
      const make = send.primaries === undefined ? duplicateOf(client as object, timeout) : undefined;
      if (connection !== send || make === undefined) return;
      own = ownConnections(make, timeout);
      own.onConnection(() => {
        for (const made of listeners) made();
      });
    },
    async close() {
      await own?.close();
      for (const made of listeners) for (const event of CONNECTIONS) emitter.off?.(event, made);
    },
    onConnection(made) {
      listeners.push(made);
      for (const event of CONNECTIONS) emitter.on?.(event, made);
    },
    ...(send.primaries !== undefined
      ? { isCluster: true }
      : has('withTypeMapping') &&
        has('duplicate') && {
          duplicable: () => (own === undefined ? (client as Duplicable) : own.duplicable?.()),
        }),
  };
}

function commandsOf(client: RedisTarget['client'], timeout: number): SendCommand {
  if ('callBuffer' in client) return ioCommands(client, timeout);
  if (isNodeCluster(client)) return nodeClusterCommands(client);
  // An application that has chosen a time keeps it.
  return nodeCommands(client, hasTimeout(client) ? undefined : whileAwaited());
}

function hasTimeout(client: NodeRedisClient): boolean {
  const { options } = client as { options?: { commandOptions?: { timeout?: number } } };
  return options?.commandOptions?.timeout !== undefined;
}

export function fromUrl(url: string, timeout: number): Source {
  if (!/^rediss?:\/\//.test(url)) {
    // The value is not named: it can hold a password.
    invalidOption(
      WHERE,
      'target',
      'a redis:// or rediss:// URL, an array of URLs of a cluster, or { client }',
      url,
    );
  }
  return ownConnections(async () => {
    const { createClient } = await importRedis();
    const client = createClient({ url, ...ownOptions(timeout) });
    return Object.assign(client, { send: ownCommands(client) });
  }, timeout);
}

function importRedis(): Promise<typeof redisModule> {
  return loadModule(
    'redis',
    () => import('redis'),
    `${WHERE} with a URL needs the package redis: npm install redis. Or pass a client: openRedis({ client }).`,
  );
}
