import { checkOptions, invalidOption, parseCount } from '../options.ts';
import { checkDriver } from './key-value/checked.ts';
import type { KeyValueDriver } from './key-value/database.ts';
import { keyValueDriver } from './key-value/driver.ts';
import type { StoreSession } from './session.ts';
import { createStore as createStoreOver, type Store } from './store.ts';

export * from './entry.ts';
export type { KeyRange, KeyValue, KeyValueCommit, KeyValueDriver } from './key-value/database.ts';

/** Options of {@link createStore}. */
export interface CreateStoreOptions {
  /** How many operations of a session are remembered for idempotence. Default 256. */
  readonly operationLog?: number;
  /** Unix milliseconds: when items without a time of their own were written, what is expired. Default `Date.now`. */
  readonly clock?: () => number;
}

const WHERE = 'createStore';

/**
 * Many sessions in a database of your own. The driver reads and writes one table of keys and values; sessions,
 * transactions, purges, data keys, legal holds and leases are built on it. An append reads once and commits once,
 * other changes also list once; when another writer changed an expected value, the change is decided again.
 * `storeContract` of `strongroom/testing` tests the driver, and docs/own-store.md shows one.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for an invalid driver. Later calls: `ERR_STORE` with the
 * driver's error as `cause`, also for an invalid answer of the driver; `ERR_CONFLICT` when other writers are always
 * faster; `ERR_UNSUPPORTED` for a table that a newer version of strongroom wrote; `ERR_CLOSED`.
 *
 * @example
 * ```ts
 * import { createStore, type KeyValueDriver } from 'strongroom/stores';
 *
 * declare const driver: KeyValueDriver;
 * await using store = createStore(driver);
 * await store.session('user-123').addItems([{ role: 'user', content: 'Hello' }]);
 * ```
 */
export function createStore(driver: KeyValueDriver, options: CreateStoreOptions = {}): Store<StoreSession> {
  checkDriver(WHERE, driver);
  checkOptions(WHERE, options, ['operationLog', 'clock']);
  const { operationLog = 256, clock = Date.now } = options;
  if (typeof clock !== 'function')
    invalidOption(WHERE, 'clock', 'a function that returns Unix milliseconds', clock);
  const now = (): number => Math.floor(clock());
  const over = keyValueDriver(driver, {
    operationLog: parseCount(WHERE, 'operationLog', operationLog),
    now,
    hasOwnClock: options.clock !== undefined,
  });
  return createStoreOver(over, now);
}
