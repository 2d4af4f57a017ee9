/** A wrapped data key as a {@link DekStore} keeps it. Nothing in it is secret. */
export interface DekRecord {
  /** The session that the key belongs to. */
  readonly sessionId: string;
  /** Id of the data key: the `d` of the headers that it sealed. */
  readonly did: string;
  /** Id of the key-encryption key that wraps it. */
  readonly kid: string;
  /** Compact JWE. */
  readonly wrapped: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** Left behind by {@link DekStore.destroy}: the key existed and was destroyed on purpose. */
export interface DekTombstone {
  readonly sessionId: string;
  readonly did: string;
  /** Unix milliseconds. */
  readonly destroyedAt: number;
}

/** Which records {@link DekStore.list} gives; absent fields match everything. */
export interface DekFilter {
  readonly sessionId?: string;
  readonly kid?: string;
}

/**
 * Where wrapped data keys live when they are not inline in the envelopes. Every method is atomic, and what a
 * resolved promise acknowledges is durable.
 */
export interface DekStore {
  /** Stores the record if its `(sessionId, did)` is neither present nor destroyed; whether it did. */
  put(record: DekRecord): Promise<boolean>;
  /** The record, its tombstone, or `undefined` when it never existed here. */
  get(sessionId: string, did: string): Promise<DekRecord | DekTombstone | undefined>;
  /** The live records that match, in no particular order. */
  list(filter?: DekFilter): AsyncIterable<DekRecord>;
  /** Replaces `wrapped` and `kid` if `wrapped` still is `expected`; whether it did. */
  replaceWrapped(
    sessionId: string,
    did: string,
    expected: string,
    next: { readonly wrapped: string; readonly kid: string },
  ): Promise<boolean>;
  /** Removes the wrapped key for good and leaves a tombstone. All keys of the session when `did` is absent. */
  destroy(sessionId: string, did?: string): Promise<readonly DekTombstone[]>;
}

/** Under this symbol a session offers the {@link DekStore} of its own database. */
export const DEK_STORE: unique symbol = Symbol.for('strongroom.dekStore') as never;
