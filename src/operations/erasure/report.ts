import type { CallOrigin } from '../../layer.ts';
import type { ReceiptKey } from './jws.ts';

/** A data key that is gone. */
export interface ErasedKey {
  readonly did: string;
  /** The key-encryption key that wrapped it. */
  readonly kid: string;
}

/** A session that is gone. */
export interface ErasedSession {
  readonly id: string;
  /** `'conversation'`, or what belonged to one: `'branch'`, `'archive'`, `'usage'`, `'vault'`, `'keys'`, … */
  readonly kind: string;
  /** Records that it had. */
  readonly records: number;
  /** Its data keys that were stored beside the records or in the `dekStore` of `encrypt()`. */
  readonly keys: readonly ErasedKey[];
}

/** Something that is left of what was erased, or came back. */
export interface Orphan {
  readonly sessionId: string;
  /** As of {@link ErasedSession}. */
  readonly kind: string;
  /** `'session'`: the database knows the session, by its conversation or its subject, although it has no records. */
  readonly what: 'records' | 'key' | 'session';
  readonly count: number;
}

/** How many sessions and records of a kind. */
export interface ErasedCount {
  readonly sessions: number;
  readonly records: number;
}

/** What an erasure did, without content. It is what a receipt says. */
export interface Erasure {
  readonly type: 'strongroom/erasure';
  readonly version: 1;
  /** Unix milliseconds, by the clock of the store. */
  readonly at: number;
  /** Whose sessions were erased. */
  readonly subject?: string;
  /** Which session was erased. */
  readonly sessionId?: string;
  readonly reason?: string;
  readonly by?: string;
  readonly sessions: readonly ErasedSession[];
  readonly kinds: Readonly<Record<string, ErasedCount>>;
  /** Sessions that a legal hold kept, with all that belongs to them. */
  readonly held: readonly string[];
  /** What the look afterwards found. */
  readonly orphans: readonly Orphan[];
  /** Where erased data may be that this function does not reach. */
  readonly notReached: readonly string[];
}

/** What an erasure did. */
export interface ErasureReport extends Erasure {
  /** Ids of the sessions that are gone, with all that belonged to them. */
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
}
