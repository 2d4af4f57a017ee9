import { closeSync, openSync } from 'node:fs';
import type * as sqliteModule from 'node:sqlite';
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { isStrongroomError, StrongroomError } from '../../errors.ts';
import type { MaybePromise } from '../../layer.ts';
import { slices } from '../../slices.ts';
import { closedError, storeError, type Outcome } from '../failure.ts';
import { migrate } from './schema.ts';
import { checkFile } from './settings.ts';

/** What {@link openConnection} needs. */
export interface ConnectionOptions {
  readonly path: string;
  readonly durability: 'normal' | 'full';
  /** Milliseconds that a call waits for another process's lock. */
  readonly busyTimeout: number;
}

export type Row = Record<string, SQLOutputValue>;

/** Statements, prepared once. */
export interface Statements {
  readonly all: (sql: string, ...values: SQLInputValue[]) => Row[];
  /** As {@link Statements.all}, with the columns in their order: many rows cost two thirds of what objects do. */
  readonly tuples: (sql: string, ...values: SQLInputValue[]) => SQLOutputValue[][];
  readonly get: (sql: string, ...values: SQLInputValue[]) => Row | undefined;
  /** How many rows it changed. */
  readonly run: (sql: string, ...values: SQLInputValue[]) => number;
}

/**
 * One connection, opened by the first call. It does one thing after the other, in the order of the calls, so that it
 * serves all sessions: what does not end at once, because it works in slices or waits for another process's lock, keeps
 * the others out. Waiting is asynchronous: SQLite's own busy handler would stop the whole process. Where the event loop
 * has no time left, calls wait for a turn of it, because a database that answers at once would never let it go on.
 */
export interface Connection {
  read<T>(work: (statements: Statements) => MaybePromise<T>): Promise<T>;
  /**
   * In one `BEGIN IMMEDIATE` transaction, rolled back when `work` throws. On a full disk it is tried once more in the room that
   * the log has.
   *
   * @param removes Whether it makes room, for the message.
   */
  write<T>(work: (statements: Statements) => MaybePromise<T>, removes?: () => boolean): Promise<T>;
  close(): Promise<void>;
}

const NAME = 'openSqlite';
/** Primary result codes of SQLite (https://sqlite.org/rescode.html). */
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
/** What the file system says when the file is made, in SQLite's terms. */
const FILE_ERRORS: Readonly<Record<string, number>> = {
  EROFS: 8,
  ENOSPC: SQLITE_FULL,
  EDQUOT: SQLITE_FULL,
  EACCES: 14,
  EISDIR: 14,
  ENOENT: 14,
  ENOTDIR: 14,
  EPERM: 14,
};
const FAILURES: Readonly<Record<number, string>> = {
  8: 'the database is read-only',
  10: 'the disk failed',
  11: 'the database file is damaged',
  13: 'the disk is full',
  14: 'the database file cannot be opened: does its folder exist, and may this process write there',
  26: 'the file is not an SQLite database',
};
const MAX_WAIT = 20;

export function openConnection(options: ConnectionOptions): Connection {
  let database: DatabaseSync | undefined;
  let closed = false;
  const prepared = new Map<string, StatementSync>();
  const preparedTuples = new Map<string, StatementSync>();
  /** Calls that wait, in their order. Each has asked for a turn of the event loop, which is for the first of them. */
  const line: (() => void)[] = [];
  /** The call that waits for a lock or works in slices: later ones stay behind it. */
  let using: Promise<unknown> | undefined;
  /** Turns that came while nobody could use them. */
  let unused = 0;

  function connect(): DatabaseSync {
    if (closed) throw closedError(NAME);
    if (database !== undefined) return database;
    // Conversations are private: the file is its owner's alone unless it exists with other rights. SQLite gives the
    // log and index files beside it the same rights.
    if (options.path !== ':memory:') makeFile(options.path);
    const opened = new (loadSqlite().DatabaseSync)(options.path);
    try {
      opened.exec('PRAGMA busy_timeout = 0');
      const isWal = modeOf(opened, 'PRAGMA journal_mode') === 'wal';
      const mode = isWal ? 'wal' : modeOf(opened, 'PRAGMA journal_mode = WAL');
      checkFile(options.path, mode);
      // Without such a log NORMAL could damage the file in a power cut.
      opened.exec(
        `PRAGMA synchronous = ${options.durability === 'full' || mode !== 'wal' ? 'FULL' : 'NORMAL'}`,
      );
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

  const statement = (sql: string): StatementSync => {
    let found = prepared.get(sql);
    if (found === undefined) prepared.set(sql, (found = connect().prepare(sql)));
    return found;
  };
  const tuples = (sql: string): StatementSync => {
    let found = preparedTuples.get(sql);
    if (found === undefined) {
      found = connect().prepare(sql);
      found.setReturnArrays?.(true);
      preparedTuples.set(sql, found);
    }
    return found;
  };
  const statements: Statements = {
    tuples: (sql, ...values) => {
      const rows: unknown[] = tuples(sql).all(...values);
      // Node.js before 22.16 gives objects.
      return (
        Array.isArray(rows[0] ?? []) ? rows : rows.map((row) => Object.values(row as Row))
      ) as SQLOutputValue[][];
    },
    all: (sql, ...values) => statement(sql).all(...values),
    get: (sql, ...values) => statement(sql).get(...values),
    run: (sql, ...values) => Number(statement(sql).run(...values).changes),
  };

  function begin(): DatabaseSync {
    try {
      const opened = connect();
      opened.exec('BEGIN IMMEDIATE');
      return opened;
    } catch (error) {
      // One that is busy is asked again.
      throw isStrongroomError(error) || isBusy(error) ? error : failure(error, 'no');
    }
  }

  function transact<T>(work: (statements: Statements) => MaybePromise<T>): MaybePromise<T> {
    const opened = begin();
    let result: MaybePromise<T>;
    try {
      result = work(statements);
    } catch (error) {
      throw undone(opened, error);
    }
    if (!(result instanceof Promise)) {
      commit(opened);
      return result;
    }
    return result.then(
      (value) => {
        commit(opened);
        return value;
      },
      (error: unknown) => {
        throw undone(opened, error);
      },
    );
  }

  /**
   * A log that is carried over into the database file begins anew in the room that it has on the disk: a deletion, which needs no
   * more than that, succeeds on a full one.
   */
  function inRoom<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    const again = (error: unknown): MaybePromise<T> => {
      if (!isFull(error) || !beginLogAnew()) throw error;
      return work();
    };
    try {
      const result = work();
      return result instanceof Promise ? result.catch(again) : result;
    } catch (error) {
      return again(error);
    }
  }

  function beginLogAnew(): boolean {
    try {
      return database?.prepare('PRAGMA wal_checkpoint(RESTART)').get()?.['busy'] === 0;
    } catch {
      // There is no room for that either; what failed before says it.
      return false;
    }
  }

  function undone(opened: DatabaseSync, error: unknown): unknown {
    rollback(opened);
    return isStrongroomError(error) ? error : failure(error, 'no');
  }

  function commit(opened: DatabaseSync): void {
    try {
      opened.exec('COMMIT');
    } catch (error) {
      rollback(opened);
      // No room in the log for the frame that commits, so there is none.
      throw failure(error, resultCode(error) === SQLITE_FULL ? 'no' : 'unknown');
    }
  }

  /** Runs at once when nobody waits and the event loop has time, else behind those who wait. */
  function inOrder<T>(work: () => MaybePromise<T>): Promise<T> {
    if (line.length === 0 && using === undefined && !slices.isCrowded()) return attempt(work);
    return new Promise((resolve) => {
      line.push(() => resolve(attempt(work)));
      askForTurn();
    });
  }

  /** One turn of the event loop for each call, so that other work of the process gets in between. */
  function askForTurn(): void {
    void slices.next().then(serve);
  }

  function serve(): void {
    if (using === undefined) line.shift()?.();
    else unused++;
  }

  async function attempt<T>(work: () => MaybePromise<T>): Promise<T> {
    try {
      const result = work();
      return result instanceof Promise ? await keepOthersOut(result) : result;
    } catch (error) {
      if (!isBusy(error)) throw isStrongroomError(error) ? error : failure(error);
    }
    return await keepOthersOut(retry(work));
  }

  /** Nobody else uses the connection until then. */
  async function keepOthersOut<T>(result: Promise<T>): Promise<T> {
    using = result;
    try {
      return await result;
    } finally {
      using = undefined;
      for (; unused > 0; unused--) askForTurn();
    }
  }

  async function retry<T>(work: () => MaybePromise<T>): Promise<T> {
    const deadline = performance.now() + options.busyTimeout;
    for (let wait = 1; ; wait = Math.min(wait * 2, MAX_WAIT)) {
      // Different for each process, so that they do not meet again.
      await delay(wait * (0.5 + Math.random() / 2));
      try {
        return await work();
      } catch (error) {
        if (!isBusy(error)) throw isStrongroomError(error) ? error : failure(error);
        if (performance.now() > deadline) {
          throw storeError(
            NAME,
            `the database stayed locked by another process for ${options.busyTimeout} ms`,
            error,
            'no',
          );
        }
      }
    }
  }

  return {
    read: (work) =>
      inOrder(() => {
        connect();
        return work(statements);
      }),
    write: (work, removes) => {
      const made = inOrder(() => inRoom(() => transact(work)));
      return removes === undefined
        ? made
        : made.catch((error: unknown) => Promise.reject(unremoved(error, removes)));
    },
    close: () =>
      inOrder(() => {
        closed = true;
        prepared.clear();
        preparedTuples.clear();
        database?.close();
        database = undefined;
      }),
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
      'the database is read-only. SQLite reads nothing there either, because its log stands beside the file: copy it to where this ' +
      'process may write';
    throw storeError(NAME, what, error);
  }
}

function loadSqlite(): typeof sqliteModule {
  const loaded = process.getBuiltinModule?.('node:sqlite') as typeof sqliteModule | undefined;
  if (loaded !== undefined) return loaded;
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    `${NAME} needs the built-in node:sqlite, which Node.js has from 22.13 on; this is ${process.version}.`,
  );
}

function rollback(database: DatabaseSync): void {
  // Some failures have rolled back already.
  if (database.isTransaction) database.exec('ROLLBACK');
}

function isBusy(error: unknown): boolean {
  const cause = isStrongroomError(error) ? error.cause : error;
  return resultCode(cause) === SQLITE_BUSY;
}

function isFull(error: unknown): boolean {
  return resultCode(isStrongroomError(error) ? error.cause : error) === SQLITE_FULL;
}

/** Why a deletion failed on a full disk, and what to do. */
function unremoved(error: unknown, removes: () => boolean): unknown {
  if (!isFull(error) || !removes()) return error;
  return storeError(
    NAME,
    'the disk is full, and a deletion needs room in the log before it frees any: make a little room beside the file, or delete ' +
      'less at once (batch of purgeExpired)',
    (error as StrongroomError).cause,
    'no',
  );
}

function resultCode(error: unknown): number | undefined {
  const { errcode, code } = (error ?? {}) as { errcode?: unknown; code?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : FILE_ERRORS[String(code)];
}

function failure(error: unknown, outcome?: Outcome): unknown {
  const what = FAILURES[resultCode(error) ?? -1] ?? 'the database failed';
  return storeError(NAME, what, error, outcome);
}
