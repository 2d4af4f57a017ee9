/** A key and its value. */
export type KeyValue = readonly [key: string, value: Uint8Array];

/** Keys from `from` up to `to`, without `to`. Neither of the two needs to exist. */
export interface KeyRange {
  readonly from: string;
  readonly to: string;
  /** How many pairs at most, the first ones in the requested order. Absent: all. */
  readonly limit?: number | undefined;
  /** From the greatest key down. */
  readonly reverse?: boolean | undefined;
}

/** Writes that are made together, or not at all. A key is either put or removed, and occurs once. */
export interface KeyValueCommit {
  /** The values that must still be stored under these keys, byte for byte; `undefined`: no value. */
  readonly expect: readonly (readonly [key: string, value: Uint8Array | undefined])[];
  readonly put: readonly KeyValue[];
  /** Keys to remove. Some may be absent already. */
  readonly remove: readonly string[];
}

/**
 * A database for {@link createStore}: one table of keys and values in the order of the keys.
 *
 * Keys are printable ASCII without spaces, at most 500 characters, and are compared byte by byte: `A` is not `a`, and `A`
 * comes before `a`. Values are bytes, in the length of an item (see `maxItemBytes` of `wrapSession`). Three rules:
 *
 * 1. Each call is atomic: a `list` or `get` returns a consistent snapshot, and a `commit` is applied as a whole or
 *   not at all.
 * 2. A call that begins after a `commit` resolved sees it, also in another process.
 * 3. An acknowledged `commit` is durable.
 *
 * An error that a method throws or rejects with becomes `ERR_STORE` with that error as its `cause`. After an error
 * of `commit` the result of the commit counts as unknown. Calls can be concurrent.
 */
export interface KeyValueDriver {
  /** The name of the store in error messages, such as `'openEtcd'`. */
  readonly name: string;
  /** The values under these keys, in their order; `undefined` where there is none. */
  get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** The pairs of the range, in its order. */
  list(range: KeyRange): Promise<readonly KeyValue[]>;
  /** Makes the writes if everything is as expected; whether it did. */
  commit(commit: KeyValueCommit): Promise<boolean>;
  /**
   * The time by the clock of the database, in Unix milliseconds. The clock of the store is compared with it before
   * expired records are deleted, and turns of `exclusive()` expire by it. Absent: there is no clock that all
   * processes share; a turn of a process that died then expires when another process has observed it for its whole
   * duration.
   */
  time?(): Promise<number>;
  /** Called once, when no other call is running. */
  close?(): Promise<void>;
}

/** A driver with checked answers and our errors. */
export type Database = Omit<KeyValueDriver, 'close'>;
