import { randomName } from '../../crypto/random.ts';
import type { AnnouncementListener, Channel } from '../announcements.ts';
import type { RedisArgument } from './client.ts';

/** The part of a `redis` client that listening needs: a connection that does nothing else. */
export interface TrackingClient {
  connect(): Promise<unknown>;
  destroy(): void;
  unref(): void;
  readonly isOpen: boolean;
  sendCommand(command: RedisArgument[]): Promise<unknown>;
  on(event: string, listener: (value: unknown) => void): unknown;
}

/** A client of which there can be another one with the same target. */
export interface Duplicable {
  duplicate(options: { readonly RESP: 3; readonly emitInvalidate: true }): TrackingClient;
}

/**
 * Through `CLIENT TRACKING` in broadcasting mode (Redis manual, client-side caching): the server tells of every key
 * with our prefix that is changed, by whomever. Each change of a history changes the key of its items.
 *
 * @param everything All of it may have changed.
 */
export async function track(
  source: Duplicable,
  prefix: string,
  changed: AnnouncementListener['changed'],
  everything: () => void,
): Promise<Channel> {
  const client = source.duplicate({ RESP: 3, emitInvalidate: true });
  const gone = new AbortController();
  // It would connect anew by itself, but what was told in between would be lost.
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
    if (key.startsWith(tracked) && end > 0) changed(decodeURIComponent(key.slice(tracked.length, end)));
  });
  const close = (): void => {
    if (client.isOpen) client.destroy();
  };
  try {
    await client.connect();
    client.unref();
    // The client asks for tracking of what it reads; the mode can only be changed when it is off.
    await client.sendCommand(['CLIENT', 'TRACKING', 'OFF']);
    await client.sendCommand(['CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', tracked]);
  } catch (error) {
    close();
    throw error;
  }
  return {
    gone: gone.signal,
    close,
    async check() {
      const back = new Promise<void>((resolve) => (heard = resolve));
      await client.sendCommand(['SET', echo, '', 'PX', '60000']);
      await back;
    },
  };
}
