import { StrongroomError } from '../../errors.ts';
import type { DekStore } from '../dek-store.ts';
import { ask } from './look-up.ts';
import type { KeyRow } from './types.ts';

/** @throws `ERR_STORE`; nothing may be written under the key then. */
export async function storeRow(place: DekStore, row: KeyRow): Promise<void> {
  if (row.state === 'stored') return;
  if (row.state === 'new' && (await ask(async () => place.put(row.record)))) {
    row.state = 'stored';
    return;
  }
  row.state = 'taken';
  throw takenError();
}

/** Two processes with one state of their random generators made one key. */
export function takenError(): StrongroomError {
  const error = new StrongroomError(
    'ERR_STORE',
    'The DEK store reports that it already holds a data key that was just generated. Nothing was stored under it. Repeat the call; if it fails again, check the random generator of this machine.',
    { written: 'no' },
  );
  takenErrors.add(error);
  return error;
}

const takenErrors = new WeakSet<object>();

export function isTaken(error: unknown): boolean {
  return typeof error === 'object' && error !== null && takenErrors.has(error);
}
