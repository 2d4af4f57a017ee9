/** A key and its value. */
export type KeyValue = readonly [key: string, value: Uint8Array];

/** Keys from `from` up to `to`, without `to`. Neither of the two needs to be there. */
export interface KeyRange {
  readonly from: string;
  readonly to: string;
  /** How many pairs at most, the first ones in the order that is asked for. Absent: all. */
  readonly limit?: number | undefined;
  /** From the greatest key down. */
  readonly reverse?: boolean | undefined;
}

/** Writes that are made together, or not at all. A key is either put or removed, and occurs once. */
export interface KeyValueCommit {
  /** What must still be stored under these keys, byte for byte; `undefined`: nothing. */
  readonly expect: readonly (readonly [key: string, value: Uint8Array | undefined])[];
  readonly put: readonly KeyValue[];
  /** Keys whose values go. Some may be gone already. */
  readonly remove: readonly string[];
}

/**
 * A database for {@link createStore}: one table of keys and values in the order of the keys.
 *
 * Keys are printable ASCII without spaces, at most 500 characters, and are compared byte by byte: `A` is not `a`, and `A`
 * comes before `a`. Values are bytes, in the length of an item (see `maxItemBytes` of `wrapSession`). Three rules:
 *
 * 1. Each call is atomic: what one `list` or `get` gives was there at one moment, and all of a `commit` or nothing is there.
 * 2. A call that begins after a `commit` resolved sees it, also in another process.
 * 3. What `commit` acknowledged is durable.
 *
 * An error that a method throws or rejects with becomes `ERR_STORE` with that error as its `cause`. After an error of `commit`
 * it is taken as unknown whether the commit was made. Calls can come at the same time.
 */
export interface KeyValueDriver {
  /** What the store is called in error messages, such as `'openEtcd'`. */
  readonly name: string;
  /** The values under these keys, in their order; `undefined` where there is none. */
  get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** What is stored under the keys of the range, in its order. */
  list(range: KeyRange): Promise<readonly KeyValue[]>;
  /** Makes the writes if everything is as expected; whether it did. */
  commit(commit: KeyValueCommit): Promise<boolean>;
  /**
   * The time by the clock of the database, in Unix milliseconds. The clock of the store is compared with it before expired
   * records are deleted, and turns of `exclusive()` end by it. Absent: there is no clock that all processes share; a turn of
   * a process that died then ends when another process has watched it for its whole length.
   */
  time?(): Promise<number>;
  /** Called once, when no other call is under way. */
  close?(): Promise<void>;
}
