import type { AgentInputItem, Session, SessionHistoryTransactionAwareSession } from '@openai/agents';
import { StrongroomError } from './errors.ts';
import { derivedId, type DerivedId } from './derived-id.ts';
import type { DekStore } from './keys/dek-store.ts';
import type { CallKind, CallOrigin, Entry, Header, SessionCall, VersionSource } from './layer.ts';

/*
 * Ports that sessions and stores of strongroom offer to each other beyond the SDK's `Session`. Each is a symbol of
 * the global registry, so that two copies of this package in one program share it, and no member of a user's
 * session is mistaken for one of ours.
 */

/** Under this symbol a session of a store reports which operations it has applied. */
export const OPERATIONS: unique symbol = Symbol.for('strongroom.operations') as never;

/** Under this symbol a wrapper describes its layers, and those of the wrappers below it, as {@link DescribedLayer}s. */
export const LAYERS: unique symbol = Symbol.for('strongroom.layers') as never;

const LAYER_KINDS = ['items', 'seals', 'stamps', 'expires', 'unique', 'loads', 'inverse'] as const;

/**
 * The properties of a layer on which the order of a stack depends:
 * - `items`: it sees items, or their stored form.
 * - `seals`, `stamps`, `expires`, `unique`: the properties of the layer with these names.
 * - `loads`: it answers reads from its own memory.
 * - `inverse`: its `read` undoes its `write`.
 */
export type LayerKind = (typeof LAYER_KINDS)[number];

/** A layer as another copy of this package can understand it. */
export interface DescribedLayer {
  readonly name: string;
  readonly kinds: readonly LayerKind[];
}

/**
 * The layers of a wrapper that any copy of this package made, outermost first; none for any other session.
 *
 * @throws {@link StrongroomError} `ERR_UNSUPPORTED` when a copy of another version describes them otherwise.
 */
export function describedLayers(session: Session): readonly DescribedLayer[] {
  const layers: unknown = (session as { readonly [LAYERS]?: unknown })[LAYERS];
  if (layers === undefined) return [];
  if (Array.isArray(layers) && layers.every(isDescribed)) return layers;
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    'This session was wrapped by a copy of strongroom of another version, which describes its layers in another way. ' +
      'Install one version of strongroom.',
  );
}

function isDescribed(value: unknown): value is DescribedLayer {
  if (typeof value !== 'object' || value === null) return false;
  const { name, kinds } = value as { readonly name?: unknown; readonly kinds?: unknown };
  return (
    typeof name === 'string' &&
    Array.isArray(kinds) &&
    kinds.every((kind) => LAYER_KINDS.includes(kind as LayerKind))
  );
}

/** On a session of a store of ours: the name of the function that opened the store, such as `openSqlite`. */
export const STORE_NAME: unique symbol = Symbol.for('strongroom.storeName') as never;

/** On a wrapper: the store of its session. Only sessions of one store archive to each other in one transaction. */
export const STORE_OF: unique symbol = Symbol.for('strongroom.store') as never;

/**
 * Under this symbol a session of a store opens the sessions that belong to it, in the same store and in the same
 * layers. The store records the owner in the transaction that creates them.
 */
export const DERIVE: unique symbol = Symbol.for('strongroom.derive') as never;

/** How a session reaches what belongs to it. */
export interface Derive {
  /** The session of an id that {@link derivedId} made. */
  readonly open: (id: string) => Session;
  /** Ids of what belongs to a session, what was made from others first. */
  readonly tree: (sessionId: string) => Promise<readonly string[]>;
}

export function deriveOf(session: Session): Derive | undefined {
  return (session as { readonly [DERIVE]?: Derive })[DERIVE];
}

/**
 * The session of this kind that belongs to `session`, beside it in its store and in the same layers; `undefined`
 * for a session that is not from a store of ours, which cannot record its derived sessions.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when the id gets too long for the store.
 */
export async function openBeside(
  session: Session,
  what: Omit<DerivedId, 'of'>,
): Promise<Session | undefined> {
  return deriveOf(session)?.open(derivedId({ ...what, of: await session.getSessionId() }));
}

/**
 * Under this symbol, a session that follows the current branch of a conversation returns the session of one branch:
 * the branch of the run, or the current one.
 */
export const FOLLOW: unique symbol = Symbol.for('strongroom.follow') as never;

export type Follow = (runContext?: object) => Promise<Session>;

/** The session of one history behind a session that may follow branches. */
export async function historyOf(session: Session, runContext?: object): Promise<Session> {
  const follow = (session as { readonly [FOLLOW]?: Follow } | undefined)?.[FOLLOW];
  return follow === undefined ? session : follow(runContext);
}

/**
 * Under this symbol a session of a store, or its wrapper, copies its first items to another session of the store,
 * in one transaction, or lets a branch share them: see {@link CopyBeginning}.
 */
export const COPY: unique symbol = Symbol.for('strongroom.copy') as never;

/** The items to copy, and their target. */
export interface CopyPlan extends CallOrigin {
  /** Returns how many of the items of `getItems()` are copied. Can be called again with another history. */
  readonly count: (items: readonly AgentInputItem[]) => number;
  /** All items are copied: `count` is not called where the records are shared. */
  readonly whole?: boolean;
  /** A session of the same store in the same layers; the copies are appended there. */
  readonly to: Session;
  /** Stable under retries. */
  readonly operationId: string;
  /** Called once, after the layers have allowed the call and before anything is copied. */
  readonly begin: () => Promise<void>;
}

/**
 * Each copy keeps the times and header fields of its original, so no expiry is extended. Returns how many items
 * were copied; `undefined` if they are shared and were not read.
 *
 * @throws {@link StrongroomError} `ERR_READ_ONLY` when a record of the beginning cannot be opened; `ERR_CONFLICT`
 * when others keep changing the beginning. Then nothing was copied.
 */
export type CopyBeginning = (plan: CopyPlan) => Promise<number | undefined>;

/**
 * The arguments of a copy in a store: the beginning is compared, and the records that were sealed for the other
 * session are appended there.
 */
export interface CopyRecordsArgs {
  /** The expected first records: their number, and their `historyDigest`. */
  readonly count: number;
  readonly digest: string;
  readonly to: string;
  readonly items: readonly AgentInputItem[];
  /** For each item, the index of the record of which it is a copy. */
  readonly from: readonly number[];
  readonly operationId: string;
}

/** Under this symbol a session of a store takes {@link CopyRecordsArgs}. `ERR_CONFLICT` when the beginning differs. */
export const COPY_RECORDS: unique symbol = Symbol.for('strongroom.copyRecords') as never;

/**
 * Under this symbol a session of a store brings the `createStoreMembers` of `engine/store-members.ts`, which makes
 * `replacePrefix` and {@link COPY} of its wrapper: applications that bundle no store do not bundle these either.
 */
export const STORE_MEMBERS: unique symbol = Symbol.for('strongroom.storeMembers') as never;

/** The arguments of {@link SHARE_RECORDS}: as those of a copy, without the copies. */
export interface ShareRecordsArgs {
  readonly to: string;
  /** The expected first records. Default: all records that are there, whatever they are. */
  readonly beginning?: { readonly count: number; readonly digest: string };
  readonly operationId: string;
}

/** Under this symbol a session of a store lets a branch without records share its first ones; absent where it cannot. */
export const SHARE_RECORDS: unique symbol = Symbol.for('strongroom.shareRecords') as never;

/** Under this symbol a session offers the version of its history, as a `VersionSource`. */
export const VERSION: unique symbol = Symbol.for('strongroom.version') as never;

/** Under this symbol a session of a store exchanges records without the text of an envelope. */
export const RECORDS: unique symbol = Symbol.for('strongroom.records') as never;

/** How a session exchanges such records with an engine. */
export interface RecordSource {
  /** The session that offers this: an object that inherits or copies the symbol may have other members. */
  readonly of: () => object;
  /** Its original members. A member that replaced one of them is called, and gets carriers. */
  readonly members: Pick<Session, 'getSessionId' | 'getItems' | 'addItems'>;
  /** The class of the records: another copy of this package has another class. */
  readonly made: unknown;
  /** The constant result of its `getSessionId()`. */
  readonly id: string;
  /** Like `getItems`. `addItems` accepts such records, too. */
  readonly read: (limit?: number) => Promise<AgentInputItem[]>;
  /** The `count` records that stand before the last `skip`, oldest first; all of them when absent. */
  readonly past: (count: number | undefined, skip: number) => Promise<readonly PastRecord[]>;
  /** Only of a usage ledger. */
  readonly ledger?: Ledger;
}

/** The members by which a run reaches a history. */
export type Guarded = Partial<
  Pick<Session, 'addItems' | 'prepareHistoryItemForModelInput'> &
    Pick<SessionHistoryTransactionAwareSession, 'applyHistoryTransaction'>
> & { replaceHistoryWithCompaction?(...args: never[]): Promise<void> };

/**
 * What a usage ledger does otherwise than a conversation, see `protocol/ledger.ts`. Its session brings that: applications that
 * bundle no store do not bundle it.
 */
export interface Ledger {
  /** The members of the session, or of a wrapper of it, that differ from those of a conversation. */
  readonly membersOf: (session: Guarded) => Guarded;
  /** Throws for anything but records of usage; for a function that writes by other ways than these members. */
  readonly check: (written: unknown) => void;
  /** Says that the caller has checked what it writes. */
  readonly passOn: (written: object) => void;
}

/** The ledger of a session of a store that is one. */
export function usageLedgerOf(session: Session): Ledger | undefined {
  return (session as { readonly [RECORDS]?: RecordSource })[RECORDS]?.ledger;
}

/** A record and when it was written, where that is known. Unix milliseconds. */
export interface PastRecord {
  readonly record: AgentInputItem;
  readonly writtenAt?: number | undefined;
}

/** Under this symbol a wrapper offers {@link Pages}. */
export const PAGES: unique symbol = Symbol.for('strongroom.pages') as never;

/** The page to read, and the call origin. */
export interface ReadPageOptions extends CallOrigin {
  readonly before?: string | undefined;
  /** All when absent. */
  readonly limit?: number | undefined;
}

/** A visible item with details from the layers. */
export interface PagedItem {
  readonly item: AgentInputItem;
  /** When it was written, in Unix milliseconds. */
  readonly at?: number | undefined;
  /** The agent that said it, see `attribute()`. */
  readonly agent?: string | undefined;
  /** Identifies its record in the history, until it is sealed again. */
  readonly key: () => string;
}

export interface PageOfItems {
  /** Oldest first. */
  readonly items: readonly PagedItem[];
  /** The cursor of the page before this one; absent on the first page. */
  readonly before: string | undefined;
}

/** Reads the `count` records that stand before the last `skip` of a history, all of them when absent, oldest first. */
export type ReadPast = (count: number | undefined, skip: number) => Promise<readonly PastRecord[]>;

/** The visible items of records, one element a record; `undefined` for a hidden one. */
export type ShowRecords = (
  records: readonly AgentInputItem[],
) => Promise<readonly (Omit<PagedItem, 'key'> | undefined)[]>;

/** One call that finds a page by these reads. How it does so comes from the caller: applications without pages do not bundle it. */
export type ReadPage = (
  options: Omit<ReadPageOptions, 'before'>,
  find: (read: ReadPast, show: ShowRecords) => Promise<PageOfItems>,
) => Promise<PageOfItems>;

/** Reads of a wrapped session for functions, in addition to its members. */
export interface Pages {
  readonly read: ReadPage;
  /** Of the innermost session; those of our stores have one. */
  readonly version: Pick<VersionSource, 'read'> | undefined;
  /** As `addItems`, with header fields that the entries have from the start: one element for each item. */
  readonly append: (items: AgentInputItem[], headers: readonly Header[]) => Promise<void>;
}

/** Under this symbol a store lets appends of several sessions share a round trip, see `stores/gather.ts`. */
export const GATHER: unique symbol = Symbol.for('strongroom.gather') as never;

/** Under this symbol a store of ours offers its maintenance functions, see `stores/maintenance.ts`. */
export const MAINTENANCE: unique symbol = Symbol.for('strongroom.maintenance') as never;

/** Under this symbol a DEK store reports the time of its database, see `clock.ts`. */
export const REFERENCE: unique symbol = Symbol.for('strongroom.timeReference') as never;

/** Under this symbol a session of a store lets a wrapper report the begin of a call. */
export const ADMIT: unique symbol = Symbol.for('strongroom.admit') as never;

/**
 * Registers a call, which `close()` of the store then waits for; returns a function that ends it. Until then the
 * session accepts calls even after `close()`, because they are parts of that call.
 *
 * @throws {@link StrongroomError} `ERR_CLOSED` once `close()` was called.
 */
export type Admit = () => () => void;

/** Under this symbol a session offers the {@link DekStore} of its own database. */
export const DEK_STORE: unique symbol = Symbol.for('strongroom.dekStore') as never;

/**
 * Under this symbol the {@link DekStore} of a session's own database gets the ids of its keys that sealed the
 * records to be written there. The write then checks, in its own transaction, that these keys still exist.
 */
export const GUARD: unique symbol = Symbol.for('strongroom.guard') as never;

/** A {@link DekStore} in the database of the records. */
export interface GuardingDekStore extends DekStore {
  readonly [GUARD]: (did: string) => void;
}

export function isGuarding(store: DekStore | undefined): store is GuardingDekStore {
  return store !== undefined && GUARD in store;
}

/** Under this symbol a session offers its {@link SessionLeases}. */
export const LEASES: unique symbol = Symbol.for('strongroom.leases') as never;

/** The purpose of a lease: the turn of a run on a session, or a job over the whole store. */
export type LeaseName = `session ${string}` | `job ${string}`;

/** A process that has lost the lease changes nothing, however late it notices. */
export interface Fence {
  readonly lease: LeaseName;
  readonly owner: string;
}

/**
 * Locks that a process holds for a limited time and renews: they expire when the process dies. The owner keeps an expired
 * lease until another owner takes it over, so an owner that wakes up late has lost nothing until then. A lease
 * leaves no data after it was released; after it expired, a later purge removes it (Redis: two hours later); a turn
 * on a session is removed with the session.
 */
export interface Leases {
  /**
   * Whether the owner now has the lease, because no other owner had it.
   *
   * @param patience For how many milliseconds the caller will retry. A caller that can wait does not rely on a
   * server's clock alone to treat another owner's lease as expired: see lease-watch.ts. Default 0.
   */
  acquire(name: LeaseName, owner: string, milliseconds: number, patience?: number): Promise<boolean>;
  /** Whether the owner still had the lease; then it is extended. */
  renew(name: LeaseName, owner: string, milliseconds: number): Promise<boolean>;
  release(name: LeaseName, owner: string): Promise<void>;
}

/** The leases of a session's own database. */
export interface SessionLeases extends Leases {
  /**
   * Until the next call of this function, changes through this session object are made only while the owner has the
   * lease, which is checked in the same atomic step; else they are `ERR_CONFLICT`.
   */
  fence(fence: Fence | undefined): void;
}

/** The error of a change by a run whose turn is over, see `exclusive()`. */
export function lostTurnError(sessionId: string): StrongroomError {
  return new StrongroomError(
    'ERR_CONFLICT',
    `exclusive: this run lost session ${JSON.stringify(sessionId)} to another run, because it did not renew its lease in ` +
      'time. Nothing was written; run it again.',
    { written: 'no' },
  );
}

/** Under this symbol a wrapped store passes calls of functions on it through its layers. */
export const CALLS: unique symbol = Symbol.for('strongroom.calls') as never;

/** A store's summary of one session that holds items. */
export interface SessionSummary {
  readonly id: string;
  readonly items: number;
  /** Size of the records in bytes, without the database's own overhead. */
  readonly bytes: number;
  /** When the first item was written, in Unix milliseconds. */
  readonly firstAt: number;
  /** When the last item was written, in Unix milliseconds. */
  readonly lastAt: number;
  /** The subject of the session, where it is known; for a derived session, that of its root. */
  readonly subject?: string;
  /** For a derived session: the conversation at the top. */
  readonly root?: string;
  /** The session that it was derived from. */
  readonly parent?: string;
  /** What it is: `'branch'`, `'archive'`, `'usage'`, `'vault'`, `'keys'`, … */
  readonly kind?: string;
}

/** Selects sessions of a store: conversations, derived ones (`true`), or both. */
export type Derived = boolean | 'all';

/** Calls on a wrapped store that are not calls of a member of one of its sessions. */
export interface StoreCalls {
  /** One call on the whole store: layers see an empty session id. */
  whole<T>(kind: CallKind, origin: CallOrigin, work: (call: SessionCall) => Promise<T>): Promise<T>;
  /** A call on one session, for work below its layers. */
  one<T>(id: string, kind: CallKind, origin: CallOrigin, work: () => Promise<T>): Promise<T>;
  /** The sessions, without the layers. */
  list(options: { readonly subject?: string; readonly derived?: Derived }): AsyncIterable<SessionSummary>;
  /** A call that changes a session below its layers; the state that layers hold for the session is dropped. */
  removing<T>(id: string, kind: CallKind, origin: CallOrigin, work: () => Promise<T>): Promise<T>;
  /** Deletes this one session; in a store of ours none that belongs to it. */
  erase(id: string, kind: CallKind, origin: CallOrigin): Promise<void>;
  /** All items of the session as its caller sees them, with their headers. */
  entries(id: string, kind: CallKind, origin: CallOrigin): Promise<Entry[]>;
}
