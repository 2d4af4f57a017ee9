import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { PGlite } from '@electric-sql/pglite';
import type { AgentInputItem } from '@openai/agents';
import { createConnection, type Connection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memoryDriver } from '../../examples/support/memory-driver.ts';
import { createStore } from '../../src/stores/index.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { emptyPGlite } from './empty-pglite.ts';
import { temporaryFolder } from './folder.ts';
import { announce, uniqueName } from './servers.ts';
import { DEK_STORE } from '../../src/session-contract.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** What is needed of a database to damage it. */
interface Damage {
  open(): Store<StoreSession>;
  /** Puts something else in the place of every stored item of which `text` is a part. */
  damage(text: string, something: string): Promise<void>;
  /** Of our schema. */
  version(): Promise<number>;
  /** Says that the database has this version of our schema. */
  setVersion(version: number): Promise<void>;
}

function damaged(database: Damage): void {
  test.each(['{"type"', '', '\n', '[]', 'null', '7\nsecret', '7\n{"role":"user"}'])(
    'names a damaged record (%j), keeps it, and lets everything else go on',
    async (something) => {
      await using store = database.open();
      const id = uniqueName('damaged');
      const session = store.session(id);
      await session.addItems([message('one'), message(`secret of ${id}`), message('three')]);
      await database.damage(`secret of ${id}`, something);
      const refused = {
        code: 'ERR_MALFORMED',
        message:
          `A record of session "${id}" is damaged: it is neither the JSON of an item nor an envelope. ` +
          'Restore it from a backup, or delete the session.',
      };
      await expect(session.getItems()).rejects.toMatchObject(refused);
      expect(await session.popItem()).toEqual(message('three'));
      await expect(session.popItem()).rejects.toMatchObject(refused);
      await expect(session.getItems()).rejects.toMatchObject(refused);
      await session.addItems([message('four')]);
      expect(await session.getItems(1)).toEqual([message('four')]);
      const other = store.session(`${id}-other`);
      await other.addItems([message('well')]);
      expect(await store.purgeExpired({ after: '10d' })).toEqual({ items: 0, sessions: 0 });
      const listed: unknown[] = [];
      for await (const summary of store.sessions()) if (summary.id === id) listed.push(summary.items);
      expect(listed).toEqual([3]);
      await store.deleteSession(id);
      expect(await session.getItems()).toEqual([]);
      expect(await other.getItems()).toEqual([message('well')]);
    },
  );

  test('takes no time from a damaged record for its replacement', async () => {
    await using store = database.open();
    const id = uniqueName('replaced');
    const session = store.session(id);
    await session.addItems([message(`secret of ${id}`), message('two')]);
    await database.damage(`secret of ${id}`, 'null');
    await session.replaceHistoryWithCompaction([message('summary')]);
    expect(await store.purgeExpired({ after: '10d' })).toEqual({ items: 0, sessions: 0 });
    expect(await session.getItems()).toEqual([message('summary')]);
    await store.deleteSession(id);
  });

  test('refuses a schema of a newer version, changes nothing, and works with its own version', async () => {
    const id = uniqueName('newer');
    {
      await using store = database.open();
      await store.session(id).addItems([message('before')]);
    }
    const known = await database.version();
    await database.setVersion(77);
    await using store = database.open();
    const refused = {
      code: 'ERR_UNSUPPORTED',
      message: expect.stringMatching(
        new RegExp(
          `: the database has schema version 77, this version of strongroom knows up to ${known}\\. Update strongroom; nothing was changed\\.$`,
        ),
      ) as string,
    };
    await expect(store.session(id).getItems()).rejects.toMatchObject(refused);
    await expect(store.session(id).addItems([message('never')])).rejects.toMatchObject(refused);
    await expect(store.purgeExpired()).rejects.toMatchObject(refused);
    await database.setVersion(known);
    expect(await store.session(id).getItems()).toEqual([message('before')]);
  });
}

describe('a store of your own, damaged', () => {
  const table = new Map<string, Uint8Array>();
  damaged({
    open: () => createStore(memoryDriver(table)),
    async damage(text, something) {
      for (const [key, value] of table)
        if (Buffer.from(value).includes(text)) table.set(key, Buffer.from(something));
    },
    version: async () => Number(Buffer.from(table.get('version') ?? [])),
    setVersion: async (version) => void table.set('version', Buffer.from(String(version))),
  });
});

describe('SQLite, damaged', () => {
  const file = temporaryFolder();
  const path = file('damaged.db');
  const run = (sql: string, ...values: (string | number)[]): Promise<void> => {
    const database = new DatabaseSync(path);
    database.prepare(sql).run(...values);
    database.close();
    return Promise.resolve();
  };
  damaged({
    open: () => openSqlite(path),
    damage: (text, something) =>
      run("UPDATE strongroom_items SET body = ?2 WHERE body LIKE '%' || ?1 || '%'", text, something),
    version() {
      const database = new DatabaseSync(path);
      const row = database.prepare('SELECT max(version) AS version FROM strongroom_schema').get();
      database.close();
      return Promise.resolve(row?.['version'] as number);
    },
    setVersion: (version) =>
      run(
        'UPDATE strongroom_schema SET version = ? WHERE version = (SELECT max(version) FROM strongroom_schema)',
        version,
      ),
  });

  test('says that the file is damaged, and does not change it', async () => {
    const broken = file('broken.db');
    const whole = openSqlite(broken);
    await whole
      .session('a')
      .addItems(Array.from({ length: 200 }, (_, n) => message(`item ${n} ${'x'.repeat(500)}`)));
    await whole.close();
    const bytes = readFileSync(broken);
    // Every page but the first ones, which hold the schema.
    bytes.fill(0xa5, 4096 * 16);
    writeFileSync(broken, bytes);
    await using store = openSqlite(broken);
    await expect(store.session('a').getItems()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: 'openSqlite: the database file is damaged. See the cause.',
    });
    expect(readFileSync(broken).equals(bytes)).toBe(true);
  });
});

describe('PGlite, damaged or read-only', () => {
  let database: PGlite;
  beforeAll(async () => {
    database = await emptyPGlite();
  }, 120_000);
  afterAll(() => database.close());
  damaged({
    open: () => openPostgres({ pool: database }),
    async damage(text, something) {
      const item = "UPDATE strongroom_items SET item = $2 WHERE item LIKE '%' || $1 || '%'";
      await database.query(item, [text, something]);
    },
    async version() {
      const { rows } = await database.query<{ max: number }>('SELECT max(version) FROM strongroom_schema');
      return rows[0]?.max as number;
    },
    async setVersion(version) {
      await database.query(
        'UPDATE strongroom_schema SET version = $1 WHERE version = (SELECT max(version) FROM strongroom_schema)',
        [version],
      );
    },
  });

  test('says that it is read-only, still reads, and writes when it is no longer read-only', async () => {
    await using store = openPostgres({ pool: database });
    const session = store.session('read-only');
    await session.addItems([message('before')]);
    await database.query('SET default_transaction_read_only = on');
    const refused = {
      code: 'ERR_STORE',
      message: 'openPostgres: the database is read-only. Nothing was written. See the cause.',
    };
    await expect(session.addItems([message('never')])).rejects.toMatchObject(refused);
    await expect(session.popItem()).rejects.toMatchObject(refused);
    expect(await session.getItems()).toEqual([message('before')]);
    await database.query('SET default_transaction_read_only = off');
    await session.addItems([message('after')]);
    expect(await session.getItems()).toEqual([message('before'), message('after')]);
  });
});

const postgres = await announce('PostgreSQL', 'PostgreSQL, damaged');
describe.skipIf(postgres.absent)('PostgreSQL, damaged', () => {
  const schema = uniqueName('damage');
  let admin: Client;
  beforeAll(async () => {
    admin = new Client(postgres.url);
    await admin.connect();
  });
  afterAll(async () => {
    await admin.end();
    await dropPostgresSchema(postgres.url, schema);
  });
  damaged({
    open: () => openPostgres(postgres.url, { schema }),
    async damage(text, something) {
      const item = `UPDATE ${schema}.strongroom_items SET item = $2 WHERE item LIKE '%' || $1 || '%'`;
      await admin.query(item, [text, something]);
    },
    async version() {
      const { rows } = await admin.query<{ max: number }>(
        `SELECT max(version) FROM ${schema}.strongroom_schema`,
      );
      return rows[0]?.max as number;
    },
    async setVersion(version) {
      await admin.query(
        `UPDATE ${schema}.strongroom_schema SET version = $1
         WHERE version = (SELECT max(version) FROM ${schema}.strongroom_schema)`,
        [version],
      );
    },
  });
});

const mariadb = await announce('MariaDB', 'MariaDB, damaged');
describe.skipIf(mariadb.absent)('MariaDB, damaged', () => {
  const prefix = `${uniqueName('damage')}_`;
  let admin: Connection;
  beforeAll(async () => {
    admin = await createConnection(mariadb.url);
  });
  afterAll(async () => {
    await admin.end();
    await dropMysqlTables(mariadb.url, prefix);
  });
  damaged({
    open: () => openMysql(mariadb.url, { prefix }),
    async damage(text, something) {
      await admin.query(`UPDATE ${prefix}items SET item = ? WHERE item LIKE concat('%', ?, '%')`, [
        something,
        text,
      ]);
    },
    async version() {
      const [rows] = await admin.query(`SELECT max(version) AS version FROM ${prefix}schema`);
      return (rows as { version: number }[])[0]?.version as number;
    },
    async setVersion(version) {
      await admin.query(`UPDATE ${prefix}schema SET version = ? ORDER BY version DESC LIMIT 1`, [version]);
    },
  });
});

const redis = await announce('Redis', 'Redis, damaged');
describe.skipIf(redis.absent)('Redis, damaged', () => {
  const prefix = uniqueName('damage');
  const client = createClient({ url: redis.url });
  beforeAll(async () => {
    await client.connect();
  });
  afterAll(async () => {
    await client.close();
    await deleteRedisKeys(redis.url, prefix);
  });
  damaged({
    open: () => openRedis(redis.url, { prefix }),
    async damage(text, something) {
      for await (const keys of client.scanIterator({ MATCH: `${prefix}:*:items:*`, COUNT: 500 })) {
        for (const key of keys) {
          const elements = await client.lRange(key, 0, -1);
          const index = elements.findIndex((element) => element.includes(text));
          if (index >= 0) await client.lSet(key, index, something);
        }
      }
    },
    version: async () => Number(await client.get(`${prefix}:schema`)),
    async setVersion(version) {
      await client.set(`${prefix}:schema`, String(version));
    },
  });

  const SECRET = 'the wrapped key';
  const all = async <T>(values: AsyncIterable<T>): Promise<T[]> => {
    const found: T[] = [];
    for await (const value of values) found.push(value);
    return found;
  };

  test.each([SECRET, `{"wrapped":"${SECRET}`, `"${SECRET}"`, 'null', `{"kid":"k","wrapped":"${SECRET}"}`])(
    'names a damaged data key (%j), quotes nothing of it, and destroys it like any other',
    async (something) => {
      await using store = openRedis(redis.url, { prefix });
      const id = uniqueName('damaged-key');
      const deks = store.session(id)[DEK_STORE];
      const record = { sessionId: id, did: 'd1', kid: 'k', wrapped: SECRET, createdAt: 1 };
      await deks.put(record);
      await deks.put({ ...record, did: 'd2' });
      await client.hSet(`${prefix}:{${id}}:deks`, 'd1', something);
      const refused = {
        code: 'ERR_MALFORMED',
        message:
          `openRedis: the record of the data key d1 of session "${id}" is damaged. Restore it from a backup, or ` +
          'destroy the data key, or delete the session.',
      };
      await expect(deks.get(id, 'd1')).rejects.toMatchObject(refused);
      await expect(all(deks.list({ sessionId: id }))).rejects.toMatchObject(refused);
      const next = { wrapped: 'next', kid: 'k2' };
      await expect(deks.replaceWrapped(id, 'd1', SECRET, next)).rejects.toMatchObject(refused);
      expect(await deks.get(id, 'd2')).toMatchObject({ wrapped: SECRET });
      expect((await deks.destroy(id, 'd1')).map(({ did }) => did)).toEqual(['d1']);
      expect((await all(deks.list({ sessionId: id }))).map(({ did }) => did)).toEqual(['d2']);
      await client.hSet(`${prefix}:{${id}}:deks`, 'd2', something);
      await store.deleteSession(id);
      expect(await deks.get(id, 'd2')).toMatchObject({ destroyedAt: expect.any(Number) as number });
    },
  );

  test.each(['not JSON', '{"reason":"', '7', '{"id":"other","sessionId":"s","placedAt":1}'])(
    'names a damaged hold (%j), and goes on holding the session',
    async (something) => {
      await using store = openRedis(redis.url, { prefix });
      const id = uniqueName('damaged-hold');
      const { holds } = store.session(id)[DEK_STORE];
      await holds?.place({ id, sessionId: id, reason: 'a reason', placedAt: 1 });
      await client.hSet(`${prefix}:holds`, id, something);
      const refused = {
        code: 'ERR_MALFORMED',
        message:
          `openRedis: the record of the hold "${id}" is damaged. Restore it from a backup; the data under the hold stays held ` +
          'until then.',
      };
      await expect(holds?.list()).rejects.toMatchObject(refused);
      await expect(holds?.release(id, 2)).rejects.toMatchObject(refused);
      await expect(store.deleteSession(id)).rejects.toMatchObject({ code: 'ERR_HELD' });
      await client.hDel(`${prefix}:holds`, id);
      await client.del(`${prefix}:{${id}}:holds`);
    },
  );
});
