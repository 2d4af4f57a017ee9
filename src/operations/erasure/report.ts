import type { CallOrigin } from '../../layer.ts';
import type { ReceiptKey } from './jws.ts';

/** A destroyed data key. */
export interface ErasedKey {
  readonly did: string;
  /** The key-encryption key that wrapped it. */
  readonly kid: string;
}

/** An erased session. */
export interface ErasedSession {
  readonly id: string;
  /** `'conversation'`, or the kind of a derived session: `'branch'`, `'archive'`, `'usage'`, `'vault'`, `'keys'`, … */
  readonly kind: string;
  /** Records that it had. */
  readonly records: number;
  /** Its data keys that were stored beside the records or in the `dekStore` of `encrypt()`. */
  readonly keys: readonly ErasedKey[];
}

/** Erased data that still exists, or was restored. */
export interface Orphan {
  readonly sessionId: string;
  /** Like {@link ErasedSession.kind}. */
  readonly kind: string;
  /** `'session'`: the database has the session, by its conversation or its subject, although it has no records. */
  readonly what: 'records' | 'key' | 'session';
  readonly count: number;
}

/** Data keys of an erased session that stay, because records that other histories share were sealed under them. */
export interface NeededKeys {
  readonly sessionId: string;
  readonly count: number;
}

/** How many sessions and records of a kind. */
export interface ErasedCount {
  readonly sessions: number;
  readonly records: number;
}

/** The result of an erasure, without content: the payload of a receipt. */
export interface Erasure {
  readonly type: 'strongroom/erasure';
  readonly version: 1;
  /**
   * Unix milliseconds, by the clock of the store; later where an erased record has a later time, because the clock of its writer
   * was ahead. What was written until then counts as erased.
   */
  readonly at: number;
  /** Whose sessions were erased. */
  readonly subject?: string;
  /** Which session was erased. */
  readonly sessionId?: string;
  readonly reason?: string;
  readonly by?: string;
  readonly sessions: readonly ErasedSession[];
  readonly kinds: Readonly<Record<string, ErasedCount>>;
  /** Sessions under a legal hold, with their derived sessions. */
  readonly held: readonly string[];
  /** The findings of the search afterwards. */
  readonly orphans: readonly Orphan[];
  /**
   * Data keys that stay after the erasure of a branch without its conversation, for records that this or another
   * branch shares. They go with the conversation. Absent when there are none.
   */
  readonly needed?: readonly NeededKeys[];
  /** Places with copies of the data that this function does not reach. */
  readonly notReached: readonly string[];
}

/** The report of an erasure. */
export interface ErasureReport extends Erasure {
  /** Ids of the deleted sessions, with their derived sessions. */
  readonly deleted: readonly string[];
  /** The same as a JWS in its compact form, where a `receiptKey` was given. */
  readonly receipt?: string;
}

/** Options of {@link eraseSubject} and {@link eraseSession}. */
export interface EraseOptions extends CallOrigin {
  /** Why, for the receipt. */
  readonly reason?: string;
  /** Who, for the receipt. */
  readonly by?: string;
  /** A private key as a JWK; the report then has a `receipt` that {@link verifyReceipt} checks. */
  readonly receiptKey?: ReceiptKey;
  /**
   * Ends the erasure between two sessions: it rejects with the signal's reason, what was erased stays erased, and
   * there is no receipt. A repeat erases the rest, and its receipt names both.
   */
  readonly signal?: AbortSignal;
  /** Called after each conversation, with the number of conversations done. */
  readonly onProgress?: (progress: EraseProgress) => void;
}

/** The progress of an erasure. */
export interface EraseProgress {
  /** Conversations that were erased or found under a hold. */
  readonly done: number;
  /** Conversations to look at. */
  readonly total: number;
}
