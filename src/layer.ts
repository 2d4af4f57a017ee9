import type { AgentInputItem, RunContext, Session } from '@openai/agents';
import type { DekStore } from './keys/dek-store.ts';
import type { MaybePromise } from './maybe-promise.ts';

export type { MaybePromise };

/**
 * Fields that layers store in clear with an entry; authenticated when the stack encrypts. Times are Unix
 * milliseconds. Fields of other layers are named `x-…` and are ignored by readers that do not know them.
 */
export interface Header {
  /** Suite that sealed the entry, `"none"` when nothing did. */
  readonly s?: string;
  /** Id of the data key, and the commitment to it (base64url of 32 bytes). */
  readonly d?: string;
  /** When the entry was written. */
  readonly t?: number;
  /** When the entry expires. */
  readonly e?: number;
  /** When the call that this result belongs to was written, or the oldest of the entries that this one replaces. */
  readonly g?: number;
  /** Tag of the operation that wrote the entry. */
  readonly o?: string;
  readonly [extension: `x-${string}`]: string | number | boolean | null;
}

/** An item on its way through the stack. */
export interface Entry {
  readonly item: AgentInputItem;
  readonly header: Header;
  /** The inner session's record, as it was read or will be written. */
  readonly stored?: AgentInputItem;
}

/** A record that a lower layer hid: it exists, but has no visible item. */
export interface HiddenEntry {
  readonly item?: undefined;
  readonly stored: AgentInputItem;
  /** Hidden because it could not be read, which makes the wrapper read-only; set by the engine. */
  readonly skipped?: true;
}

/** The kind of a call. Members of the SDK that only return ids or capabilities are not calls. */
export type CallKind =
  | 'getItems'
  | 'addItems'
  | 'popItem'
  | 'clearSession'
  | 'replaceHistoryWithCompaction'
  | 'applyHistoryTransaction'
  | 'applyHistoryMutations'
  | 'replacePrefix'
  // The call on the session that `archiveTo` of another session's `replacePrefix` names.
  | 'archive'
  // Of a session whose beginning is copied into a branch, and of the branch.
  | 'createBranch'
  | 'switchBranch'
  // Of a conversation, for the name of its current branch.
  | 'currentBranch'
  | 'deleteSession'
  | 'runCompaction'
  | 'getItemsWithCompactionOwnership'
  | 'addItemsWithCompactionOwnership'
  // Calls on a store, and of functions on sessions and stores.
  | 'sessions'
  | 'appendMany'
  | 'purgeExpired'
  | 'retention'
  | 'exportSubject'
  | 'eraseSubject'
  | 'exportSession'
  | 'shred'
  | 'hold'
  | 'release'
  | 'migrate'
  | 'transfer'
  | 'rewrap'
  | 'reencrypt'
  | 'checkKeys'
  | 'report'
  | 'purgeDataKeys'
  | 'destroyKey';

/** What the layers of strongroom did in a call: counts, never content. Absent: nothing. */
export interface Work {
  /** Records that `encrypt()` opened or sealed. */
  opened?: number;
  sealed?: number;
  /** Reads that `cache()` answered from memory, and those that needed the history. */
  cacheHits?: number;
  cacheMisses?: number;
  /** Items that `expire()` hid. */
  expired?: number;
  /** Records that `purgeExpired()` deleted. */
  purged?: number;
  /** What `redact()` replaced, by entity type. */
  redacted?: Record<string, number>;
}

/** One call of a session member, as layers see it. A layer never sees the member itself. */
export interface SessionCall {
  readonly kind: CallKind;
  /**
   * The inner session's id at the time of this call (`clearSession` can change it). Empty for a call on a whole store,
   * which is followed by one for each session that it concerns.
   */
  readonly sessionId: string;
  /** How many of the last visible items to read; absent: all. */
  readonly limit?: number | undefined;
  /** How many items the caller passes. */
  readonly itemCount?: number | undefined;
  /** Stable under retries of the same operation. */
  readonly operationId?: string | undefined;
  /** Present when the runner passed one. */
  readonly runContext?: RunContext<unknown> | undefined;
  /** Who calls and why, where the caller of a function passed it. */
  readonly actor?: string | undefined;
  readonly purpose?: string | undefined;
  /** The innermost session. For identity (`WeakMap` keys) only: a layer does not call it. */
  readonly inner: Session;
  /**
   * All layers of the stack, outermost first. For identity only: a layer that serves several stacks keeps their
   * state apart by it.
   */
  readonly layers: readonly SessionLayer[];
  /** Whether the inner session chooses its history by the run context. */
  readonly routesByRunContext: boolean;
  /** Whether a layer of this stack seals. */
  readonly sealed: boolean;
  /** Where the inner session's store keeps wrapped data keys, if it does. */
  readonly dekStore?: DekStore | undefined;
  /** Where the version of the inner session's history comes from; the stores of strongroom have one. */
  readonly version?: VersionSource | undefined;
  /**
   * Entries that this write replaces (a compaction, a summary): new entries may not expire later than the first of
   * them.
   */
  readonly replaces?: readonly Pick<Entry, 'header'>[];
  /**
   * Those of {@link SessionCall.replaces} from the first one whose record goes; all of them when absent. The first items
   * of a replacement can be those that it replaces: their records stay.
   */
  readonly removes?: readonly Pick<Entry, 'header'>[];
  /** The session whose items this call writes with their header fields: an archive, a branch. */
  readonly copiedFrom?: string | undefined;
  /** The stack's clock, in Unix milliseconds. */
  now(): number;
  /**
   * The newest tool call that matches (of a function, a computer, a shell and the like): looked for among the calls
   * that this process wrote and read last, then in one raw read of 64 records.
   */
  lookBack(match: (entry: Entry) => boolean): Promise<Entry | undefined>;
  /** A layer hid a record that it could not read; the wrapper becomes read-only until a full read skips nothing. */
  skipped(): void;
  /** Filled by the engine before `around`'s `next` resolves. */
  readonly result: {
    items?: number;
    servedFrom?: 'backup' | 'nothing';
    /** Filled by layers and stores of strongroom. */
    work?: Work;
    /**
     * Set when all `around` hooks have passed the call on and the session (or the layer that answers for it) has
     * not returned yet. While it is not set, an error of the call comes from a layer.
     */
    unanswered?: boolean;
  };
}

/**
 * Identifies the state of a history. Equal versions mean equal histories, and no other state of a history gets the
 * same version, even after its store lost data. Compared, never counted.
 */
export type HistoryVersion = string;

/** The version of a history to which nothing was ever written, on the stores that have it: no session, so no records. */
export const UNWRITTEN: HistoryVersion = '0:0';

/** The effect of one append of this process on the version of the history. */
export interface AppendStep {
  /** How many records it appended. */
  readonly records: number;
  /** A random number that it moved the version on by. */
  readonly mark: number;
}

/** The answer of a store about the version of its history. */
export interface VersionAnswer {
  readonly version: HistoryVersion;
  /** Whether the history is the earlier one plus these appends, and nothing else. */
  readonly follows: boolean;
}

/** Where the version of a history comes from. */
export interface VersionSource {
  /** The version from an earlier query, while the database announces every change of it. */
  known(): HistoryVersion | undefined;
  /** Queries the database. */
  read(): MaybePromise<HistoryVersion>;
  /**
   * Queries the database, and compares the answer with an earlier version.
   *
   * @param steps The appends of this process since `version`, oldest first.
   */
  compare(version: HistoryVersion, steps: readonly AppendStep[]): MaybePromise<VersionAnswer>;
  /**
   * The acknowledged append of this process whose last record is this object. Appends from before the first query
   * are not known.
   */
  stepOf(record: AgentInputItem): AppendStep | undefined;
}

/** Reads for {@link SessionLayer.load}: both functions skip the layers above the loading one. */
export interface LayerIO {
  /** The last `count` records of the inner session, all when absent. */
  raw(count?: number): Promise<AgentInputItem[]>;
  /** Opens records through the layers below; one element a record. */
  open(records: readonly AgentInputItem[]): Promise<readonly (Entry | HiddenEntry)[]>;
  /** The version of the inner session's history; the stores of strongroom have one. */
  readonly version?: VersionSource;
}

/**
 * One policy in a stack. All hooks are optional; a layer with none of the data hooks (`write`, `read`, `compare`,
 * `load`) only observes and may stand anywhere. Hooks take batches. See `examples/custom-layer.ts`.
 */
export interface SessionLayer {
  /** Used in errors, audit records and traces, and by `unique`; nothing else depends on it. */
  readonly name: string;
  /** Requests the run context from the runner even if the inner session does not. */
  readonly wantsRunContext?: true;
  /**
   * This layer writes header fields, so records become envelopes. Without it the headers that `write` and `read`
   * return must have the fields that they got: an added field would be lost in a stack where no other layer stamps.
   * Even with it, the times `t`, `e` and `g` must not change. An item that is kept and written again (by a
   * compaction, a rollback) has its earlier fields: a layer whose field depends on the text must compute it again
   * each time.
   */
  readonly stamps?: true;
  /** Items that this layer stamps expire, so functions that would copy them without their stamps refuse to. */
  readonly expires?: true;
  /**
   * What `read` is. `'inverse'`: it undoes `write`, for the item and for the header fields that `write` added; the layer
   * is a codec, such as compression. At any place above the seal or the cache a codec works below all other layers,
   * so that they see items before `write`: a layer that pairs calls with results, or one that redacts. A codec
   * below a cache works there, and the cache keeps decoded items. `'view'`: it changes or hides items on read only,
   * such as redaction on read; an item that is kept is stored again unchanged. Absent: `'inverse'` for a layer with
   * `write` and `read` that has no `compare` and does not stamp, else `'view'`.
   */
  readonly reads?: 'inverse' | 'view';
  /** Below this layer items cannot be read. `write` returns carriers, `read` takes records. */
  readonly seals?: true;
  /**
   * With `stamps`, in a stack that does not seal: how a record without a stamp is treated; `read` gets it with an
   * empty header. `'keep'`: as plain text, and so is text of the shape of an unsealed envelope that was not written
   * for this session (a user may have pasted one). `'envelopes'`: like `'keep'`, but every unsealed envelope is
   * opened. `'refuse'` and `'hide'`: `read` throws or hides it. A layer without this option shows it and leaves the
   * decision to the other stamping layers. Of several answers in one stack the first of `'refuse'`, `'hide'`,
   * `'keep'`, `'envelopes'` counts.
   */
  readonly unstamped?: 'refuse' | 'hide' | 'keep' | 'envelopes';
  /**
   * With `stamps`: milliseconds that the stack's clock may be ahead of the database's before the removal of records
   * that this layer hides is `ERR_CLOCK`; infinite to trust the clock. Default: 5 minutes, or 30 days where the
   * database runs in this process.
   */
  readonly maxAhead?: number | undefined;
  /** At most one layer of this name in a stack. */
  readonly unique?: true;
  /** The stack's time source, Unix milliseconds. */
  readonly clock?: (() => number) | undefined;
  /** Transforms entries on their way to the store; returns as many as it gets, in their order. */
  write?(entries: readonly Entry[], call: SessionCall): MaybePromise<readonly Entry[]>;
  /**
   * Called before entries are sealed and stored, with the entries as all layers that see items left them, header
   * fields included. A layer stores here what must be stored before the entries and last as long. Throws to refuse
   * the write.
   */
  settled?(entries: readonly Entry[], call: SessionCall): MaybePromise<void>;
  /** Transforms entries on their way back; returns as many as it gets, `undefined` for one to hide. */
  read?(entries: readonly Entry[], call: SessionCall): MaybePromise<readonly (Entry | undefined)[]>;
  /**
   * The item as it would be after this layer's `write` and `read`, for the runner's comparisons. Synchronous, item
   * by item, deterministic, idempotent; keeps `type` and ids.
   */
  compare?(item: AgentInputItem): AgentInputItem;
  /** Answers reads instead of the layers below: one element a raw record, the last `call.limit` records. */
  load?(call: SessionCall, io: LayerIO): MaybePromise<readonly (Entry | HiddenEntry)[]>;
  /**
   * Gets all entries that a read is about to return, in the order of the records, opened now or from a cache, with
   * codecs undone and before any view. Checks across records belong here: `read` may see a part of them. Throws to
   * refuse the read.
   */
  inspect?(entries: readonly (Entry | HiddenEntry)[], call: SessionCall): MaybePromise<void>;
  /** Before records are removed or replaced. Throws to refuse it. */
  removing?(call: SessionCall): MaybePromise<void>;
  /**
   * Before every mutation. `done` runs after it: with the appended records only if an append was acknowledged, with
   * the removed ones only if a removal or a replacement was. With neither, the contents of the session are unknown.
   */
  mutation?(call: SessionCall): {
    done(appended?: readonly Entry[], removed?: readonly (Entry | HiddenEntry)[]): void;
  };
  /** The index of this record in the operation's `count` records, or -1. */
  matches?(
    record: AgentInputItem,
    operationId: string,
    count: number,
    call: SessionCall,
  ): MaybePromise<number>;
  /**
   * For a layer whose `read` depends on the call (a key for each tenant): equal parts, by value or identity, for calls
   * under which the same record opens to the same entry. A cache keeps calls with other parts apart.
   */
  opensAs?(call: SessionCall): MaybePromise<readonly (string | object)[]>;
  /**
   * For a layer whose result can change while the records do not (a key is disabled, a date passes): a name for
   * what the result depends on. Entries of one name can all be opened, or none; a cache keeps one entry of each
   * name.
   */
  opensBy?(entry: Entry): string;
  /** Whether entries that were opened before could be opened now: one of each name of {@link SessionLayer.opensBy}. */
  stillOpens?(entries: readonly Entry[], call: SessionCall): MaybePromise<boolean>;
  /** The inner session refused entries that this layer sealed: `true` when sealing and writing again can succeed. */
  refused?(error: unknown, call: SessionCall): boolean;
  /** Around any call. The result is opaque on purpose: an audit layer cannot log content by accident. */
  around?<T>(call: SessionCall, next: () => Promise<T>): Promise<T>;
}

/** Layers, outermost first. Lists nest. */
export type Layers = readonly (SessionLayer | Layers)[];

/** Who makes a call that is not a member of a session, and why: for `authorize()` and `audit()`. */
export interface CallOrigin {
  /** The run context, which `check` and `actor` also get in calls of the runner. */
  readonly runContext?: RunContext<unknown>;
  /** Who calls; part of the audit event unless the option `actor` of `audit()` gives another. */
  readonly actor?: string;
  /** Why, such as the number of a request; part of the audit event. */
  readonly purpose?: string;
}
