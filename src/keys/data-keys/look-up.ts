import { isStrongroomError, StrongroomError } from '../../errors.ts';
import type { DekRecord, DekStore, DekTombstone } from '../dek-store.ts';
import type { DataKeyScope } from './types.ts';

/** A wrapped data key, and where it was found. */
export interface FoundKey {
  readonly wrapped: string;
  readonly place: DekStore | 'inline';
  /** Unix milliseconds; from the place where it was found, not authenticated. */
  readonly createdAt: number;
}

/**
 * The wrapped data key of this id. All stores are queried, also when the envelope has the key: a copy of it must
 * not undo a shredding.
 *
 * @throws `ERR_SHREDDED` when one has a tombstone of it, `ERR_KEY_UNKNOWN` when none has it, `ERR_KEY_UNAVAILABLE`
 * without a store to look into.
 */
export async function findWrapped(
  scope: DataKeyScope,
  did: string,
  inline: string | undefined,
): Promise<FoundKey> {
  let found: FoundKey | undefined;
  for (const store of scope.stores) {
    const record = await ask(async () => store.get(scope.sessionId, did));
    if (record === undefined) continue;
    if (isTombstone(record)) throw destroyedError(scope.sessionId, record.destroyedAt);
    found ??= { wrapped: record.wrapped, place: store, createdAt: record.createdAt };
  }
  if (inline !== undefined) return { wrapped: inline, place: 'inline', createdAt: scope.now };
  if (found !== undefined) return found;
  if (scope.stores.length === 0) {
    throw new StrongroomError(
      'ERR_KEY_UNAVAILABLE',
      'The data key is not in the envelope, and this stack has no DEK store. Give encrypt() the ' +
        '`dekStore` that the record was written with, or use a store that has one.',
      { retryable: false },
    );
  }
  throw new StrongroomError(
    'ERR_KEY_UNKNOWN',
    `The DEK store holds no data key ${did.slice(0, 8)}… of session ${JSON.stringify(scope.sessionId)}, and no ` +
      'tombstone for it. Use the DEK store that the record was written with, or restore it from a backup.',
  );
}

/** Whether a data key no longer exists, so that a new one must seal. */
export function isGone(error: unknown): boolean {
  return isStrongroomError(error) && (error.code === 'ERR_SHREDDED' || error.code === 'ERR_KEY_UNKNOWN');
}

/** Errors of a DEK store that are not ours become `ERR_STORE`. */
export async function ask<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (isStrongroomError(cause)) throw cause;
    throw new StrongroomError(
      'ERR_STORE',
      'The DEK store failed; see the cause. Nothing was sealed or opened.',
      { cause },
    );
  }
}

function isTombstone(found: DekRecord | DekTombstone): found is DekTombstone {
  return 'destroyedAt' in found;
}

/** The largest time that a `Date` can hold, in Unix milliseconds (ECMA-262, 21.4.1.1). */
const MAX_TIME = 8.64e15;

function destroyedError(sessionId: string, at: unknown): StrongroomError {
  const session = JSON.stringify(sessionId);
  if (typeof at !== 'number' || !(Math.abs(at) <= MAX_TIME)) {
    return new StrongroomError(
      'ERR_MALFORMED',
      `The tombstone of a data key of session ${session} has no time, so it was edited. The data key counts as ` +
        'destroyed. Restore the DEK store from a backup, or delete the session.',
      { dataLost: true },
    );
  }
  return new StrongroomError(
    'ERR_SHREDDED',
    `The data key of session ${session} was destroyed on purpose at ${new Date(at).toISOString()}; the records that it sealed ` +
      'can never be read again.',
  );
}
