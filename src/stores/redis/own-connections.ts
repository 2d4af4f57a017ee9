import { setImmediate as turn } from 'node:timers/promises';
import { closedError } from '../failure.ts';
import { inTime } from '../in-time.ts';
import type { SendCommand } from './client.ts';
import { createEnding, type Endable } from './ending.ts';
import { ioCommands, type IoRedisClient } from './ioredis.ts';
import { ownCommands, type NodeRedisClient } from './node-redis.ts';
import type { Source } from './connection-source.ts';
import type { Duplicable } from './tracking.ts';

const WHERE = 'openRedis';

/** A client that the store made, and that connects once. */
export interface OwnClient extends Endable {
  readonly isReady: boolean;
  readonly send: SendCommand;
  connect(): Promise<unknown>;
  /** Waits for commands in flight. */
  close(): Promise<unknown>;
  on(event: 'connect' | 'ready' | 'end' | 'error', listener: () => void): unknown;
}

/** The options of a client of `redis`. */
export function ownOptions(timeout: number): {
  readonly disableOfflineQueue: true;
  readonly socket: { readonly connectTimeout: number; readonly reconnectStrategy: false };
} {
  return {
    // A command that cannot be sent fails, and is repeated here: one in a queue could still be carried out long
    // after its caller got an error.
    disableOfflineQueue: true,
    socket: {
      connectTimeout: Math.min(timeout, 10_000),
      // Connecting is repeated here, within the time of the call that needs it: a client that is ended while it
      // reconnects by itself stays connected.
      reconnectStrategy: false,
    },
  };
}

/**
 * One connection at a time, of clients that `make` makes: another one when it was lost, abandoned or replaced.
 */
export function ownConnections(make: () => Promise<OwnClient>, timeout: number): Source {
  interface Opened {
    readonly client: OwnClient;
    readonly end: () => void;
    /** Absent until it is connected. */
    send?: SendCommand;
  }
  let made = (): void => undefined;
  let current: Opened | undefined;
  let connecting: Promise<SendCommand> | undefined;
  /** Connections that were replaced and still wait for answers. */
  const closing = new Set<Promise<void>>();

  /** A connection that is opened later would never be closed. */
  let isClosed = false;

  async function open(): Promise<SendCommand> {
    const client = await make();
    if (isClosed) throw closedError(WHERE);
    const opened: Opened = { client, end: createEnding(client) };
    // Without a listener an error would end the process.
    client.on('error', () => {
      if (!client.isOpen) forget(opened);
    });
    client.on('end', () => forget(opened));
    client.on('ready', () => made());
    current = opened;
    try {
      await client.connect();
    } catch (error) {
      drop(opened);
      throw error;
    }
    return (opened.send = client.send);
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

  async function closed(opened: Opened): Promise<void> {
    if (opened.client.isReady) await inTime(opened.client.close(), timeout).catch(() => undefined);
    drop(opened);
  }

  return {
    connect: () =>
      current?.send ??
      (connecting ??= open().catch((error: unknown) => {
        // Also for an error before there was a client: a driver that could not be loaded.
        connecting = undefined;
        throw error;
      })),
    onConnection(called) {
      made = called;
    },
    // The check above the cast distinguishes the clients of the two packages.
    duplicable: () =>
      current !== undefined && 'duplicate' in current.client
        ? (current.client as unknown as Duplicable)
        : undefined,
    abandon(connection) {
      if (current !== undefined && current.send === connection) drop(current);
    },
    replace(connection) {
      const old = current;
      if (old === undefined || old.send !== connection) return;
      forget(old);
      const ended: Promise<void> = closed(old)
        .then(() => turn())
        .then(() => {
          // The state from earlier answers belongs to the old server, too.
          made();
          closing.delete(ended);
        });
      closing.add(ended);
    },
    async close() {
      isClosed = true;
      if (current !== undefined) await closed(current);
      await Promise.all(closing);
    },
  };
}

/** Makes another client with the same target, for the store alone; `undefined` when this is not possible. */
export function duplicateOf(client: object, timeout: number): (() => Promise<OwnClient>) | undefined {
  if (typeof (client as { duplicate?: unknown }).duplicate !== 'function') return undefined;
  // Only ioredis has `callBuffer`; its own types are not imported where only `redis` is installed.
  if ('callBuffer' in client)
    return () => Promise.resolve(ioDuplicate(client as unknown as IoDuplicable, timeout));
  return () => {
    const theirs = client as NodeDuplicable;
    const own = ownOptions(timeout);
    const other = theirs.duplicate({ ...own, socket: { ...theirs.options?.socket, ...own.socket } });
    return Promise.resolve(Object.assign(other, { send: ownCommands(other) }));
  };
}

interface NodeDuplicable {
  readonly options?: { readonly socket?: object };
  duplicate(options: object): NodeRedisClient & Omit<OwnClient, 'send'>;
}

interface IoClient extends IoRedisClient {
  readonly status: string;
  connect(): Promise<void>;
  quit(): Promise<unknown>;
  disconnect(): void;
  on(event: string, listener: () => void): unknown;
}

interface IoDuplicable {
  duplicate(options: object): IoClient;
}

function ioDuplicate(client: IoDuplicable, timeout: number): OwnClient {
  const other = client.duplicate({
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => null,
    reconnectOnError: null,
  });
  return {
    get isOpen() {
      return other.status !== 'wait' && other.status !== 'end';
    },
    get isReady() {
      return other.status === 'ready';
    },
    send: ioCommands(other, timeout),
    connect: () => other.connect(),
    close: () => other.quit(),
    destroy: () => other.disconnect(),
    on: (event, listener) => other.on(event, listener),
  };
}
