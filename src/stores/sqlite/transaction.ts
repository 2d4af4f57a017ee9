import type { DatabaseSync } from 'node:sqlite';
import { isStrongroomError } from '../../errors.ts';
import type { MaybePromise } from '../../layer.ts';
import { failure, isBusy, isFull, resultCode, SQLITE_FULL } from './failures.ts';
import type { Handle } from './handle.ts';
import type { Statements } from './statements.ts';

/** Work in one `BEGIN IMMEDIATE` transaction, rolled back when it throws. */
export type Transact = <T>(work: (statements: Statements) => MaybePromise<T>) => MaybePromise<T>;

export function createTransact(handle: Handle, statements: Statements): Transact {
  function begin(): DatabaseSync {
    try {
      const opened = handle.connect();
      statements.run('BEGIN IMMEDIATE');
      return opened;
    } catch (error) {
      // A busy database is tried again.
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
      commit(statements, opened);
      return result;
    }
    return result.then(
      (value) => {
        commit(statements, opened);
        return value;
      },
      (error: unknown) => {
        throw undone(opened, error);
      },
    );
  }

  /**
   * After a checkpoint the log is overwritten from its beginning, in its existing space on the disk: a deletion,
   * which needs no more, succeeds on a full disk.
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
      return handle.opened()?.prepare('PRAGMA wal_checkpoint(RESTART)').get()?.['busy'] === 0;
    } catch {
      // There is no space for that either; the earlier error is thrown.
      return false;
    }
  }

  return (work) => inRoom(() => transact(work));
}

function undone(opened: DatabaseSync, error: unknown): unknown {
  rollback(opened);
  return isStrongroomError(error) ? error : failure(error, 'no');
}

function commit({ run }: Statements, opened: DatabaseSync): void {
  try {
    run('COMMIT');
  } catch (error) {
    rollback(opened);
    // There was no space in the log for the commit frame, so nothing was committed.
    throw failure(error, resultCode(error) === SQLITE_FULL ? 'no' : 'unknown');
  }
}

function rollback(database: DatabaseSync): void {
  // Some failures have rolled back already. Node.js before 22.16 does not say whether a transaction is open.
  const { isTransaction: isOpen } = database as { readonly isTransaction?: boolean };
  if (isOpen === false) return;
  try {
    database.exec('ROLLBACK');
  } catch (error) {
    if (isOpen === true) throw error;
  }
}
