import { checkOptions, invalidOption, parseCount, parseDuration, type Duration } from '../options.ts';
import { clockOf, processReference } from '../clock.ts';
import { openConnection } from './sqlite/connection.ts';
import { sqliteDriver } from './sqlite/driver.ts';
import { checkPath } from './sqlite/path.ts';
import type { StoreSession } from './session.ts';
import { createStore, type Store } from './store.ts';

export * from './entry.ts';

/** Options of {@link openSqlite}. */
export interface SqliteOptions {
  /**
   * `'normal'` (default, `synchronous=NORMAL`): a crash of the process loses nothing, a power cut may lose the last
   * commits, the file stays consistent. `'full'` (`synchronous=FULL`): acknowledged writes survive a power cut;
   * every append waits for the disk.
   */
  readonly durability?: 'normal' | 'full';
  /** How long a call waits for a lock of another process before it is `ERR_STORE`. Default `'5s'`. */
  readonly busyTimeout?: Duration;
  /** How many operations of a session are remembered for idempotence. Default 256. */
  readonly operationLog?: number;
  /** Unix milliseconds: when items without a time of their own were written, what is expired. Default `Date.now`. */
  readonly clock?: () => number;
}

const WHERE = 'openSqlite';

/**
 * Many sessions in one SQLite file, on the built-in `node:sqlite` (Node.js 22.13 and later, Bun, Deno). Connects at
 * the first call. WAL mode: several processes can use one file on one machine, on a local disk (not over a network
 * file system, see https://sqlite.org/wal.html). A new file can be read by its owner only. Deleted records are
 * overwritten; the write-ahead log holds them until the next checkpoint, at the latest until the last process
 * closes the file. A file on a read-only file system cannot be opened, not even for reading: the log must be
 * written beside it.
 *
 * @param path The file; `':memory:'` for a database that lives as long as the store.
 * @throws `ERR_INVALID_OPTION`. Later calls: `ERR_STORE` with the database's error as
 * `cause`, `ERR_UNSUPPORTED` for a file of a newer version of strongroom, `ERR_CLOSED`.
 *
 * @example
 * ```ts
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * await using store = openSqlite('conversations.db');
 * const session = store.session('user-123');
 * await session.addItems([{ type: 'message', role: 'user', content: 'Hello' }]);
 * ```
 */
export function openSqlite(path: string, options: SqliteOptions = {}): Store<StoreSession> {
  checkPath(WHERE, path);
  checkOptions(WHERE, options, ['durability', 'busyTimeout', 'operationLog', 'clock']);
  const { durability = 'normal', busyTimeout = '5s', operationLog = 256 } = options;
  if (durability !== 'normal' && durability !== 'full') {
    invalidOption(WHERE, 'durability', "'normal' or 'full'", durability);
  }
  const now = clockOf(WHERE, options.clock);
  const connection = openConnection({
    path,
    durability,
    busyTimeout: parseDuration(WHERE, 'busyTimeout', busyTimeout),
  });
  const driver = sqliteDriver(connection, parseCount(WHERE, 'operationLog', operationLog), now);
  // There is no other clock to compare an explicit one with.
  const reference = options.clock === undefined ? processReference() : undefined;
  return createStore({ ...driver, reference }, now);
}
