import type { AgentInputItem, Session } from '@openai/agents';
import { boundedMap } from '../bounded-map.ts';
import type { HoldStore } from '../keys/dek-store.ts';
import { checkReserved, isReserved, lineageOf } from '../derived-id.ts';
import { checkSessionId, checkText, MAX_BYTES } from '../limits.ts';
import { slices } from '../slices.ts';
import { checkOptions, invalidOption, parseCount, parseDuration, type Duration } from '../options.ts';
import { refuseOrigin } from '../protocol/call-origin.ts';
import { checkAhead, parseMaxAhead, type ReadReference } from '../clock.ts';
import type { CallOrigin } from '../layer.ts';
import {
  DERIVE,
  type Derived,
  GATHER,
  MAINTENANCE,
  type GuardingDekStore,
  GUARD,
  type Derive,
  type SessionSummary,
  type StoreCalls,
  type CALLS,
  REFERENCE,
} from '../session-contract.ts';
import { checkedDekStore } from './checked-dek-store.ts';
import type { StoreDriver } from './driver.ts';
import { createOpenSessions } from './open-sessions.ts';
import { createMaintenance, type Maintenance } from './maintenance.ts';
import { createAdmission } from './admission.ts';
import { appendThrough, createGathering, type AppendBatch, type Gathering } from './gather.ts';
import { deleteTree, type DeletionReport } from './tree.ts';
import { createStoreSession, type StoreSession } from './session.ts';
import { withSubjects } from './subjects.ts';
import { createVersions } from './versions.ts';

export type { AppendBatch, DeletionReport, Derived, SessionSummary };

/** Options of {@link Store.session}. */
export interface SessionOptions {
  /**
   * The subject of the session: stored from the next write on, so that all sessions of a person can be found. The
   * first one that was written stays until the session is removed: every change of a session that was opened with
   * another one is `ERR_CONFLICT`, in every process; so are reads, if the same process has the session open with the
   * right one. The database decides, not what a process was told before. It is not a permission.
   */
  readonly subject?: string;
  /** `true` for a derived session, see `derivedId()`. Its id is refused otherwise. */
  readonly derived?: boolean;
}

/** Options of {@link Store.purgeExpired}. */
export interface PurgeOptions {
  /**
   * The current policy: records of at least this age are expired, independent of their stamps. Milliseconds or a
   * duration such as `'30d'`. Default: only stamps count.
   */
  readonly after?: Duration;
  /** Records a transaction; other writers can run in between. Default 1,000. */
  readonly batch?: number;
  /**
   * How far the store's clock may be ahead of the database's (SQLite and PGlite: of the time since the store was
   * opened); farther is `ERR_CLOCK`, because a wrong clock would delete records that are still needed. `'any'`
   * trusts the clock. An explicit `clock` is trusted when the database runs in this process. Default `'5m'`, SQLite
   * and PGlite `'30d'`.
   */
  readonly maxAhead?: Duration | 'any';
  /** Ends the purge between two batches: it rejects with the signal's reason, deleted records stay deleted. */
  readonly signal?: AbortSignal;
  /** Called after each batch, with what was deleted so far. */
  readonly onProgress?: (progress: PurgeReport) => void;
}

/** Options of {@link Store.sessions}. */
export interface SessionsOptions {
  /** Only the sessions of this subject. A derived session has the subject of its root, also when that is gone. */
  readonly subject?: string;
  /**
   * `false`: conversations. `true`: derived sessions (branches, archives, ledgers, vaults, …), with root, parent
   * and kind. `'all'`: both. Default `false`.
   */
  readonly derived?: Derived;
}

/** The result of {@link Store.purgeExpired}. */
export interface PurgeReport {
  /** Records deleted. */
  readonly items: number;
  /** Sessions that lost some. */
  readonly sessions: number;
}

/** A database that holds many sessions. */
export interface Store<S extends Session = Session> {
  /**
   * The session of this id: the same object for the same id as long as it is referenced (the SDK's runner keeps
   * state by identity); another one after this process removed the session, unless the subject is the same. Nothing is
   * stored before the first write.
   *
   * @param id Non-empty, at most 512 bytes in UTF-8, compared exactly. `~<letters>~…` is reserved, see `derivedId()`.
   * @throws {@link StrongroomError} `ERR_INVALID_OPTION`, `ERR_CLOSED`.
   */
  session(id: string, options?: SessionOptions): S;
  /**
   * The sessions that hold items. Concurrent changes may or may not be included. `runContext`, `actor` and
   * `purpose` are for the layers of a wrapped store, here and below; a store without layers refuses them.
   */
  sessions(options?: SessionsOptions & CallOrigin): AsyncIterable<SessionSummary>;
  /**
   * Appends to many sessions in one round trip, to each all or nothing. One call, as if `addItems` were called on
   * each session at once: an error of one is thrown after the others are stored.
   */
  appendMany?(batches: readonly AppendBatch<AgentInputItem>[], origin?: CallOrigin): Promise<void>;
  /**
   * Deletes expired records by the times in their clear headers, without any key: `e` has passed, or with `after`,
   * `(g ?? t) + after` has (for an item without a header the time when the store got it). In batches: it can be
   * ended and run again at any time. Sessions under a legal hold are skipped. A session that loses its last item
   * disappears from {@link Store.sessions}.
   *
   * @throws {@link StrongroomError} `ERR_CLOCK` when the clock is too far ahead, see {@link PurgeOptions.maxAhead}; nothing was deleted.
   */
  purgeExpired(options?: PurgeOptions & CallOrigin): Promise<PurgeReport>;
  /**
   * Deletes the session's items, its operation log and its data keys in the table of the store (a tombstone of each key stays, so that
   * another process cannot store records under one; keys in `encrypt({ dekStore })` stay: `eraseSession()` destroys those, too), and all its derived sessions, each in a separate step and the
   * session itself last: repeat an interrupted deletion.
   *
   * @throws {@link StrongroomError} `ERR_HELD` while a legal hold is open on the session, on one that it was
   * derived from, or on a derived one; nothing was deleted.
   */
  deleteSession(id: string, options?: Pick<SessionOptions, 'derived'> & CallOrigin): Promise<DeletionReport>;
  /** Resolves when the database answers. */
  ping(): Promise<void>;
  /**
   * Waits for every earlier call, also queued ones, for at most 30 seconds; then closes the connections that the
   * store opened itself. A purge ends after its batch with `ERR_CLOSED`. Can be repeated; later calls of anything
   * else are `ERR_CLOSED` at once.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  /** Passes work on a wrapped store through its layers. A store without layers has none. */
  readonly [CALLS]?: StoreCalls;
  /** The functions of a store for retention and exclusive(). */
  readonly [MAINTENANCE]?: Maintenance;
  /** Lets wrappers combine appends of several sessions. */
  readonly [GATHER]?: (sessionIds: readonly string[]) => Gathering;
}

const PAGE = 200;
/** Data keys that must exist, each registered just before a write that needs it. */
const MOST_GUARDED = 10_000;
const DEFAULT_PURGE_BATCH = 1_000;

/** The part of a store that is the same over every database. */
export function createStore(driver: StoreDriver, now: () => number): Store<StoreSession> {
  const admission = createAdmission(driver.name);
  const { assertOpen } = admission;
  const own = admission.scope();
  const guarded = boundedMap<true>(MOST_GUARDED);
  const isGuarded = (did: string): boolean => guarded.get(did) === true;
  const direct = guardDriver(driver, admission.assertUsable, (did) => guarded.set(did, true));
  const gathering = createGathering(direct);
  const sessions = createOpenSessions(
    () => whole,
    (over, id, owner) => {
      const session = createStoreSession(over, id, versions(id), now, owner, isGuarded, admission.scope());
      return Object.defineProperty(session, DERIVE, { value: derive });
    },
  );
  const whole = withSubjects({ ...direct, append: gathering.append }, sessions);
  const versions = createVersions(whole);
  const maintenance = createMaintenance(whole, now, sessions.removed);
  const derive: Derive = {
    open: (id) => store.session(id, { derived: true }),
    tree: async (id) => maintenance.tree(id),
  };

  const store: Store<StoreSession> = {
    session(id, options = {}) {
      assertOpen();
      checkSessionId(driver.name, id);
      checkOptions(`${driver.name}: session`, options, ['subject', 'derived']);
      const { subject, derived } = options;
      checkReserved(driver.name, id, derived);
      if (subject !== undefined) checkText(driver.name, 'subject', subject, MAX_BYTES.subject);
      return sessions.open(id, subject);
    },

    async *sessions(options = {}) {
      refuseOrigin(`${driver.name}: sessions`, options);
      checkOptions(`${driver.name}: sessions`, options, ['subject', 'derived']);
      const { derived = false } = options;
      if (typeof derived !== 'boolean' && derived !== 'all')
        invalidOption(`${driver.name}: sessions`, 'derived', "true, false or 'all'", derived);
      if (options.subject !== undefined)
        checkText(driver.name, 'subject', options.subject, MAX_BYTES.subject);
      for (let after: string | undefined; ;) {
        const page = await whole.summaries(after, PAGE, options.subject);
        for (const summary of page)
          if (isMeant(summary.id, derived)) yield { ...summary, ...lineageOf(summary.id) };
        if (page.length < PAGE) return;
        after = page.at(-1)?.id;
      }
    },

    async appendMany(batches, origin = {}) {
      refuseOrigin(`${driver.name}: appendMany`, origin);
      checkOptions(`${driver.name}: appendMany`, origin, []);
      await appendThrough(batches, (id, options) => store.session(id, options), gathering.expect);
    },

    [GATHER]: gathering.expect,

    [MAINTENANCE]: maintenance,

    async purgeExpired(options = {}) {
      const where = `${driver.name}: purgeExpired`;
      refuseOrigin(where, options);
      checkOptions(where, options, ['after', 'batch', 'maxAhead', 'signal', 'onProgress']);
      const after = options.after === undefined ? undefined : parseDuration(where, 'after', options.after);
      const batch =
        options.batch === undefined ? DEFAULT_PURGE_BATCH : parseCount(where, 'batch', options.batch);
      const maxAhead = parseMaxAhead(where, options.maxAhead);
      const { signal, onProgress } = options;
      signal?.throwIfAborted();
      const at = now();
      await checkAhead(where, at, whole.reference, maxAhead);
      const expired = { now: at, writtenBefore: after === undefined ? undefined : at - after };
      const sessions = new Set<string>();
      let items = 0;
      for (;;) {
        signal?.throwIfAborted();
        assertOpen();
        const step = await whole.purge(expired, batch);
        items += step.sessions.length;
        for (const id of step.sessions) sessions.add(id);
        onProgress?.({ items, sessions: sessions.size });
        if (!step.more) return { items, sessions: sessions.size };
        // With a synchronous database this loop would run in microtasks only, and block other work of the process.
        await slices.next();
      }
    },

    async deleteSession(id, options = {}) {
      assertOpen();
      checkSessionId(driver.name, id);
      refuseOrigin(`${driver.name}: deleteSession`, options);
      checkOptions(`${driver.name}: deleteSession`, options, ['derived']);
      checkReserved(driver.name, id, options.derived);
      return await own.run(() =>
        deleteTree(maintenance, id, async (derived) => whole.deleteSession(derived)),
      );
    },

    ping: () => own.run(() => whole.ping()),

    close: () => admission.close(driver.close),

    [Symbol.asyncDispose]: () => store.close(),
  };
  return store;
}

function isMeant(id: string, derived: Derived): boolean {
  return derived === 'all' || isReserved(id) === derived;
}

/** The driver, refusing every call after the store was closed. */
function guardDriver(
  driver: StoreDriver,
  assertUsable: () => void,
  guardKey: (did: string) => void,
): StoreDriver {
  const guard =
    <A extends unknown[], R>(call: (...args: A) => R): ((...args: A) => R | Promise<never>) =>
    (...args: A): R | Promise<never> => {
      try {
        assertUsable();
        return call(...args);
      } catch (error) {
        return Promise.reject(error);
      }
    };
  const reference = driver.reference === undefined ? undefined : guard(driver.reference);
  const dekStore: GuardingDekStore & {
    readonly holds: HoldStore;
    readonly [REFERENCE]?: ReadReference | undefined;
  } = {
    ...checkedDekStore(driver.name, driver.dekStore, assertUsable),
    [GUARD]: guardKey,
    [REFERENCE]: reference,
  };
  return {
    name: driver.name,
    read: guard(driver.read),
    append: guard(driver.append),
    takesKeys: driver.takesKeys,
    shares: driver.shares,
    appendMany: guard(driver.appendMany),
    change: guard(driver.change),
    version: guard(driver.version),
    announcements: driver.announcements,
    applied: guard(driver.applied),
    summaries: guard(driver.summaries),
    derived: guard(driver.derived),
    ofSubject: guard(driver.ofSubject),
    heldOf: guard(driver.heldOf),
    heldDerived: guard(driver.heldDerived),
    purge: guard(driver.purge),
    expired: guard(driver.expired),
    reference,
    leases: {
      acquire: guard((name, owner, milliseconds, patience?: number) => {
        checkText(driver.name, 'the name of the lease', name, MAX_BYTES.lease);
        checkText(driver.name, 'the owner of the lease', owner, MAX_BYTES.owner);
        return driver.leases.acquire(name, owner, milliseconds, patience);
      }),
      renew: guard((name, owner, milliseconds) => driver.leases.renew(name, owner, milliseconds)),
      release: guard((name, owner) => driver.leases.release(name, owner)),
    },
    deleteSession: guard(driver.deleteSession),
    ping: guard(driver.ping),
    checkup: driver.checkup && guard(driver.checkup),
    close: driver.close,
    dekStore,
  };
}
