import { DatabaseSync } from 'node:sqlite';
import { createPool } from 'mysql2/promise';
import { Pool } from 'pg';
import { createClient } from 'redis';
import { afterAll, describe, expect, test } from 'vitest';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { openStore } from './open-store.ts';
import { announce, uniqueName } from './servers.ts';
import { LEASES, MAINTENANCE } from '../../src/session-contract.ts';

/** @param kept The names of the leases that the database has, whether they have ended or not. */
function leavesNothing(open: () => Store<StoreSession>, kept: () => Promise<string[]>): void {
  test('is removed when it is released', async () => {
    await using store = open();
    const leases = store.session('anna@example.org')[LEASES];
    await leases.acquire('session anna@example.org', 'one', 60_000);
    expect((await kept()).join()).toContain('anna');
    await leases.release('session anna@example.org', 'one');
    expect(await kept()).toEqual([]);
  });

  test('that expired is removed by the next purge', async () => {
    await using store = open();
    await store.session('bert@example.org')[LEASES].acquire('session bert@example.org', 'one', 1);
    await store[MAINTENANCE]?.leases.acquire('job other', 'one', 60_000);
    await expect
      .poll(async () => {
        await store.purgeExpired();
        return await kept();
      })
      .toEqual([expect.stringContaining('other')]);
    await store[MAINTENANCE]?.leases.release('job other', 'one');
  });

  test('on a session is removed with the session, and its owner cannot change anything any more', async () => {
    await using store = open();
    const session = store.session('cora@example.org');
    const lease = 'session cora@example.org';
    await session.addItems([{ role: 'user', content: 'hello' }]);
    await session[LEASES].acquire(lease, 'one', 60_000);
    await store.deleteSession('cora@example.org');
    expect(await kept()).toEqual([]);
    session[LEASES].fence({ lease, owner: 'one' });
    await expect(session.addItems([{ role: 'user', content: 'late' }])).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('Nothing was written') as string,
    });
    session[LEASES].fence(undefined);
    expect(await session.getItems()).toEqual([]);
  });
}

describe('a lease in SQLite', () => {
  const file = temporaryFolder();
  const path = (): string => file('leases.db');
  leavesNothing(
    () => openStore(path(), ''),
    () => {
      const database = new DatabaseSync(path());
      const rows = database.prepare('SELECT name FROM strongroom_leases').all();
      database.close();
      return Promise.resolve(rows.map((row) => row['name'] as string));
    },
  );
});

const postgres = await announce('PostgreSQL', 'a lease in PostgreSQL');
describe.skipIf(postgres.absent)('a lease in PostgreSQL', () => {
  const schema = uniqueName('ended');
  const pool = new Pool({ connectionString: postgres.url, max: 1 });
  afterAll(async () => {
    await pool.end();
    await dropPostgresSchema(postgres.url, schema);
  });
  leavesNothing(
    () => openStore(postgres.url, schema),
    async () => {
      const { rows } = await pool.query<{ name: string }>(`SELECT name FROM ${schema}.strongroom_leases`);
      return rows.map(({ name }) => name);
    },
  );
});

const mariadb = await announce('MariaDB', 'a lease in MariaDB');
describe.skipIf(mariadb.absent)('a lease in MariaDB', () => {
  const name = uniqueName('ended');
  const pool = createPool({ uri: mariadb.url, connectionLimit: 1 });
  afterAll(async () => {
    await pool.end();
    await dropMysqlTables(mariadb.url, `${name}_`);
  });
  leavesNothing(
    () => openStore(mariadb.url, name),
    async () => {
      const [rows] = await pool.query(`SELECT name FROM ${name}_leases`);
      return (rows as { name: unknown }[]).map((row) => String(row.name));
    },
  );
});

const redis = await announce('Redis', 'a lease in Redis');
describe.skipIf(redis.absent)('a lease in Redis', () => {
  const name = uniqueName('ended');
  afterAll(() => deleteRedisKeys(redis.url, name));
  leavesNothing(
    () => openStore(redis.url, name),
    async () => {
      const client = createClient({ url: redis.url });
      await client.connect();
      const keys = await client.keys(`${name}:*`);
      await client.close();
      return keys.filter((key) => /lease|turn/.test(key));
    },
  );
});
