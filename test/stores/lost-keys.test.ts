import { DatabaseSync } from 'node:sqlite';
import type { PGlite } from '@electric-sql/pglite';
import type { AgentInputItem } from '@openai/agents';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { counters } from '../../src/crypto/counters.ts';
import { envelopeText, readHeader } from '../../src/protocol/envelope.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { memoryDekStore } from '../../src/keys/memory-dek-store.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import { reencrypt } from '../../src/operations/reencrypt.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { coded, failure } from '../crypto/failure.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { emptyPGlite } from './empty-pglite.ts';
import { temporaryFolder } from './folder.ts';
import { ownServer, withoutBinaries } from './own-server.ts';
import { openStore } from './open-store.ts';
import { announce, uniqueName } from './servers.ts';
import { DEK_STORE, GUARD, isGuarding } from '../../src/session-contract.ts';

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });

/** A database, and somebody who deletes rows in it by its own means. */
interface Database {
  open(): Store<StoreSession>;
  /** Data keys and items, as if they had never been written. */
  loseAll(): Promise<void>;
  /** The data keys alone. */
  loseKeys(): Promise<void>;
}

let keys: Keyring;
beforeAll(async () => {
  keys = keyring({ current: await generateKey() });
});

/** A store that lost wrapped data keys which a process still holds. */
function suite(database: () => Database): void {
  const opened: Store[] = [];
  afterAll(async () => {
    await Promise.all(opened.map((store) => store.close()));
  });
  const open = (): ReturnType<typeof wrapStore<StoreSession>> => {
    const store = wrapStore(database().open(), [encrypt({ keys })]);
    opened.push(store);
    return store;
  };
  const read = (id: string): Promise<AgentInputItem[]> => open().session(id).getItems();

  it('gets a new data key with the next append, which its caller does not notice', async () => {
    const session = open().session('append');
    await session.addItems([said('lost')]);
    await session.addItems([said('lost')]);
    await database().loseAll();
    const before = counters.wraps;
    await session.addItems([said('a'), said('b')]);
    await session.addItems([said('c')]);
    expect(counters.wraps - before).toBe(1);
    expect(await read('append')).toEqual([said('a'), said('b'), said('c')]);
  });

  it('gets a new data key with the next transaction, or replacement', async () => {
    const session = open().session('transaction');
    const append = async (operationId: string, item: AgentInputItem): Promise<void> =>
      session.applyHistoryTransaction?.({
        operationId,
        transaction: { type: 'append_items', items: [item] },
      });
    await session.addItems([said('lost')]);
    await database().loseAll();
    await append('1', said('a'));
    expect(await read('transaction')).toEqual([said('a')]);
    await database().loseAll();
    await session.replaceHistoryWithCompaction?.([said('b')]);
    expect(await read('transaction')).toEqual([said('b')]);
    await append('2', said('c'));
    expect(await read('transaction')).toEqual([said('b'), said('c')]);
  });

  it('gets new data keys when it appends to many sessions', async () => {
    const store = open();
    const ids = ['many 1', 'many 2', 'many 3'];
    const all = (items: AgentInputItem[]): Promise<void> | undefined =>
      store.appendMany?.(ids.map((id) => ({ id, items })));
    await all([said('lost')]);
    await database().loseAll();
    await all([said('a')]);
    for (const id of ids) expect(await read(id)).toEqual([said('a')]);
  });

  it('accepts nothing under the lost key, also from a process that does not check', async () => {
    const store = open();
    const wrapped = store.session('bare');
    await wrapped.addItems([said('a')]);
    const bare = database().open();
    opened.push(bare);
    const [carrier] = await bare.session('bare').getItems();
    await database().loseAll();
    // The process that sealed it has not heard of the loss.
    const session = database().open();
    opened.push(session);
    const dekStore = session.session('bare')[DEK_STORE];
    const { d = '' } = readHeader(envelopeText(carrier as AgentInputItem) as string) ?? {};
    if (isGuarding(dekStore)) dekStore[GUARD](d);
    expect(await failure(() => session.session('bare').addItems([carrier as AgentInputItem]))).toEqual(
      coded('ERR_KEY_UNKNOWN', /"bare" is no longer in this database.*Nothing was stored; seal it again/),
    );
    expect(await bare.session('bare').getItems()).toEqual([]);
  });

  it('reports lost records, keeps the rest, and still works when only the rows of keys were deleted', async () => {
    const session = open().session('keys');
    await session.addItems([said('a')]);
    await database().loseKeys();
    await session.addItems([said('b')]);
    // Also where items name their data key by a number: that of a lost one is given to no other.
    expect(await failure(() => read('keys'))).toEqual(
      coded('ERR_KEY_UNKNOWN', /ecord (?:1 of 2 )?of session "keys"/),
    );
    expect(await open().session('keys').getItems(1)).toEqual([said('b')]);
  });

  it('stores records of another data key store unchanged', async () => {
    const dekStore = memoryDekStore();
    const elsewhere = (): Store =>
      wrapStore(opened[opened.push(database().open()) - 1] as Store, [encrypt({ keys, dekStore })]);
    const session = elsewhere().session('elsewhere');
    await session.addItems([said('a')]);
    await session.addItems([said('b')]);
    expect(await elsewhere().session('elsewhere').getItems()).toEqual([said('a'), said('b')]);
  });

  it('is sealed again under an existing key', async () => {
    const store = open();
    const session = store.session('anew');
    await session.addItems([said('a')]);
    await reencrypt(session, { grace: 0 });
    await session.addItems([said('b')]);
    expect(await read('anew')).toEqual([said('a'), said('b')]);
  });
}

describe('SQLite', () => {
  const path = temporaryFolder()('lost-keys.db');
  const run = async (...statements: string[]): Promise<void> => {
    const database = new DatabaseSync(path);
    database.exec('PRAGMA busy_timeout = 5000');
    for (const statement of statements) database.exec(statement);
    database.close();
  };
  const database: Database = {
    open: () => openStore(path, ''),
    loseAll: () => run('DELETE FROM strongroom_items', 'DELETE FROM strongroom_deks'),
    loseKeys: () => run('DELETE FROM strongroom_deks'),
  };
  suite(() => database);
});

const postgres = await announce('PostgreSQL', 'lost data keys in PostgreSQL');
describe.skipIf(postgres.absent)('PostgreSQL', () => {
  const schema = uniqueName('w2_lost');
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  const run = async (...tables: string[]): Promise<void> => {
    const client = new Client(postgres.url);
    await client.connect();
    for (const table of tables) await client.query(`DELETE FROM ${schema}.strongroom_${table}`);
    await client.end();
  };
  suite(() => ({
    open: () => openStore(postgres.url, schema),
    loseAll: () => run('items', 'deks'),
    loseKeys: () => run('deks'),
  }));
});

describe('PGlite', () => {
  let pool: PGlite;
  beforeAll(async () => {
    pool = await emptyPGlite();
  });
  afterAll(() => pool.close());
  const run = async (...tables: string[]): Promise<void> => {
    for (const table of tables) await pool.query(`DELETE FROM strongroom_${table}`);
  };
  suite(() => ({
    open: () => openPostgres({ pool }),
    loseAll: () => run('items', 'deks'),
    loseKeys: () => run('deks'),
  }));
});

const mysql = await announce('MariaDB', 'lost data keys in MariaDB');
describe.skipIf(mysql.absent)('MariaDB', () => {
  const prefix = uniqueName('w2_lost');
  afterAll(() => dropMysqlTables(mysql.url, `${prefix}_`));
  const run = async (...tables: string[]): Promise<void> => {
    const connection = await createConnection(mysql.url);
    for (const table of tables) await connection.query(`DELETE FROM ${prefix}_${table}`);
    await connection.end();
  };
  suite(() => ({
    open: () => openStore(mysql.url, prefix),
    loseAll: () => run('items', 'deks'),
    loseKeys: () => run('deks'),
  }));
});

const redis = await announce('Redis', 'lost data keys in Redis');
describe.skipIf(redis.absent)('Redis', () => {
  const prefix = uniqueName('w2_lost');
  afterAll(() => deleteRedisKeys(redis.url, prefix));
  const run = async (...kinds: string[]): Promise<void> => {
    const client = createClient({ url: redis.url });
    await client.connect();
    for await (const found of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 500 })) {
      for (const key of found) if (kinds.some((kind) => key.includes(`}:${kind}`))) await client.unlink(key);
    }
    await client.close();
  };
  suite(() => ({
    open: () => openStore(redis.url, prefix),
    loseAll: () => run('items', 'meta', 'deks'),
    loseKeys: () => run('deks'),
  }));
});

describe.skipIf(withoutBinaries('Redis', 'a Redis that went back in time'))(
  'a Redis that went back in time',
  () => {
    it('leaves every session readable, with data keys from before and after its snapshot', async () => {
      const server = await ownServer('Redis', { settings: ['--appendonly', 'no'] });
      try {
        await server.start();
        const writer = openStore(server.url, 'w2');
        const sessions = wrapStore(writer, [encrypt({ keys, dataKeys: { maxMessages: 2 } })]);
        const older = sessions.session('older');
        for (const text of ['a', 'b']) await older.addItems([said(text)]);
        const admin = createClient({ url: server.url });
        admin.on('error', () => undefined);
        await admin.connect();
        await admin.sendCommand(['SAVE']);
        admin.destroy();
        // The second data key of the one session and the first of the other are lost, with what they sealed.
        await older.addItems([said('lost')]);
        const newer = sessions.session('newer');
        await newer.addItems([said('lost')]);
        await server.kill('SIGKILL');
        await server.start();
        await older.addItems([said('c')]);
        await newer.addItems([said('d')]);
        const reader = openStore(server.url, 'w2');
        const read = wrapStore(reader, [encrypt({ keys })]);
        expect(await read.session('older').getItems()).toEqual(['a', 'b', 'c'].map(said));
        expect(await read.session('newer').getItems()).toEqual([said('d')]);
        const listed: string[] = [];
        for await (const { id } of read.sessions()) listed.push(id);
        expect(listed.sort()).toEqual(['newer', 'older']);
        await Promise.all([writer.close(), reader.close()]);
      } finally {
        await server.destroy();
      }
    });
  },
);
