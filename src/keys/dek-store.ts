import { ancestorsOf } from '../derived-id.ts';
import { StrongroomError } from '../errors.ts';
import { checkSessionId, checkText, MAX_BYTES } from '../limits.ts';

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

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION` for a record that some database would not store unchanged. */
export function checkDek(where: string, record: DekRecord): void {
  checkSessionId(where, record.sessionId);
  checkText(where, 'the id of the data key', record.did, MAX_BYTES.did);
  checkWrapped(where, record);
}

/** As {@link checkDek}. */
export function checkWrapped(where: string, { kid, wrapped }: Pick<DekRecord, 'kid' | 'wrapped'>): void {
  checkText(where, 'kid', kid, MAX_BYTES.kid);
  checkText(where, 'the wrapped data key', wrapped, MAX_BYTES.wrapped);
}

/** Left behind by {@link DekStore.destroy}: the key existed and was destroyed on purpose. */
export interface DekTombstone {
  readonly sessionId: string;
  readonly did: string;
  /** Unix milliseconds. */
  readonly destroyedAt: number;
}

/** Which records {@link DekStore.list} returns; absent fields match everything. */
export interface DekFilter {
  readonly sessionId?: string | undefined;
  readonly kid?: string | undefined;
}

/**
 * Storage of wrapped data keys that are not inline in the envelopes. Every method is atomic, and its effect is
 * durable when its promise resolves.
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
  /**
   * Removes the wrapped key for good and leaves a tombstone. All keys of the session when `did` is absent.
   *
   * @throws `ERR_HELD` while a hold on the session is open, where this store has {@link DekStore.holds}.
   */
  destroy(sessionId: string, did?: string): Promise<readonly DekTombstone[]>;
  /** Legal holds, where this store can keep them. */
  readonly holds?: HoldStore;
}

/** A legal hold on a session. It stays as a record after its release. */
export interface HoldRecord {
  readonly id: string;
  readonly sessionId: string;
  /** The reason, for readers of the record years later. */
  readonly reason: string;
  /** Unix milliseconds. */
  readonly placedAt: number;
  readonly placedBy?: string;
  /** Unix milliseconds; absent while the hold is open. */
  readonly releasedAt?: number;
  readonly releasedBy?: string;
}

/** As {@link checkDek}. */
export function checkHold(where: string, { id, sessionId, reason, placedBy }: HoldRecord): void {
  checkText(where, 'id', id, MAX_BYTES.holdId);
  checkSessionId(where, sessionId);
  checkText(where, 'reason', reason, MAX_BYTES.reason);
  if (placedBy !== undefined) checkText(where, 'by', placedBy, MAX_BYTES.by);
}

/** The error of a deletion that a hold forbids. */
export function heldError(sessionId: string, holdId: string): StrongroomError {
  return new StrongroomError(
    'ERR_HELD',
    `Session ${JSON.stringify(sessionId)} is under the hold ${JSON.stringify(holdId)}, so nothing of it may be destroyed. ` +
      'Release the hold first.',
  );
}

/**
 * The id of an open hold on a session or on one that it was derived from, in this store.
 */
export async function openHoldOn(store: DekStore, sessionId: string): Promise<string | undefined> {
  for (const id of [sessionId, ...ancestorsOf(sessionId)]) {
    const [open] = (await store.holds?.list({ sessionId: id, open: true })) ?? [];
    if (open !== undefined) return open.id;
  }
  return undefined;
}

/** Storage of holds: beside the data keys, so that destroying a key and checking for a hold are one transaction. */
export interface HoldStore {
  /** Stores the hold; `false` when its id is taken. */
  place(hold: HoldRecord): Promise<boolean>;
  /**
   * Marks the hold as released and returns it; `undefined` when there is none with this id. The first release
   * counts.
   */
  release(id: string, releasedAt: number, releasedBy?: string): Promise<HoldRecord | undefined>;
  /** Holds that match, oldest first. */
  list(filter?: { readonly sessionId?: string; readonly open?: boolean }): Promise<readonly HoldRecord[]>;
}

/** A {@link DekStore} that keeps holds in a database of its own, to be closed at the end. */
export interface DekDatabase extends DekStore {
  readonly holds: HoldStore;
  /**
   * Waits for running calls and closes the connections that it opened; later calls are `ERR_CLOSED`. Can be
   * repeated.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
