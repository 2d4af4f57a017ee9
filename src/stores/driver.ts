import type { DekRecord, DekStore, HoldStore } from '../keys/dek-store.ts';
import type { MaybePromise, VersionAnswer } from '../layer.ts';
import type { ReadReference } from '../clock.ts';
import type { Fence, Leases, SessionSummary } from '../session-contract.ts';
import type { Announcements } from './announcements.ts';
import type { StoreCheckup } from './checkup.ts';
import type { Since } from './marks.ts';

/**
 * One record as it is stored. A carrier is split, so that its bytes are stored as bytes and its times as columns;
 * any other item is stored as JSON.
 */
export interface StoredRecord {
  /** `null` for a plain item; for a carrier the rest of the envelope's header (see record.ts). */
  readonly head: string | null;
  /** Id of the data key, for a carrier that has one. */
  readonly did: string | null;
  /** The JSON of a plain item, or the bytes of the envelope's body. */
  readonly body: string | Uint8Array;
  /** The data key as a compact JWE, when it is stored in the envelope. */
  readonly wrapped: string | null;
  /** Sealed under a key of this database, so that its data key must be in the table when it is written. */
  readonly needsKey?: true;
  /** Unix milliseconds: the header's `t`, else when the store got the item. */
  readonly writtenAt: number;
  /** Unix milliseconds: the header's `e`. */
  readonly expiresAt: number | null;
  /** Unix milliseconds: the header's `g`, or the time of writing of the oldest record that this one replaces. */
  readonly bornAt: number | null;
  /** The session that it was written for, when that is another one: see {@link Change.share}. */
  readonly origin?: string | undefined;
}

/** The data that a change needs for its decision. */
export interface Look {
  /** How many records, counted from `from`. */
  readonly records: number | 'all';
  /** Default `'end'`. Records come in their order in either case. */
  readonly from?: 'start' | 'end';
  /** Key of an operation whose digest is read. */
  readonly operation?: string | undefined;
  /** The owner that must have a lease for the change; an operation that was applied before is not made again. */
  readonly fence?: Fence;
}

/** The result of {@link Look}, valid until the change commits. */
export interface View {
  readonly records: readonly StoredRecord[];
  /** Digest of the operation, when it was applied before. */
  readonly operation?: string | undefined;
}

/** One atomic change of one history. */
export interface Change {
  /** Which records of the view are removed; `'all'` is the whole history, in the view or not. */
  readonly remove: { readonly start: number; readonly count: number } | 'all' | 'none';
  /** Records that replace the removed ones; appended when none are removed. */
  readonly insert: readonly StoredRecord[];
  /** The number that an append adds to the version. Default: a new mark. */
  readonly mark?: number;
  /** Written to the operation log. */
  readonly operation?: { readonly key: string; readonly digest: string };
  /** Clears the operation log. */
  readonly forgetOperations?: true;
  /**
   * Deletes the session with everything in it, like {@link StoreDriver.deleteSession}; the other members are
   * ignored.
   */
  readonly drop?: true;
  /** Appended to another session in the same transaction. */
  readonly archive?: { readonly sessionId: string; readonly records: readonly StoredRecord[] } | undefined;
  /** Only where the driver {@link StoreDriver.shares}. */
  readonly share?: Share | undefined;
}

/**
 * Another session, a branch without records, begins with the first records of this one from now on, without copies of
 * them: both histories have them, each with this session as its origin in the other one. A change that removes them
 * here leaves them to the other session in the same transaction, except a purge, which removes them from both (from
 * neither that is under a hold); a change of the other session does not change this one.
 */
export interface Share {
  readonly sessionId: string;
  /** How many; they are all there. */
  readonly count: number | 'all';
}

/** An open hold, and the session that it is on. */
export interface HeldSession {
  readonly sessionId: string;
  readonly hold: string;
}

/** The result of one step of a purge. */
export interface PurgeStep {
  /** Sessions that lost records, one entry a record. */
  readonly sessions: readonly string[];
  /** Whether there can be more. */
  readonly more: boolean;
}

/** What the process that changes a session says about its subject. */
export interface Claim {
  /** The session is of this subject: `ERR_CONFLICT` when the database says another one. */
  readonly subject?: string | undefined;
  /**
   * The conversation of a derived session was opened with this subject here. A new row gets it where the database
   * knows nothing: the root has no row, and no session derived from it has a subject. Decided in the transaction that
   * makes the row: another process can have removed the conversation and begun it again for another subject.
   */
  readonly presumed?: string | undefined;
}

/** One session's share of {@link StoreDriver.appendMany}. */
export interface Batch {
  readonly sessionId: string;
  readonly records: readonly StoredRecord[];
  readonly subject?: string | undefined;
  /** See {@link Claim}. */
  readonly presumed?: string | undefined;
  /** The number that it adds to the version: a new mark. */
  readonly mark: number;
  /** The row of a new data key, if the driver has {@link StoreDriver.takesKeys}. */
  readonly key?: DekRecord | undefined;
}

/** Which records are expired: `e <= now`, or written (the call of the group, where known) at `writtenBefore` or before. */
export interface Expired {
  readonly now: number;
  readonly writtenBefore?: number | undefined;
}

/**
 * The functions that differ between databases. All other parts of a store, and every rule of the SDK, are in
 * session.ts and store.ts, once. Every method is atomic; methods reject with `ERR_STORE` when the database fails.
 */
export interface StoreDriver {
  /** The factory's name, for messages. */
  readonly name: string;
  /** The last `count` records in their order, all when absent. With `skip`, those before the last `skip`. */
  readonly read: (sessionId: string, count?: number, skip?: number) => MaybePromise<readonly StoredRecord[]>;
  /**
   * Appends all or nothing, contiguous. A record whose data key has a tombstone here is `ERR_SHREDDED`, one whose
   * data key must be here and is missing is `ERR_KEY_UNKNOWN`; both are checked in the same transaction.
   */
  readonly append: (batch: Batch) => Promise<void>;
  /** Changes can {@link Share} records. Without it, branches have copies. */
  readonly shares?: true | undefined;
  /**
   * An append stores the data key in its arguments in the same transaction, or is `ERR_STORE` when there is one of
   * that name. With other drivers the data key is stored before the append.
   */
  readonly takesKeys?: true | undefined;
  /**
   * Appends to many sessions in one round trip, for each all or nothing. One element a batch: the error when it was
   * refused. Every session occurs once.
   */
  readonly appendMany: (batches: readonly Batch[]) => Promise<readonly (Error | undefined)[]>;
  /**
   * Reads the view, calls `decide`, and applies its result, all in one serializable step. `decide` is pure, waits
   * for nothing but the event loop, can be called again when the step has to be repeated, and nothing is changed
   * when it throws or returns `undefined`. Inserts are checked as {@link StoreDriver.append} checks them.
   * `ERR_CONFLICT` when another owner has the lease of the fence.
   */
  readonly change: (
    sessionId: string,
    look: Look,
    decide: (view: View) => MaybePromise<Change | undefined>,
    claim?: Claim,
  ) => Promise<void>;
  /**
   * The version of the history, in one small read: see marks.ts.
   *
   * @param since An earlier version, and the appends since.
   */
  readonly version: (sessionId: string, since?: Since) => MaybePromise<VersionAnswer>;
  /** Present when the database announces changes. */
  readonly announcements?: Announcements | undefined;
  /** Whether the operation is in the log. */
  readonly applied: (sessionId: string, operationKey: string) => Promise<boolean>;
  readonly dekStore: DekStore & { readonly holds: HoldStore };
  /**
   * The next sessions with items after the id `after`, in the order of the database; of one subject if given. A
   * derived session has the subject of its root, also after a purge removed the root.
   */
  readonly summaries: (
    after: string | undefined,
    count: number,
    subject?: string,
  ) => Promise<readonly SessionSummary[]>;
  /**
   * Ids of the sessions, also of those without items, whose root (see `lineageOf`) is this conversation. A session is found here
   * from the transaction on that makes it.
   */
  readonly derived: (root: string) => Promise<readonly string[]>;
  /** An open hold on one of these sessions themselves, whatever others there are. At most 200 are asked for at once. */
  readonly heldOf: (sessionIds: readonly string[]) => Promise<HeldSession | undefined>;
  /** The open holds on derived sessions, also on those that hold nothing yet; damaged records are left out. */
  readonly heldDerived: () => Promise<readonly HeldSession[]>;
  /** Ids of the sessions, also of those without items, that have this subject themselves. */
  readonly ofSubject: (subject: string) => Promise<readonly string[]>;
  /** Deletes at most `batch` expired records, none of sessions under a hold. */
  readonly purge: (expired: Expired, batch: number) => Promise<PurgeStep>;
  /** The records that {@link StoreDriver.purge} would delete: one entry a record, as there. */
  readonly expired: (expired: Expired) => Promise<readonly { readonly id: string; readonly items: number }[]>;
  /** The time that a clock is compared with before a deletion by it. Absent when there is none. */
  readonly reference?: ReadReference | undefined;
  readonly leases: Leases;
  /**
   * Deletes records, operation log and data keys (tombstones stay) of this session, not of those that belong to it.
   * `ERR_HELD` under a hold on it or on a session that it was derived from, like every removal.
   */
  readonly deleteSession: (sessionId: string) => Promise<void>;
  readonly ping: () => Promise<void>;
  /** For `strongroom doctor`. Absent where there is nothing to look at. */
  readonly checkup?: (() => Promise<StoreCheckup>) | undefined;
  /** Waits for running calls. Called once. */
  readonly close: () => Promise<void>;
}
