import { memoryDriver } from '../../examples/support/memory-driver.ts';
import { createStore } from '../../src/stores/index.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { openStore } from './open-store.ts';
import { announce, uniqueName } from './servers.ts';

/** A store of each kind, with a name of its own on its server. */
export interface StoreCase {
  readonly name: string;
  readonly absent: boolean;
  /** Whether a second call of `open` opens the same database. */
  readonly shared: boolean;
  readonly open: (clock?: () => number) => Store<StoreSession>;
  /** Removes what it left on its server. */
  readonly clean: () => Promise<void>;
}

/** @param what The suites, for the message that says why some of them are skipped. */
export async function everyStore(what: string): Promise<StoreCase[]> {
  const [postgres, mysql, redis] = await Promise.all([
    announce('PostgreSQL', what),
    announce('MariaDB', what),
    announce('Redis', what),
  ]);
  const name = uniqueName('each');
  const none = (): Promise<void> => Promise.resolve();
  const table = new Map<string, Uint8Array>();
  return [
    {
      name: 'SQLite',
      absent: false,
      shared: false,
      open: (clock) => openStore(':memory:', name, clock),
      clean: none,
    },
    {
      name: 'PostgreSQL',
      absent: postgres.absent,
      shared: true,
      open: (clock) => openStore(postgres.url, name, clock),
      clean: () => dropPostgresSchema(postgres.url, name),
    },
    {
      name: 'MariaDB',
      absent: mysql.absent,
      shared: true,
      open: (clock) => openStore(mysql.url, name, clock),
      clean: () => dropMysqlTables(mysql.url, `${name}_`),
    },
    {
      name: 'Redis',
      absent: redis.absent,
      shared: true,
      open: (clock) => openStore(redis.url, name, clock),
      clean: () => deleteRedisKeys(redis.url, name),
    },
    {
      name: 'a driver of the user',
      absent: false,
      shared: true,
      open: (clock = Date.now) => createStore(memoryDriver(table), { clock }),
      clean: none,
    },
  ];
}
