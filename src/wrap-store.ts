import type { Session } from '@openai/agents';
import { runAround } from './engine/calls.ts';
import { stackClock } from './engine/stack.ts';
import type { SessionLayer, SessionCall, Layers, CallKind, CallOrigin } from './layer.ts';
import { invalidOption } from './options.ts';
import { checkCall, originOf } from './protocol/call-origin.ts';
import { countWork } from './protocol/work.ts';
import { CALLS, type StoreCalls, MAINTENANCE, GATHER } from './session-contract.ts';
import { appendThrough } from './stores/gather.ts';
import type { DeletionReport, Store } from './stores/store.ts';
import { deleteTree } from './stores/tree.ts';
import { engineOf, layersOf, wrapSession, type Wrapped, type WrapSessionOptions } from './wrap-session.ts';

/**
 * All sessions of a store, wrapped in the same layers: {@link wrapSession} for each session.
 *
 * - `session(id)` is the same object for the same id as long as it is referenced.
 * - `deleteSession(id)` goes through the layers as a call of its own, so it is audited and caches forget the session.
 * - `appendMany()` seals for every session and writes in one round trip. It is a call on the whole store, with an empty
 * session id, and `addItems` of each session; `purgeExpired()` is a call on the whole store, and so is
 * `sessions()`. The call of `sessions()` ends before the first session is returned, so an iteration that stops
 * early is recorded as well.
 * - These four take `{ runContext, actor, purpose }` for `authorize()` and `audit()`.
 * - `ping()` and `close()` are the store's own and pass no layer.
 * - The store that you pass stays without layers: calls on it are neither authorized nor audited.
 *
 * @param store - `openSqlite(…)`, another store of strongroom, or one of your own.
 * @param layers - Outermost first. They are shared: one cache, one audit sink for all sessions.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when `store` is not a store; `session()` throws the errors
 * of {@link wrapSession}.
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
  const given: Partial<Store<S>> | null | undefined = store;
  if (METHODS.some((name) => typeof given?.[name] !== 'function')) {
    invalidOption('wrapStore', 'store', 'a store, as openSqlite() makes', store);
  }
  // A stack that cannot work is refused now, not at the first user's first message. The session is never touched.
  const probe = wrapSession(PROBE, layers, options);
  const bare = bares.get(store) ?? store;
  const around = [...layersOf(probe), ...layersOfStore(store)];
  const calls: StoreCalls = {
    async whole(kind, origin, work) {
      const call = storeCall(kind, origin, around);
      return runAround(around, call, async () => work(call));
    },
    async one(id, kind, origin, work) {
      const engine = engineOf(wrapped.session(id, { derived: true }));
      return engine === undefined ? work() : engine.rare().operate(kind, origin, work);
    },
    list: (sessionsOptions) => bare.sessions(sessionsOptions),
    async removing(id, kind, origin, work) {
      const engine = engineOf(wrapped.session(id, { derived: true }));
      return engine === undefined ? work() : engine.rare().removed(kind, origin, work);
    },
    erase: async (id, kind, origin) =>
      calls.removing(id, kind, origin, async () => {
        const maintenance = bare[MAINTENANCE];
        if (maintenance === undefined) await bare.deleteSession(id, { derived: true });
        else await maintenance.drop(id);
      }),
    async entries(id, kind, origin) {
      const session = wrapped.session(id, { derived: true });
      const engine = engineOf(session);
      if (engine === undefined) return (await session.getItems()).map((item) => ({ item, header: {} }));
      return engine.rare().operate(kind, origin, async (io) => io.visibleEntries());
    },
  };
  const wrapped: Store<Wrapped<S>> = {
    session: (id, sessionOptions) => wrapSession(store.session(id, sessionOptions), layers, options),
    async *sessions(sessionsOptions = {}) {
      const { runContext: _context, actor: _actor, purpose: _purpose, ...own } = sessionsOptions;
      const list = bare.sessions(own)[Symbol.asyncIterator]();
      let next = await calls.whole('sessions', originOf(sessionsOptions), async () => {
        checkCall('sessions', sessionsOptions, Object.keys(own));
        return list.next();
      });
      for (; next.done !== true; next = await list.next()) yield next.value;
    },
    async appendMany(batches, origin = {}) {
      await calls.whole('appendMany', originOf(origin), async () => {
        checkCall('appendMany', origin, []);
        await appendThrough(
          batches,
          (id, sessionOptions) => {
            const session = wrapped.session(id, sessionOptions);
            const engine = engineOf(session);
            if (engine === undefined) return session;
            return { addItems: async (items) => engine.addItems(items, origin.runContext, origin) };
          },
          store[GATHER],
        );
      });
    },
    async purgeExpired(purgeOptions = {}) {
      const { runContext: _context, actor: _actor, purpose: _purpose, ...own } = purgeOptions;
      return calls.whole('purgeExpired', originOf(purgeOptions), async (call) => {
        checkCall('purgeExpired', purgeOptions, Object.keys(own));
        const report = await bare.purgeExpired(own);
        countWork(call, 'purged', report.items);
        return report;
      });
    },
    async deleteSession(id, options = {}) {
      const { derived } = options;
      const own = derived === undefined ? {} : { derived };
      const origin = originOf(options);
      const work = async (): Promise<DeletionReport> => {
        checkCall('deleteSession', options, ['derived']);
        const maintenance = bare[MAINTENANCE];
        if (maintenance === undefined) return bare.deleteSession(id, own);
        // Its derived sessions through the layers as well: these hold state for them, and authorize and audit the
        // deletion.
        return deleteTree(maintenance, id, async (each) =>
          each === id ? maintenance.drop(id) : calls.erase(each, 'deleteSession', origin),
        );
      };
      const engine = engineOf(wrapped.session(id, own));
      return engine === undefined ? work() : engine.rare().removed('deleteSession', origin, work);
    },
    [CALLS]: calls,
    ...(store[MAINTENANCE] !== undefined && { [MAINTENANCE]: store[MAINTENANCE] }),
    ping: () => store.ping(),
    close: () => store.close(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
  stacks.set(wrapped, around);
  bares.set(wrapped, bare);
  return wrapped;
}

/** The store itself under wrapped ones. */
const bares = new WeakMap<object, Store>();

/** The call that layers see for a call on a whole store. */
function storeCall(kind: CallKind, origin: CallOrigin, layers: readonly SessionLayer[]): SessionCall {
  return {
    kind,
    sessionId: '',
    ...origin,
    inner: PROBE,
    layers,
    routesByRunContext: false,
    sealed: layers.some((layer) => layer.seals === true),
    now: stackClock(layers),
    lookBack: () => Promise.resolve(undefined),
    skipped: () => undefined,
    result: {},
  };
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
