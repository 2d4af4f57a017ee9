import { isStrongroomError, StrongroomError } from '../../errors.ts';

export const WHERE = 'branches()';

export function unsupported(): never {
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    `${WHERE}: the store must be one of strongroom, such as openSqlite() returns, wrapped or not.`,
  );
}

export function missing(name: string): StrongroomError {
  return new StrongroomError(
    'ERR_INVALID_OPTION',
    `${WHERE}: there is no branch ${JSON.stringify(name)}. list() gives their names; create() makes one.`,
  );
}

export function taken(name: string): StrongroomError {
  return new StrongroomError(
    'ERR_CONFLICT',
    `${WHERE}: there is a branch ${JSON.stringify(name)} already. Delete it first, or choose another name.`,
    { written: 'no' },
  );
}

export function isCurrent(name: string): StrongroomError {
  return new StrongroomError(
    'ERR_CONFLICT',
    `${WHERE}: ${JSON.stringify(name)} is the current branch. Switch to another one first, or pass { force: true }.`,
    { written: 'no' },
  );
}

/** Whether the failed call may have written something. */
export function mayBeWritten(error: unknown): boolean {
  if (!isStrongroomError(error)) return true;
  return error.written === undefined ? error.code === 'ERR_STORE' : error.written !== 'no';
}
