import { isStrongroomError, type StrongroomError } from '../../errors.ts';
import { storeError, type Outcome } from '../failure.ts';

/** In messages and warnings. */
export const NAME = 'openSqlite';
/** Primary result codes of SQLite (https://sqlite.org/rescode.html). */
const SQLITE_BUSY = 5;
export const SQLITE_FULL = 13;
/** Errors of the file system when the file is created, as result codes of SQLite. */
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
  14: 'the database file cannot be opened: check that its folder exists and that this process may write to it',
  26: 'the file is not an SQLite database',
};

export function isBusy(error: unknown): boolean {
  const cause = isStrongroomError(error) ? error.cause : error;
  return resultCode(cause) === SQLITE_BUSY;
}

export function isFull(error: unknown): boolean {
  return resultCode(isStrongroomError(error) ? error.cause : error) === SQLITE_FULL;
}

/** Why a deletion failed on a full disk, and what to do. */
export function unremoved(error: unknown, removes: () => boolean): unknown {
  if (!isFull(error) || !removes()) return error;
  return storeError(
    NAME,
    'the disk is full, and a deletion needs space in the log before it frees any: free some disk space, or delete ' +
      'fewer records at once (batch of purgeExpired)',
    (error as StrongroomError).cause,
    'no',
  );
}

export function resultCode(error: unknown): number | undefined {
  const { errcode, code } = (error ?? {}) as { errcode?: unknown; code?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : FILE_ERRORS[String(code)];
}

export function failure(error: unknown, outcome?: Outcome): unknown {
  const what = FAILURES[resultCode(error) ?? -1] ?? 'the database failed';
  return storeError(NAME, what, error, outcome);
}
