import { randomName } from '../../crypto/random.ts';
import type { Channel, Opening } from '../announcements.ts';
import type { RedisArgument } from './client.ts';
import { createEnding } from './ending.ts';

/** The part of a `redis` client that listening needs: a connection that does nothing else. */
export interface TrackingClient {
  connect(): Promise<unknown>;
  destroy(): void;
  unref(): void;
  readonly isOpen: boolean;
  on(event: 'connect', listener: () => void): unknown;
  sendCommand(command: RedisArgument[]): Promise<unknown>;
  on(event: string, listener: (value: unknown) => void): unknown;
}

/** A client of which there can be another one with the same target. */
export interface Duplicable {
  readonly options?: { readonly socket?: object };
  duplicate(options: {
    readonly RESP: 3;
    readonly emitInvalidate: true;
    readonly socket: { readonly reconnectStrategy: false };
  }): TrackingClient;
}

/**
 * Through `CLIENT TRACKING` in broadcasting mode (Redis manual, client-side caching): the server announces every
 * changed key with our prefix, for changes by any client. Each change of a history changes the key of its items.
 */
export async function track(
  source: Duplicable,
  prefix: string,
  { changed, everything, signal }: Opening,
): Promise<Channel> {
  // It must not reconnect by itself: announcements in between would be lost. And a client that is destroyed while
  // it reconnects stays connected for ever.
  const socket = { ...source.options?.socket, reconnectStrategy: false as const };
  const client = source.duplicate({ RESP: 3, emitInvalidate: true, socket });
  const gone = new AbortController();
  for (const event of ['error', 'end', 'reconnecting']) client.on(event, () => gone.abort());
  const tracked = `${prefix}:{`;
  // No session has this key: in an id the percent sign is encoded.
  const echo = `${tracked}%}:echo:${randomName()}`;
  let heard = (): void => undefined;
  client.on('invalidate', (value) => {
    if (value === null) everything();
    const key = String(value);
    if (key === echo) heard();
    const end = key.indexOf('}:items');
    if (key.startsWith(tracked) && end > 0) changed(key.slice(tracked.length, end));
  });
  const close = createEnding(client);
  signal.addEventListener('abort', close);
  signal.throwIfAborted();
  try {
    await client.connect();
    client.unref();
    // The client enables tracking of its reads; the mode can only be changed when it is off.
    await client.sendCommand(['CLIENT', 'TRACKING', 'OFF']);
    await client.sendCommand(['CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', tracked]);
  } catch (error) {
    close();
    throw error;
  }
  return {
    gone: gone.signal,
    close,
    // Clients that can receive key names learn the session ids anyway.
    nameOf: encodeURIComponent,
    async check() {
      const back = new Promise<void>((resolve) => (heard = resolve));
      await client.sendCommand(['SET', echo, '', 'PX', '60000']);
      await back;
    },
  };
}
