import { loadModule } from '../load-module.ts';
import { checkOptions, parseDuration, type Duration } from '../options.ts';
import { clockOf } from '../clock.ts';
import { StrongroomError } from '../errors.ts';
import type { DekDatabase } from '../keys/dek-store.ts';
import { checkPath } from './sqlite/path.ts';

/** Options of {@link sqliteDekStore}. */
export interface SqliteDekStoreOptions {
  /** How long a call waits for a lock of another process before it is `ERR_STORE`. @defaultValue `'5s'` */
  readonly busyTimeout?: Duration;
  /** Unix milliseconds, for tombstones. @defaultValue `Date.now` */
  readonly clock?: () => number;
}

/** A {@link DekDatabase} in a file. */
export type SqliteDekStore = DekDatabase;

/**
 * Data keys in an SQLite file of their own, on the built-in `node:sqlite` (Node.js 22.13 and later). Separate from
 * the items, so that a backup of the items does not contain their keys: give this file its own place and its own,
 * short-lived backups. Acknowledged writes survive a power cut (`synchronous=FULL`), and destroyed keys are
 * overwritten.
 *
 * @param path The file, of this store alone; `':memory:'` for one that lives as long as the store.
 * @throws `ERR_INVALID_OPTION`. Later calls: `ERR_STORE`, `ERR_CLOSED`, `ERR_HELD` from `destroy`.
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring } from 'strongroom';
 * import { sqliteDekStore } from 'strongroom/keys';
 *
 * await using dekStore = sqliteDekStore('keys.db');
 * const layer = encrypt({ keys: keyring({ current: await generateKey() }), dekStore });
 * ```
 */
export function sqliteDekStore(path: string, options: SqliteDekStoreOptions = {}): SqliteDekStore {
  const where = 'sqliteDekStore';
  checkPath(where, path);
  checkOptions(where, options, ['busyTimeout', 'clock']);
  const busyTimeout = parseDuration(where, 'busyTimeout', options.busyTimeout ?? '5s');
  const now = clockOf(where, options.clock);
  let closed = false;
  let opening: Promise<SqliteDekStore> | undefined;
  // Loaded with the first call: the rest of `strongroom/keys` runs on runtimes without files.
  const file = async (): Promise<SqliteDekStore> => {
    if (closed)
      throw new StrongroomError(
        'ERR_CLOSED',
        'This DEK store (sqliteDekStore) was closed. Open it again, or close it after its last call.',
      );
    opening ??= loadModule(
      import.meta.url.replace('sqlite-dek-store', 'sqlite/dek-file'),
      () => import('./sqlite/dek-file.ts'),
      'sqliteDekStore needs node:sqlite, which this runtime does not have. Use Node.js 22.13 or later, or another DEK store.',
    ).then(({ openDekFile }) => openDekFile(path, busyTimeout, now));
    // After a failure the next call tries again.
    opening.catch(() => (opening = undefined));
    return opening;
  };
  const store: SqliteDekStore = {
    put: async (record) => (await file()).put(record),
    get: async (sessionId, did) => (await file()).get(sessionId, did),
    async *list(filter) {
      yield* (await file()).list(filter);
    },
    replaceWrapped: async (sessionId, did, expected, next) =>
      (await file()).replaceWrapped(sessionId, did, expected, next),
    destroy: async (sessionId, did) => (await file()).destroy(sessionId, did),
    holds: {
      place: async (hold) => (await file()).holds.place(hold),
      release: async (id, releasedAt, releasedBy) => (await file()).holds.release(id, releasedAt, releasedBy),
      list: async (filter) => (await file()).holds.list(filter),
    },
    async close() {
      if (closed) return;
      closed = true;
      if (opening !== undefined) await (await opening).close();
    },
    [Symbol.asyncDispose]: () => store.close(),
  };
  return store;
}
