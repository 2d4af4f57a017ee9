import type { AgentInputItem } from '@openai/agents';
import { createClient } from 'redis';
import { afterAll, describe, expect, test } from 'vitest';
import { derivedId } from '../../src/derived-id.ts';
import { carrierOf, formatEnvelope, formatHeader } from '../../src/protocol/envelope.ts';
import type { Header } from '../../src/layer.ts';
import { USAGE_RECORD } from '../../src/protocol/ledger.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { historyDigest, openRedis } from '../../src/stores/redis.ts';
import { deleteRedisKeys } from './cleaning.ts';
import { startProxy } from './proxy.ts';
import { announce, uniqueName } from './servers.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

function refusal(act: () => unknown): string {
  let failure: unknown;
  try {
    act();
  } catch (error) {
    failure = error;
  }
  expect(failure).toMatchObject({ code: 'ERR_INVALID_OPTION' });
  return (failure as Error).message;
}

describe('openRedis and openMysql', () => {
  test('refuse targets and options that cannot work, and name no password', () => {
    expect(refusal(() => openRedis('http://u:hunter2@h'))).toBe(
      'openRedis: target must be a redis:// or rediss:// URL, an array of URLs of a cluster, or { client }, got a string.',
    );
    expect(refusal(() => openRedis({ client: {} } as never))).toContain('{ client } of redis or ioredis');
    expect(refusal(() => openRedis('redis://h', { prefix: 'with {braces}' }))).toContain('prefix must be');
    expect(refusal(() => openMysql('postgres://u:hunter2@h/d'))).not.toContain('hunter2');
    expect(refusal(() => openMysql({ pool: {} } as never))).toContain(
      '{ pool } with a pool of mysql2/promise',
    );
    const pool = { getConnection: () => undefined, end: () => undefined } as never;
    expect(refusal(() => openMysql({ pool }, { sharePool: false }))).toContain('is for a URL');
  });

  test('say that the server does not answer, and that nothing was written', async () => {
    await using redis = openRedis('redis://127.0.0.1:9', { timeout: '3s' });
    await expect(redis.session('a').addItems([message('x')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: 'openRedis: the connection to the database failed. Nothing was written. See the cause.',
      written: 'no',
      cause: expect.any(Error) as Error,
    });
    await using mysql = openMysql('mysql://root@127.0.0.1:9/none', { timeout: '2s', sharePool: false });
    await expect(mysql.session('a').addItems([message('x')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: 'openMysql: the connection to the database failed. Nothing was written. See the cause.',
    });
  });
});

const { url, absent } = await announce('Redis', 'openRedis, in detail');

describe.skipIf(absent)('openRedis, in detail', () => {
  const prefix = uniqueName('detail');

  test.each([
    ['before it', ['usage', 'root']],
    ['after it', ['root', 'usage']],
  ])('finds the ledger of a conversation that ended by itself by its subject (made %s)', async (_, order) => {
    await using store = openRedis(url, { prefix });
    const root = uniqueName('root');
    const subject = `person of ${root}`;
    const usage = derivedId({ kind: 'usage', of: root });
    for (const each of order) {
      const session =
        each === 'root' ? store.session(root, { subject }) : store.session(usage, { derived: true });
      await session.addItems([{ type: 'unknown', providerData: { type: USAGE_RECORD } }]);
    }
    const client = createClient({ url });
    await client.connect();
    // As the server does at the end of their time.
    await client.del(await client.keys(`${prefix}:{${root}}:*`));
    await client.close();
    const found: string[] = [];
    for await (const { id } of store.sessions({ subject, derived: 'all' })) found.push(id);
    expect(found).toEqual([usage]);
  });

  afterAll(() => deleteRedisKeys(url, prefix));

  test('works on a client of the caller, which must be connected, and leaves it open', async () => {
    const client = createClient({ url });
    client.on('error', () => undefined);
    const store = openRedis({ client }, { prefix });
    await expect(store.ping()).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('Call client.connect()') as string,
    });
    await client.connect();
    await store.session('mine').addItems([message('one')]);
    await store.close();
    expect(await client.ping()).toBe('PONG');
    await client.close();
  });

  test('distinguishes neighbouring records with a common beginning', async () => {
    await using store = openRedis(url, { prefix });
    const sealed = (header: Pick<Header, 't' | 'e'>): AgentInputItem =>
      carrierOf(
        formatEnvelope(formatHeader({ s: 'XC20P', d: 'A'.repeat(43), ...header }), Buffer.alloc(48, '\n')),
      );
    const items = [
      sealed({ t: 1_000 }),
      sealed({ t: 1_000 }),
      sealed({ t: 1_001 }),
      message('plain'),
      sealed({ t: 1_001, e: 2_000 }),
      sealed({ t: 1_001, e: 2_001 }),
    ];
    await store.session('neighbours').addItems(items);
    expect(await store.session('neighbours').getItems()).toEqual(items);
  });

  test('works after its connection was cut', async () => {
    const [admin, client] = [createClient({ url }), createClient({ url })];
    client.on('error', () => undefined);
    await Promise.all([admin.connect(), client.connect()]);
    await using store = openRedis({ client }, { prefix });
    const session = store.session('cut');
    await session.addItems([message('before')]);
    await admin.sendCommand(['CLIENT', 'KILL', 'ID', String(await client.clientId())]);
    expect(await session.getItems()).toEqual([message('before')]);
    await session.addItems([message('after')]);
    expect(await session.getItems()).toEqual([message('before'), message('after')]);
    await Promise.all([admin.close(), client.close()]);
  });

  test('lets a client of the caller send nothing after its call has failed', async () => {
    const proxy = await startProxy(url);
    const client = createClient({ url: proxy.url });
    client.on('error', () => undefined);
    await client.connect();
    await using store = openRedis({ client }, { prefix, timeout: '300ms' });
    const session = store.session('late');
    await session.addItems([message('before')]);
    proxy.refuse();
    proxy.cut();
    await expect.poll(() => client.isReady).toBe(false);
    await expect(session.addItems([message('late')])).rejects.toMatchObject({ code: 'ERR_STORE' });
    await proxy.accept();
    await client.ping();
    expect(await session.getItems()).toEqual([message('before')]);
    client.destroy();
    await proxy.close();
  });

  test('keeps the keys of a session in one slot, and names a key of another type', async () => {
    const client = createClient({ url });
    await client.connect();
    await using store = openRedis(url, { prefix });
    const id = 'a {strange} id: ü';
    await store.session(id).addItems([message('one')]);
    await store.session(id).replacePrefix({
      count: 1,
      digest: historyDigest([message('one')]),
      replacement: [message('two')],
      operationId: 'op',
    });
    const keys: string[] = [];
    for await (const found of client.scanIterator({ MATCH: `${prefix}:{*`, COUNT: 500 })) keys.push(...found);
    const mine = keys.filter((key) => key.includes('strange'));
    expect(mine.length).toBeGreaterThanOrEqual(3);
    const slots = await Promise.all(
      mine.map((key) =>
        client.sendCommand(['EVAL', "return redis.sha1hex(string.match(ARGV[1], '{(.-)}'))", '0', key]),
      ),
    );
    expect(new Set(slots).size).toBe(1);
    await client.set(`${prefix}:{taken}:meta`, 'a string');
    await expect(store.session('taken').getItems()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('choose another prefix') as string,
    });
    await client.close();
  });
});
