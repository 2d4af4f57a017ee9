import type { Session } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import type { DekDatabase } from '../keys/dek-store.ts';
import { GUARD, type GuardingDekStore, MAINTENANCE } from '../session-contract.ts';
import type { Store } from './store.ts';

/**
 * The table of data keys of a store as a DEK store for the items of another database. It cannot guard appends: the
 * other database cannot check keys in this one.
 */
export function dekDatabase(where: string, store: Store<Session>): DekDatabase {
  const table = store[MAINTENANCE]?.dekStore as (Partial<GuardingDekStore> & DekDatabase) | undefined;
  if (table === undefined)
    throw new StrongroomError('ERR_UNSUPPORTED', `${where}: this store has no table of data keys.`);
  const { [GUARD]: _guard, ...dekStore } = table;
  return { ...dekStore, close: () => store.close(), [Symbol.asyncDispose]: () => store.close() };
}
