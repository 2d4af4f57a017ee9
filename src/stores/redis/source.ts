import type * as redisModule from 'redis';
import { StrongroomError } from '../../errors.ts';
import { loadModule } from '../../load-module.ts';
import { invalidOption } from '../../options.ts';
import { closedError } from '../failure.ts';
import { inTime } from '../in-time.ts';
import type { SendCommand } from './client.ts';
import { createEnding } from './ending.ts';
import { ioCommands, type IoRedisClient } from './ioredis.ts';
import {
  isNodeCluster,
  nodeClusterCommands,
  nodeCommands,
  type NodeRedisClient,
  type NodeRedisCluster,
} from './node-redis.ts';
import type { Duplicable } from './tracking.ts';

const WHERE = 'openRedis';

/** A client of yours, of the package `redis` or `ioredis`, of one server or of a cluster. The store never closes it. */
export interface RedisTarget {
  readonly client: NodeRedisClient | NodeRedisCluster | IoRedisClient;
}

/** Where connections come from. */
export interface Source {
  readonly connect: () => Promise<SendCommand>;
  readonly abandon: (connection: SendCommand | undefined) => void;
  readonly close: () => Promise<void>;
  /** Calls back whenever a connection was made, by the client itself too. */
  readonly onConnection: (made: () => void) => void;
  readonly isCluster?: boolean;
  /** What is connected, for another connection to the same target; absent where that cannot listen. */
  readonly duplicable?: () => Duplicable | undefined;
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
      'a redis:// URL, a list of those of a cluster, or { client } of redis or ioredis',
      client ?? target,
    );
  }
  if (has('withTypeMapping') && has('getSentinelNode')) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `${WHERE}: a client of createSentinel is not supported. Give one of createClient or createCluster of redis, or of ioredis.`,
    );
  }
  const send = commandsOf(target.client, timeout);
  const emitter = client as Emitter;
  const listeners: (() => void)[] = [];
  return {
    async connect() {
      if (has('withTypeMapping') && !(client as NodeRedisClient).isOpen) {
        throw new StrongroomError(
          'ERR_INVALID_OPTION',
          `${WHERE}: the client is not connected. Call client.connect() before the store is used.`,
        );
      }
      return Promise.resolve(send);
    },
    // Yours: whether its connection is alive is its own affair, and closing the store leaves it open.
    abandon: () => undefined,
    async close() {
      for (const made of listeners) for (const event of CONNECTIONS) emitter.off?.(event, made);
    },
    onConnection(made) {
      listeners.push(made);
      for (const event of CONNECTIONS) emitter.on?.(event, made);
    },
    ...(send.primaries !== undefined
      ? { isCluster: true }
      : has('withTypeMapping') && has('duplicate') && { duplicable: () => client as Duplicable }),
  };
}

function commandsOf(client: RedisTarget['client'], timeout: number): SendCommand {
  if ('callBuffer' in client) return ioCommands(client, timeout);
  return isNodeCluster(client) ? nodeClusterCommands(client) : nodeCommands(client);
}

export function fromUrl(url: string, timeout: number): Source {
  if (!/^rediss?:\/\//.test(url)) {
    // The value is not named: it can hold a password.
    invalidOption(
      WHERE,
      'target',
      'a redis:// or rediss:// URL, a list of those of a cluster, or { client }',
      url,
    );
  }
  interface Opened {
    readonly client: Duplicable & {
      readonly isOpen: boolean;
      readonly isReady: boolean;
      close(): Promise<void>;
    };
    readonly end: () => void;
    /** Absent until it is connected. */
    send?: SendCommand;
  }
  let made = (): void => undefined;
  let current: Opened | undefined;
  let connecting: Promise<SendCommand> | undefined;

  /** Nobody would end a connection that is opened later. */
  let isClosed = false;

  async function open(): Promise<SendCommand> {
    const { createClient } = await importRedis();
    if (isClosed) throw closedError(WHERE);
    const client = createClient({
      url,
      // A command that cannot be sent fails, and is repeated here: one that waits in a queue could still be carried
      // out long after its caller was told that it failed.
      disableOfflineQueue: true,
      socket: {
        connectTimeout: Math.min(timeout, 10_000),
        // Connecting is tried again here, within the time of the call that wants it: a client that is ended while it connects
        // anew by itself stays connected.
        reconnectStrategy: false,
      },
    });
    const opened: Opened = { client, end: createEnding(client) };
    // Without a listener an error would end the process.
    client.on('error', () => {
      if (!client.isOpen) forget(opened);
    });
    client.on('ready', () => made());
    current = opened;
    try {
      await client.connect();
    } catch (error) {
      drop(opened);
      throw error;
    }
    return (opened.send = nodeCommands(client));
  }

  function drop(opened: Opened): void {
    opened.end();
    forget(opened);
  }

  /** The next call opens another one. */
  function forget(opened: Opened): void {
    if (current !== opened) return;
    current = undefined;
    connecting = undefined;
  }

  return {
    connect: () =>
      (connecting ??= open().catch((error: unknown) => {
        // Also what failed before there was a client: a driver that could not be loaded.
        connecting = undefined;
        throw error;
      })),
    onConnection(called) {
      made = called;
    },
    duplicable: () => current?.client,
    abandon(connection) {
      if (current !== undefined && current.send === connection) drop(current);
    },
    async close() {
      isClosed = true;
      const opened = current;
      if (opened === undefined) return;
      // It waits for what is under way.
      if (opened.client.isReady) await inTime(opened.client.close(), timeout).catch(() => undefined);
      drop(opened);
    },
  };
}

function importRedis(): Promise<typeof redisModule> {
  return loadModule(
    'redis',
    () => import('redis'),
    `${WHERE} with a URL needs the package redis: npm install redis. Or give it a client: openRedis({ client }).`,
  );
}
