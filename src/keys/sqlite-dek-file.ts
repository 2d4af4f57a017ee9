import { openConnection } from '../stores/sqlite/connection.ts';
import { sqliteDekStore } from '../stores/sqlite/dek-store.ts';
import type { SqliteDekStore } from './sqlite-dek-store.ts';

/** The file behind `sqliteDekStore`: the data key table of the SQLite store, with its holds. */
export function openDekFile(path: string, busyTimeout: number, now: () => number): SqliteDekStore {
  const connection = openConnection({ path, busyTimeout, durability: 'full' });
  const close = (): Promise<void> => connection.close();
  return { ...sqliteDekStore(connection, now), close, [Symbol.asyncDispose]: close };
}
