import type { AgentInputItem } from '@openai/agents';
import { Redis } from 'ioredis';
import * as callbacks from 'mysql2';
import { createPool, type PoolOptions } from 'mysql2/promise';
import { Client, Pool, types, type PoolConfig } from 'pg';
import { createClient, createCluster, createSentinel } from 'redis';
import { afterAll, describe, expect, test } from 'vitest';
import { encrypt } from '../../src/layers/encrypt.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { announce, uniqueName } from './servers.ts';

// A client of the application's own has the options of the application.

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const LAYERS = [encrypt({ keys: fixedKeyring() })];

/** What comes back when every kind of value is read: items, versions, counts, times, data keys, subjects. */
async function roundTrip(open: () => Store<StoreSession>): Promise<unknown> {
  await using store = wrapStore(open(), LAYERS);
  const session = store.session('options', { subject: 'Zoë' });
  await session.addItems([message('Zoë 😀'), message('2')]);
  const popped = await session.popItem();
  await session.replaceHistoryWithCompaction([message('3')]);
  await using fresh = wrapStore(open(), LAYERS);
  const items = await fresh.session('options').getItems();
  const listed = [];
  for await (const { bytes, firstAt, lastAt, ...summary } of fresh.sessions({ subject: 'Zoë' })) {
    const now = Date.now();
    const isRecent = firstAt <= lastAt && lastAt <= now + 1_000 && firstAt > now - 60_000;
    listed.push({ ...summary, isRecent, hasBytes: bytes > 20 });
  }
  const purged = await store.purgeExpired({ after: '1d' });
  await store.deleteSession('options');
  return { popped, items, listed, purged };
}

const EXPECTED = {
  popped: message('2'),
  items: [message('3')],
  listed: [{ id: 'options', items: 1, subject: 'Zoë', isRecent: true, hasBytes: true }],
  purged: { items: 0, sessions: 0 },
};

function refusal(code: string, message: string): Error {
  return expect.objectContaining({ code, message: expect.stringContaining(message) as string }) as Error;
}

const mysql = await announce('MariaDB', 'openMysql on pools with options');
describe.skipIf(mysql.absent)('openMysql works on a pool with', () => {
  const prefix = `${uniqueName('options')}_`;
  afterAll(() => dropMysqlTables(mysql.url, prefix));
  test.each<PoolOptions>([
    { rowsAsArray: true },
    { nestTables: true },
    { nestTables: '_', rowsAsArray: true },
    { typeCast: false },
    { typeCast: () => 'nothing of it' },
    { decimalNumbers: true },
    { supportBigNumbers: true, bigNumberStrings: true },
    { dateStrings: true },
    { multipleStatements: true },
    { namedPlaceholders: true },
    { jsonStrings: true, timezone: '+05:30' },
  ])('%o', async (options) => {
    const pool = createPool({ uri: mysql.url, ...options });
    expect(await roundTrip(() => openMysql({ pool }, { prefix }))).toEqual(EXPECTED);
    await pool.end();
  });

  test('no callbacks and FOUND_ROWS, and refuses others by name', async () => {
    const withCallbacks = callbacks.createPool({ uri: mysql.url });
    expect(() => openMysql({ pool: withCallbacks as never })).toThrow(
      refusal('ERR_INVALID_OPTION', 'Pass its promise form: openMysql({ pool: pool.promise() })'),
    );
    withCallbacks.end();
    const pool = createPool({ uri: mysql.url, flags: ['-FOUND_ROWS'] });
    expect(() => openMysql({ pool })).toThrow(refusal('ERR_INVALID_OPTION', "flags: ['-FOUND_ROWS']"));
    await pool.end();
    const store = openMysql(`${mysql.url}?flags=-FOUND_ROWS`, { prefix });
    await expect(store.ping()).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await store.close();
  });
});

const postgres = await announce('PostgreSQL', 'openPostgres on pools with options');
describe.skipIf(postgres.absent)('openPostgres works on a pool with', () => {
  const schema = uniqueName('options');
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  test.each<PoolConfig>([
    { types: { getTypeParser: () => () => 'nothing of it' } },
    { options: '-c bytea_output=escape -c extra_float_digits=0' },
    { options: '-c standard_conforming_strings=off -c backslash_quote=on' },
    { options: '-c default_transaction_isolation=serializable' },
  ])('%o', async (options) => {
    const pool = new Pool({ connectionString: postgres.url, ...options });
    expect(await roundTrip(() => openPostgres({ pool }, { schema }))).toEqual(EXPECTED);
    await pool.end();
  });

  test('parsers that the application has set for all pools', async () => {
    const before = [17, 20, 25].map((oid) => [oid, types.getTypeParser(oid)] as const);
    for (const [oid] of before) types.setTypeParser(oid, BigInt);
    const pool = new Pool({ connectionString: postgres.url });
    try {
      expect(await roundTrip(() => openPostgres({ pool }, { schema }))).toEqual(EXPECTED);
      expect(await roundTrip(() => openPostgres(postgres.url, { schema }))).toEqual(EXPECTED);
    } finally {
      for (const [oid, parser] of before) types.setTypeParser(oid, parser);
      await pool.end();
    }
  });

  test('no binary, and refuses binary and a client by name', async () => {
    const options: PoolConfig & { binary: boolean } = { connectionString: postgres.url, binary: true };
    const pool = new Pool(options);
    expect(() => openPostgres({ pool })).toThrow(
      refusal('ERR_INVALID_OPTION', 'openPostgres: the pool has the option binary'),
    );
    const hidden = { connect: () => pool.connect(), end: () => pool.end() };
    await expect(openPostgres({ pool: hidden }).ping()).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('the option binary') as string,
    });
    await pool.end();
    expect(() => openPostgres({ pool: new Client(postgres.url) as never })).toThrow(
      refusal('ERR_INVALID_OPTION', 'this is a Client of pg, which is one connection'),
    );
  });
});

const redis = await announce('Redis', 'openRedis on clients with options');
describe.skipIf(redis.absent)('openRedis works on a client with', () => {
  const prefix = uniqueName('options');
  afterAll(async () => {
    await deleteRedisKeys(redis.url, prefix);
    await deleteRedisKeys(redis.url, `before:${prefix}`);
  });
  test.each([
    { stringNumbers: true },
    { stringNumbers: true, enableAutoPipelining: true },
    { enableAutoPipelining: true },
    { keyPrefix: 'before:' },
    { keyPrefix: 'before:', enableAutoPipelining: true },
    { showFriendlyErrorStack: true },
  ])('%o of ioredis', async (options) => {
    const client = new Redis(redis.url, options);
    expect(await roundTrip(() => openRedis({ client }, { prefix }))).toEqual(EXPECTED);
    client.disconnect();
  });

  test.each([
    { RESP: 2 as const },
    { RESP: 3 as const },
    { commandOptions: { typeMapping: { 36: String } } },
  ])('%o of redis', async (options) => {
    const client = createClient({ url: redis.url, ...options });
    await client.connect();
    expect(await roundTrip(() => openRedis({ client: client as never }, { prefix }))).toEqual(EXPECTED);
    await client.close();
  });

  test('a connection, and refuses a sentinel and an unconnected client by name', async () => {
    const sentinel = createSentinel({ name: 'x', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] });
    expect(() => openRedis({ client: sentinel as never })).toThrow(
      refusal('ERR_UNSUPPORTED', 'a client of createSentinel is not supported'),
    );
    const cluster = createCluster({ rootNodes: [{ url: redis.url }] });
    for (const client of [createClient({ url: redis.url }), cluster]) {
      await expect(openRedis({ client: client as never }).ping()).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining('Call client.connect()') as string,
      });
    }
  });
});
