/** Marks the connections of a pool that were made before its server turned out to be the wrong one. */
export interface Generations {
  /** How often that happened. */
  readonly number: () => number;
  readonly isOld: (connection: object) => boolean;
  /** The server of this connection refuses writes: all existing connections become old. */
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
 * After a failover the idle connections of a pool lead to the old server as much as the one that was refused. A
 * pool does not list them, so they are closed when they are handed out.
 *
 * @param event The event of the pool for a new connection.
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
      // Made before we listened; or, for a pool without events, seen for the first time.
      generation = emits ? 0 : now;
      made.set(connection, generation);
    }
    return generation < now;
  };
  const generations: Generations = {
    number: () => now,
    isOld,
    moved(connection) {
      // Other calls may have got the same error on their connections.
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
