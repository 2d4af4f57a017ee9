/** Which connections of a pool were made before the server behind its address was found to be the wrong one. */
export interface Generations {
  /** How often that happened. */
  readonly number: () => number;
  readonly isOld: (connection: object) => boolean;
  /** The server of this connection takes no writes any more: all connections that exist are old. */
  readonly moved: (connection: object) => void;
  /** Aborted when that happens next. */
  readonly signal: () => AbortSignal;
}

interface Emitter {
  on?(event: string, listener: (connection: object) => void): unknown;
}

/** By the pool: stores share it. */
const known = new WeakMap<object, Generations>();

/**
 * After a failover the idle connections of a pool lead to the old server as much as the one that was refused. A pool
 * does not give them out by themselves, so they are dropped when they are lent.
 *
 * @param event Under which the pool tells of a connection that it made.
 */
export function generationsOf(pool: object, event: 'connect' | 'connection'): Generations {
  const found = known.get(pool);
  if (found !== undefined) return found;
  const emitter = pool as Emitter;
  const made = new WeakMap<object, number>();
  let now = 0;
  let moving = new AbortController();
  const emits = typeof emitter.on === 'function';
  if (emits) emitter.on?.(event, (connection) => made.set(connection, now));
  const isOld = (connection: object): boolean => {
    let generation = made.get(connection);
    if (generation === undefined) {
      // Made before anybody listened; of a pool that tells nothing, seen for the first time.
      generation = emits ? 0 : now;
      made.set(connection, generation);
    }
    return generation < now;
  };
  const generations: Generations = {
    number: () => now,
    isOld,
    moved(connection) {
      // Others may have been told the same of their connections.
      if (isOld(connection)) return;
      now++;
      moving.abort();
      moving = new AbortController();
    },
    signal: () => moving.signal,
  };
  known.set(pool, generations);
  return generations;
}
