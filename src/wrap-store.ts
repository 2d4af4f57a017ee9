import type { Session } from '@openai/agents';
import type { Layers, SessionLayer } from './layer.ts';
import { invalidOption } from './options.ts';
import { MAINTENANCE } from './stores/maintenance.ts';
import { appendThrough, GATHER } from './stores/gather.ts';
import type { Store } from './stores/store.ts';
import { engineOf, layersOf, wrapSession, type Wrapped, type WrapSessionOptions } from './wrap-session.ts';

/**
 * All sessions of a store, wrapped in the same layers: {@link wrapSession} for each session that it gives.
 *
 * - `session(id)` is the same object for the same id as long as anyone holds it.
 * - `deleteSession(id)` goes through the layers as a call of its own, so it is audited and caches forget the session.
 * - `appendMany()` seals for every session and writes in one round trip.
 * - `sessions()`, `purgeExpired()`, `ping()` and `close()` are the store's own: they need no key.
 *
 * @param store - `openSqlite(…)`, another store of strongroom, or one of your own.
 * @param layers - Outermost first. They are shared: one cache, one audit sink for all sessions.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when `store` is no store; `session()` throws what
 * {@link wrapSession} throws.
 *
 * @example
 * ```ts
 * import { cache, encrypt, generateKey, keyring, wrapStore } from 'strongroom';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const keys = keyring({ current: await generateKey() });
 * const sessions = wrapStore(openSqlite('conversations.db'), [cache({ maxItems: 50_000 }), encrypt({ keys })]);
 * await sessions.session('user-123').addItems([{ role: 'user', content: 'Hello' }]);
 * await sessions.close();
 * ```
 */
export function wrapStore<S extends Session>(
  store: Store<S>,
  layers: Layers,
  options: WrapSessionOptions = {},
): Store<Wrapped<S>> {
  const members = (typeof store === 'object' && store !== null ? store : {}) as unknown as Record<
    string,
    unknown
  >;
  if (METHODS.some((name) => typeof members[name] !== 'function')) {
    invalidOption('wrapStore', 'store', 'a store, as openSqlite() makes', store);
  }
  // A stack that cannot work is refused now, not at the first user's first message. The session is never touched.
  const probe = wrapSession(PROBE, layers, options);
  const wrapped: Store<Wrapped<S>> = {
    session: (id, sessionOptions) => wrapSession(store.session(id, sessionOptions), layers, options),
    sessions: (sessionsOptions) => store.sessions(sessionsOptions),
    appendMany: (batches) =>
      appendThrough(batches, (id, sessionOptions) => wrapped.session(id, sessionOptions), store[GATHER]),
    purgeExpired: (purgeOptions) => store.purgeExpired(purgeOptions),
    async deleteSession(id, options) {
      const engine = engineOf(wrapped.session(id, options));
      const remove = (): Promise<void> => store.deleteSession(id, options);
      await (engine === undefined ? remove() : engine.deleted(remove));
    },
    ...(store[MAINTENANCE] !== undefined && { [MAINTENANCE]: store[MAINTENANCE] }),
    ping: () => store.ping(),
    close: () => store.close(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
  stacks.set(wrapped, [...layersOf(probe), ...layersOfStore(store)]);
  return wrapped;
}

const stacks = new WeakMap<object, readonly SessionLayer[]>();

/** The layers around every session of a store, outermost first; none for a store that is not wrapped. */
export function layersOfStore(store: object): readonly SessionLayer[] {
  return stacks.get(store) ?? [];
}

const METHODS = ['session', 'sessions', 'purgeExpired', 'deleteSession', 'ping', 'close'] as const;

const PROBE: Session = {
  getSessionId: () => Promise.resolve('probe'),
  getItems: () => Promise.resolve([]),
  addItems: () => Promise.resolve(),
  popItem: () => Promise.resolve(undefined),
  clearSession: () => Promise.resolve(),
};
