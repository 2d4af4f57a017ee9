import { PGlite } from '@electric-sql/pglite';
import { openMysql } from '../../src/stores/mysql.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';

/**
 * A store by what a process can be told: a file name, `pglite:` and a folder, or a URL. `name` keeps tests on one server
 * apart.
 */
export function openStore(target: string, name: string, clock: () => number = Date.now): Store<StoreSession> {
  if (target.startsWith('postgres:')) return openPostgres(target, { schema: name, maxConnections: 4, clock });
  if (target.startsWith('mysql:')) return openMysql(target, { prefix: `${name}_`, maxConnections: 4, clock });
  if (target.startsWith('redis:')) return openRedis(target, { prefix: name, clock });
  if (target.startsWith('pglite:')) return openPGlite(target.slice('pglite:'.length));
  return clock === Date.now ? openSqlite(target) : openSqlite(target, { clock });
}

/** A database object is its owner's to close: here the store is the owner. */
function openPGlite(folder: string): Store<StoreSession> {
  const pool = new PGlite(folder);
  const store = openPostgres({ pool });
  const close = async (): Promise<void> => {
    await store.close();
    await pool.close();
  };
  return { ...store, close, [Symbol.asyncDispose]: close };
}
