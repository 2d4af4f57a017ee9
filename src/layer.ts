import type { AgentInputItem, RunContext, Session } from '@openai/agents';
import type { DekStore } from './keys/dek-store.ts';

/** A value, or a promise of it. */
export type MaybePromise<T> = T | Promise<T>;

/**
 * What layers state about an entry in clear; authenticated when the stack encrypts. Times are Unix milliseconds.
 * Fields of other layers are named `x-…` and are ignored by readers that do not know them.
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
  /** When the call that this result belongs to was written. */
  readonly g?: number;
  /** Tag of the operation that wrote the entry. */
  readonly o?: string;
  readonly [extension: `x-${string}`]: string | number | boolean | null;
}

/** An item on its way through the stack. */
export interface Entry {
  readonly item: AgentInputItem;
  readonly header: Header;
  /** The inner session's own record, as it came from there or goes there. */
  readonly stored?: AgentInputItem;
}

/** A record that a lower layer hid: it is there, but has no item to show. */
export interface HiddenEntry {
  readonly item?: undefined;
  readonly stored: AgentInputItem;
  /** Hidden because it could not be read, which makes the wrapper read-only; set by the engine. */
  readonly skipped?: true;
}

/** What a call wants. Members of the SDK that only ask (ids, capabilities) are no calls. */
export type CallKind =
  | 'getItems'
  | 'addItems'
  | 'popItem'
  | 'clearSession'
  | 'replaceHistoryWithCompaction'
  | 'applyHistoryTransaction'
  | 'applyHistoryMutations'
  | 'replacePrefix'
  // Of the session that `archiveTo` of another one's `replacePrefix` names.
  | 'archive'
  // Of a session whose beginning is copied into a branch, and of the branch.
  | 'createBranch'
  | 'switchBranch'
  | 'deleteSession'
  | 'runCompaction'
  | 'getItemsWithCompactionOwnership'
  | 'addItemsWithCompactionOwnership'
  // Of a store, and of functions that work on sessions and stores.
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
  | 'purgeDataKeys'
  | 'destroyKey';

/** One call of a session member, as layers see it. A layer never sees the member itself. */
export interface SessionCall {
  readonly kind: CallKind;
  /**
   * The inner session's id at the time of this call (`clearSession` can change it). Empty for a call on a whole store,
   * which is followed by one for each session that it concerns.
   */
  readonly sessionId: string;
  /** How many of the last visible items are wanted; absent: all. */
  readonly limit?: number | undefined;
  /** How many items the caller hands over. */
  readonly itemCount?: number | undefined;
  /** Stable under retries of the same operation. */
  readonly operationId?: string | undefined;
  /** Present when the runner passed one. */
  readonly runContext?: RunContext<unknown> | undefined;
  /** Who calls and why, where the caller of a function said so. */
  readonly actor?: string | undefined;
  readonly purpose?: string | undefined;
  /** The innermost session. For identity (`WeakMap` keys) only: a layer does not call it. */
  readonly inner: Session;
  /** All layers of the stack, outermost first. For identity only: what one layer keeps, another stack must not see. */
  readonly layers: readonly SessionLayer[];
  /** Whether the inner session chooses its history by the run context. */
  readonly routesByRunContext: boolean;
  /** Whether a layer of this stack seals. */
  readonly sealed: boolean;
  /** Where the inner session's store keeps wrapped data keys, if it does. */
  readonly dekStore?: DekStore | undefined;
  /** Where the version of the inner session's history comes from; the stores of strongroom have one. */
  readonly version?: VersionSource | undefined;
  /** Entries that this write replaces (a compaction, a summary): what is new may not outlive the first of them. */
  readonly replaces?: readonly Pick<Entry, 'header'>[];
  /** The session whose items this call writes with their header fields: an archive, a branch. */
  readonly copiedFrom?: string | undefined;
  /** The stack's clock, in Unix milliseconds. */
  now(): number;
  /**
   * The newest tool call that matches (a call of a function, a computer, a shell and the like): first among those that
   * this process wrote and read last, then in one raw read of 64 records.
   */
  lookBack(match: (entry: Entry) => boolean): Promise<Entry | undefined>;
  /** A layer hid a record that it could not read; the wrapper becomes read-only until a full read skips nothing. */
  skipped(): void;
  /** Filled by the engine before `around`'s `next` resolves. */
  readonly result: {
    items?: number;
    servedFrom?: 'backup' | 'nothing';
    /**
     * All `around` hooks let the call through, and the session (or what answers for it) has not given what was asked. An
     * error of a call comes from a layer while it is not set.
     */
    unanswered?: boolean;
  };
}

/**
 * Says which state a history is in. Equal versions are the same history, and no history has the version of another state
 * again, whatever its store lost. Compared, never counted.
 */
export type HistoryVersion = string;

/** One append of this process, as far as the version of the history tells of it. */
export interface AppendStep {
  /** How many records it appended. */
  readonly records: number;
  /** A random number that it moved the version on by. */
  readonly mark: number;
}

/** What a store says of its history. */
export interface VersionAnswer {
  readonly version: HistoryVersion;
  /** Whether the history is what it was, and then what was appended since, and nothing else. */
  readonly follows: boolean;
}

/** Where the version of a history comes from. */
export interface VersionSource {
  /** The answer to an earlier question, while the database would have announced a change of it. */
  known(): HistoryVersion | undefined;
  /** Asks the database. */
  read(): Promise<HistoryVersion>;
  /**
   * Asks the database, and compares its answer with what was seen before.
   *
   * @param steps The appends of this process since `version`, oldest first.
   */
  compare(version: HistoryVersion, steps: readonly AppendStep[]): Promise<VersionAnswer>;
  /**
   * The append of this process whose last record is this very object, once it was acknowledged. Appends from before the first
   * question are not known.
   */
  stepOf(record: AgentInputItem): AppendStep | undefined;
}

/** What {@link SessionLayer.load} reads with: both skip the layers above the loading one. */
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
  /** Stands in errors, audit records and traces; nothing is decided by it but what `unique` says. */
  readonly name: string;
  /** Ask the runner for the run context although the inner session does not want it. */
  readonly wantsRunContext?: true;
  /**
   * This layer writes header fields, so records become envelopes. Without it the headers that `write` and `read` return
   * must have the fields that came: a field that is written would be lost wherever no other layer stamps. With it, too,
   * the times `t`, `e` and `g` stay. An item that is kept and written again (by a compaction, a rollback) comes
   * with the fields that it had: one that tells something of the text is written anew each time.
   */
  readonly stamps?: true;
  /** An item that this layer stamps has an end, so functions that would copy it without its stamps refuse to. */
  readonly expires?: true;
  /**
   * What `read` is. `'inverse'`: it undoes `write`, for the item and for the header fields that `write` added; the layer
   * is a codec, such as compression. A codec works below all layers that are none, wherever it stands above the seal or
   * the cache, so that they see what it got: a layer that pairs calls with results, or one that redacts. Below a cache it
   * works there, and the cache keeps what it opened. `'view'`: it shows what is stored in another way or hides it, such
   * as redaction on read; an item that is kept is stored again as it was. Absent: `'inverse'` for a layer with `write`
   * and `read` that has no `compare` and does not stamp, else `'view'`.
   */
  readonly reads?: 'inverse' | 'view';
  /** Below this layer items cannot be read. `write` returns carriers, `read` takes records. */
  readonly seals?: true;
  /**
   * With `stamps`, in a stack that does not seal: how a record without a stamp is taken, which comes to `read` with an
   * empty header. `'keep'`: as plain text, and so is text of the shape of an unsealed envelope that was not written for
   * this session (a user may have pasted one). `'envelopes'`: like `'keep'`, but every unsealed envelope is opened.
   * `'refuse'` and `'hide'`: `read` throws or hides it. A layer that says nothing shows it and leaves the rest to the
   * other stamping layers. Of several answers in one stack the first of `'refuse'`, `'hide'`, `'keep'`, `'envelopes'`
   * counts.
   */
  readonly unstamped?: 'refuse' | 'hide' | 'keep' | 'envelopes';
  /**
   * With `stamps`: milliseconds that the stack's clock may be ahead of the database's before the removal of what this layer
   * hides is `ERR_CLOCK`; infinite to trust the clock. Default: 5 minutes, or 30 days where the database runs in this process.
   */
  readonly maxAhead?: number | undefined;
  /** At most one layer of this name in a stack. */
  readonly unique?: true;
  /** The stack's time source, Unix milliseconds. */
  readonly clock?: (() => number) | undefined;
  /** Transforms entries on their way to the store: as many as came, in their order. */
  write?(entries: readonly Entry[], call: SessionCall): MaybePromise<readonly Entry[]>;
  /** Transforms entries on their way back: as many as came, `undefined` for one that is to be hidden. */
  read?(entries: readonly Entry[], call: SessionCall): MaybePromise<readonly (Entry | undefined)[]>;
  /**
   * What of an item survives this layer's `write` and `read`, for the runner's comparisons. Synchronous, item by
   * item, deterministic, idempotent; keeps `type` and ids.
   */
  compare?(item: AgentInputItem): AgentInputItem;
  /** Answers reads instead of the layers below: one element a raw record, the last `call.limit` records. */
  load?(call: SessionCall, io: LayerIO): Promise<readonly (Entry | HiddenEntry)[]>;
  /**
   * Looks at all that a read is about to return, in the order of the records, whether it was opened now or comes from
   * a cache, with codecs undone and before any view. What holds between records is judged here: `read` may see a part of them. Throws to refuse the read.
   */
  inspect?(entries: readonly (Entry | HiddenEntry)[], call: SessionCall): MaybePromise<void>;
  /** Before records are removed or replaced. Throws to refuse it. */
  removing?(call: SessionCall): MaybePromise<void>;
  /**
   * Before every mutation. `done` runs after it: with what was appended only if an append was acknowledged, with what
   * was removed only if a removal or a replacement was. With neither the contents of the session are unknown.
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
   * under which the same record opens to the same entry. A cache keeps the others apart.
   */
  opensAs?(call: SessionCall): MaybePromise<readonly (string | object)[]>;
  /**
   * For a layer whose answer can change while the records do not (a key is disabled, a date passes): the name of what
   * decides it. Entries of one name can all be opened, or none; a cache keeps one entry of each name.
   */
  opensBy?(entry: Entry): string;
  /** Whether entries that were opened before could be opened now: one of each name of {@link SessionLayer.opensBy}. */
  stillOpens?(entries: readonly Entry[], call: SessionCall): MaybePromise<boolean>;
  /** The inner session refused what this layer sealed: `true` when writing anew can succeed. */
  refused?(error: unknown, call: SessionCall): boolean;
  /** Around any call. The result is opaque on purpose: an audit layer cannot log content by accident. */
  around?<T>(call: SessionCall, next: () => Promise<T>): Promise<T>;
}

/** Layers, outermost first. Lists nest. */
export type Layers = readonly (SessionLayer | Layers)[];

/** Who makes a call that is no member of a session, and why: for `authorize()` and `audit()`. */
export interface CallOrigin {
  /** What `check` and `actor` look at in calls of the runner. */
  readonly runContext?: RunContext<unknown>;
  /** Who calls; stands in the audit event unless its option `actor` says another. */
  readonly actor?: string;
  /** Why, such as the number of a request; stands in the audit event. */
  readonly purpose?: string;
}
