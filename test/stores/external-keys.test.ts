import { DatabaseSync } from 'node:sqlite';
import type { AgentInputItem, Session } from '@openai/agents';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encrypt, wrapStore, type EncryptOptions, type Store } from '../../src/index.ts';
import type { DekDatabase } from '../../src/keys/dek-store.ts';
import { sqliteDekStore } from '../../src/operations/index.ts';
import { reencrypt } from '../../src/operations/reencrypt.ts';
import { shred } from '../../src/operations/shred.ts';
import { mysqlDekStore } from '../../src/stores/mysql.ts';
import { postgresDekStore } from '../../src/stores/postgres.ts';
import { redisDekStore } from '../../src/stores/redis.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { coded, failure } from '../crypto/failure.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { announce, uniqueName } from './servers.ts';

// Items in one database, data keys in another one. Each has backups of its own, and one can go back in time without the other.

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });

/** A database that can be put back to what it was. */
interface Past {
  remember(): Promise<void>;
  restore(): Promise<void>;
}

interface Keys extends Past {
  open(): DekDatabase;
}

const file = temporaryFolder();
let files = 0;

/** Copies of tables beside them; `run` takes one statement. */
function tablesOf(names: readonly string[], run: (...statements: string[]) => Promise<void>): Past {
  return {
    remember: () =>
      run(
        ...names.flatMap((name) => [
          `DROP TABLE IF EXISTS ${name}_past`,
          `CREATE TABLE ${name}_past AS SELECT * FROM ${name}`,
        ]),
      ),
    restore: () =>
      run(
        ...names.flatMap((name) => [
          `DELETE FROM ${name}`,
          // Identity columns of PostgreSQL are given by nobody else.
          `INSERT INTO ${name} ${name.includes('.') ? 'OVERRIDING SYSTEM VALUE ' : ''}SELECT * FROM ${name}_past`,
        ]),
      ),
  };
}

function sqliteTables(path: string, ...tables: string[]): Past {
  return tablesOf(
    tables.map((table) => `strongroom_${table}`),
    (...statements) => {
      const database = new DatabaseSync(path);
      database.exec('PRAGMA busy_timeout = 5000');
      for (const statement of statements) database.exec(statement);
      database.close();
      return Promise.resolve();
    },
  );
}

function suite(keysOf: () => Keys): void {
  const clock = fakeClock(Date.UTC(2026, 0, 1));
  let opened: { close(): Promise<void> }[];
  let history: Past;
  let keys: Keys;
  let path: string;

  beforeAll(() => {
    keys = keysOf();
  });

  /** A process of its own: its own connections, nothing in memory. */
  function open(options: Partial<EncryptOptions> = {}): Store<Session> {
    const [store, dekStore] = [openSqlite(path, { clock }), keys.open()];
    opened.push(store, dekStore);
    return wrapStore(store, [
      { name: 'clock', clock },
      encrypt({ keys: fixedKeyring(), dekStore, ...options }),
    ]);
  }

  const strict: Partial<EncryptOptions> = { onUndecryptable: () => 'throw' };

  /** Runs in a history of its own; ids of sessions are used once in the database of the keys. */
  async function inPast(work: (id: string) => Promise<void>): Promise<void> {
    opened = [];
    path = file(`history-${files++}.db`);
    history = sqliteTables(path, 'sessions', 'items', 'operations');
    try {
      await work(uniqueName('session'));
    } finally {
      for (const each of opened) await each.close();
    }
  }

  test('the history is restored: its records open for all, and writers continue', () =>
    inPast(async (id) => {
      const session = open({ dataKeys: { maxMessages: 1 } }).session(id);
      await session.addItems([said('a')]);
      await history.remember();
      await session.addItems([said('lost')]);
      await history.restore();
      expect(await session.getItems()).toEqual([said('a')]);
      await session.addItems([said('b')]);
      expect(await open(strict).session(id).getItems()).toEqual([said('a'), said('b')]);
    }));

  test.each<[string, (session: Session) => Promise<unknown>]>([
    ['shred()', (session) => shred(session)],
    ['reencrypt()', (session) => reencrypt(session, { grace: 0 })],
  ])('the history goes back to before %s: what was sealed then stays unreadable for ever', (_, destroy) =>
    inPast(async (id) => {
      const session = open().session(id);
      await session.addItems([said('a'), said('b')]);
      await history.remember();
      await destroy(session);
      await history.restore();
      expect(await session.getItems()).toEqual([]);
      const refused = await failure(() => open(strict).session(id).getItems());
      expect(refused).toEqual(coded('ERR_SHREDDED', /Record 1 of 2 .* was destroyed on purpose/));
      expect(refused).toMatchObject({ dataLost: true });
      await session.addItems([said('c')]);
      expect(await open().session(id).getItems()).toEqual([said('c')]);
    }),
  );

  test('the keys are restored: records under lost keys are an error and never an empty history, and nothing is removed', () =>
    inPast(async (id) => {
      const session = open().session(id);
      await session.addItems([said('a')]);
      await keys.remember();
      const other = open().session(id);
      await other.addItems([said('b')]);
      await keys.restore();
      const reader = open().session(id);
      const unknown = coded(
        'ERR_KEY_UNKNOWN',
        /Record 2 of 2 .* holds no data key .* restore it from a backup/,
      );
      expect(await failure(() => reader.getItems())).toEqual(unknown);
      expect(await failure(() => reader.popItem())).toEqual(coded('ERR_KEY_UNKNOWN', /holds no data key/));
      // A process that has the key open reads on with it, for as long as it keeps keys.
      expect(await other.getItems()).toEqual([said('a'), said('b')]);
      expect(await session.getItems(0)).toEqual([]);
      await reader.addItems([said('c')]);
      expect(await reader.getItems(1)).toEqual([said('c')]);
      expect(await failure(() => open().session(id).getItems())).toEqual(
        coded('ERR_KEY_UNKNOWN', /Record 2 of 3/),
      );
    }));

  test('the keys are restored during writes: the writer notices within 30 seconds, and seals under a new key', () =>
    inPast(async (id) => {
      const session = open().session(id);
      await keys.remember();
      await session.addItems([said('lost 1')]);
      await keys.restore();
      clock.advance('29s');
      await session.addItems([said('lost 2')]);
      clock.advance('1s');
      await session.addItems([said('a')]);
      await session.addItems([said('b')]);
      const reader = open().session(id);
      expect(await reader.getItems(2)).toEqual([said('a'), said('b')]);
      expect(await failure(() => reader.getItems(3))).toEqual(coded('ERR_KEY_UNKNOWN', /holds no data key/));
    }));

  test('the keys are restored to before shred(): copies of the items open again, until it is repeated', () =>
    inPast(async (id) => {
      const session = open().session(id);
      await session.addItems([said('a')]);
      await Promise.all([history.remember(), keys.remember()]);
      await shred(session);
      await Promise.all([history.restore(), keys.restore()]);
      // What a destroyed key was, a backup of its database still is.
      expect(await open().session(id).getItems()).toEqual([said('a')]);
      expect((await shred(open().session(id))).keys).toHaveLength(1);
      await history.restore();
      expect(await failure(() => open(strict).session(id).getItems())).toEqual(
        coded('ERR_SHREDDED', /Record 1 of 1/),
      );
    }));
}

describe('data keys in a separate file', () => {
  const path = file('keys.db');
  suite(() => ({ open: () => sqliteDekStore(path), ...sqliteTables(path, 'deks') }));
});

const postgres = await announce('PostgreSQL', 'data keys in PostgreSQL, restored');
describe.skipIf(postgres.absent)('data keys in PostgreSQL', () => {
  const schema = uniqueName('external');
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  suite(() => ({
    open: () => postgresDekStore(postgres.url, { schema }),
    ...tablesOf([`${schema}.strongroom_deks`], async (...statements) => {
      const client = new Client(postgres.url);
      await client.connect();
      for (const statement of statements) await client.query(statement);
      await client.end();
    }),
  }));
});

const mysql = await announce('MariaDB', 'data keys in MariaDB, restored');
describe.skipIf(mysql.absent)('data keys in MariaDB', () => {
  const prefix = uniqueName('external');
  const run = async (...statements: string[]): Promise<void> => {
    const connection = await createConnection(mysql.url);
    for (const statement of statements) await connection.query(statement);
    await connection.end();
  };
  afterAll(async () => {
    await run(`DROP TABLE IF EXISTS ${prefix}_deks_past`);
    await dropMysqlTables(mysql.url, `${prefix}_`);
  });
  suite(() => ({
    open: () => mysqlDekStore(mysql.url, { prefix: `${prefix}_` }),
    ...tablesOf([`${prefix}_deks`], run),
  }));
});

const redis = await announce('Redis', 'data keys in Redis, restored');
describe.skipIf(redis.absent)('data keys in Redis', () => {
  const prefix = uniqueName('external');
  afterAll(() => deleteRedisKeys(redis.url, prefix));
  const client = createClient({ url: redis.url });
  const binary = client.withTypeMapping({ 36: Buffer } as never) as unknown as typeof client;
  let dump: [string, unknown][] = [];
  beforeAll(async () => {
    await client.connect();
  });
  afterAll(() => client.close());
  suite(() => ({
    open: () => redisDekStore(redis.url, { prefix }),
    async remember() {
      dump = [];
      for (const key of await client.keys(`${prefix}:*`)) {
        dump.push([key, await binary.sendCommand(['DUMP', key])]);
      }
    },
    async restore() {
      await deleteRedisKeys(redis.url, prefix);
      for (const [key, value] of dump) await client.sendCommand(['RESTORE', key, '0', value as Buffer]);
    },
  }));
});
