import { closeSync, openSync } from 'node:fs';
import type * as sqliteModule from 'node:sqlite';
import type { DatabaseSync } from 'node:sqlite';
import { StrongroomError } from '../../errors.ts';
import { closedError, storeError } from '../failure.ts';
import { NAME } from './failures.ts';
import { migrate } from './schema.ts';
import { checkFile } from './settings.ts';

/** The database of a connection, opened at its first use. */
export interface Handle {
  /** @throws `ERR_CLOSED` after {@link Handle.close}. */
  readonly connect: () => DatabaseSync;
  /** The opened database, if any; opens nothing. */
  readonly opened: () => DatabaseSync | undefined;
  readonly close: () => void;
}

export function createHandle(path: string, durability: 'normal' | 'full'): Handle {
  let database: DatabaseSync | undefined;
  let closed = false;

  function connect(): DatabaseSync {
    if (closed) throw closedError(NAME);
    if (database !== undefined) return database;
    // Conversations are private: only the owner can read the file, unless it exists with other rights. SQLite gives
    // the log and index files beside it the same rights.
    if (path !== ':memory:') makeFile(path);
    const opened = new (loadSqlite().DatabaseSync)(path);
    try {
      opened.exec('PRAGMA busy_timeout = 0');
      const isWal = modeOf(opened, 'PRAGMA journal_mode') === 'wal';
      const mode = isWal ? 'wal' : modeOf(opened, 'PRAGMA journal_mode = WAL');
      checkFile(path, mode);
      // Without such a log NORMAL could damage the file in a power cut.
      opened.exec(`PRAGMA synchronous = ${durability === 'full' || mode !== 'wal' ? 'FULL' : 'NORMAL'}`);
      // Deleted records are overwritten with zeros, not only unlinked.
      opened.exec('PRAGMA secure_delete = ON');
      opened.exec('PRAGMA journal_size_limit = 16777216');
      migrate(opened, NAME);
    } catch (error) {
      opened.close();
      throw error;
    }
    database = opened;
    return opened;
  }

  return {
    connect,
    opened: () => database,
    close() {
      closed = true;
      database?.close();
      database = undefined;
    },
  };
}

function modeOf(database: DatabaseSync, pragma: string): string {
  return String(database.prepare(pragma).get()?.['journal_mode']);
}

function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EROFS') throw error;
    const what =
      'the database is read-only. SQLite cannot read it either, because it writes its log next to the file: copy the file to a ' +
      'folder that this process may write to';
    throw storeError(NAME, what, error);
  }
}

export function loadSqlite(): typeof sqliteModule {
  const loaded = process.getBuiltinModule?.('node:sqlite') as typeof sqliteModule | undefined;
  if (loaded !== undefined) return loaded;
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    `${NAME} needs the built-in module node:sqlite of Node.js 22.13 or later; this is ${process.version}. Update Node.js.`,
  );
}
