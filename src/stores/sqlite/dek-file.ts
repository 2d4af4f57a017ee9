import { openConnection } from './connection.ts';
import { sqliteDekStore } from './dek-store.ts';
import type { DekDatabase } from '../../keys/dek-store.ts';

/** The file behind `sqliteDekStore`: the data key table of the SQLite store, with its holds. */
export function openDekFile(path: string, busyTimeout: number, now: () => number): DekDatabase {
  const connection = openConnection({ path, busyTimeout, durability: 'full' });
  const close = (): Promise<void> => connection.close();
  return { ...sqliteDekStore(connection, now), close, [Symbol.asyncDispose]: close };
}
