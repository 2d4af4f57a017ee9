import type { AgentInputItem } from '@openai/agents';
import { Cluster, Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { encrypt, expire, wrapStore } from '../../src/index.ts';
import { hold } from '../../src/operations/index.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { slotOf } from '../../src/stores/redis/slot.ts';
import { derivedId } from '../../src/derived-id.ts';
import { branches } from '../../src/history/index.ts';
import { openRedis } from '../../src/stores/redis.ts';
import { historyDigest } from '../../src/protocol/digest.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { deleteRedisKeys } from './cleaning.ts';
import { CLUSTER_CLIENTS } from './cluster-clients.ts';
import { ownCluster, withoutCluster, type ClusterNode, type OwnCluster } from './own-cluster.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { announce, uniqueName } from './servers.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** Sessions that are on all nodes. */
const IDS = Array.from({ length: 24 }, (_, index) => `session ${index}`);

async function listed(store: Store<StoreSession>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of store.sessions()) ids.push(id);
  return ids.sort();
}

describe.skipIf(withoutCluster('openRedis on a cluster of three'))('openRedis on a cluster of three', () => {
  let cluster: OwnCluster;
  beforeAll(async () => {
    cluster = await ownCluster();
  }, 60_000);
  afterAll(() => cluster?.destroy());

  test('knows the slot of a key as the servers do', async () => {
    const keys = [
      '',
      'a',
      '123456789',
      'a{b}c',
      'a{}b',
      '{}{b}',
      'a{{b}}c',
      'a{b',
      '}a{b}',
      'p:{Zo%C3%AB}:meta',
      'Zoë 😀',
    ];
    const node = cluster.nodes[0] as ClusterNode;
    const expected = await Promise.all(keys.map((key) => node.ask('CLUSTER', 'KEYSLOT', key)));
    expect(keys.map(slotOf)).toEqual(expected);
    expect(slotOf('123456789')).toBe(0x31c3);
  });

  test('ends the keys of each session with its last record, wherever they are, and not under a hold', async () => {
    const prefix = uniqueName('ends');
    const store = openRedis(
      cluster.nodes.map(({ url }) => url),
      { prefix },
    );
    const sealed = wrapStore(store, [expire({ after: 700 }), encrypt({ keys: fixedKeyring() })]);
    const held = IDS[5] as string;
    await sealed.session(held).addItems([message('held')]);
    await hold(sealed, { sessionId: held, reason: 'case 7' });
    for (const id of IDS) await sealed.session(id).addItems([message('short')]);
    const left = async (): Promise<string[]> => {
      const keys = await Promise.all(cluster.nodes.map((node) => node.ask('KEYS', `${prefix}:{session*`)));
      return keys.flat().map(String);
    };
    await vi.waitFor(async () => {
      const ids = new Set((await left()).map((key) => key.slice(key.indexOf('{') + 1, key.indexOf('}'))));
      expect([...ids].map(decodeURIComponent)).toEqual([held]);
    }, 10_000);
    expect(await store.session(held).getItems()).toHaveLength(2);
    await sealed.close();
  });

  test('refuses one node of it, by a URL or a client, before anything is written, and says what to pass', async () => {
    const refused = {
      code: 'ERR_INVALID_OPTION',
      message:
        'openRedis: the server is one node of a Redis Cluster. Pass an array of nodes, openRedis([url, …]), or a client of ' +
        'createCluster of redis, or of Cluster of ioredis; nothing was read or written.',
    };
    const url = cluster.urls[0] as string;
    await using byUrl = openRedis(url, { prefix: 'one' });
    await expect(byUrl.session('a').addItems([message('x')])).rejects.toMatchObject(refused);
    await expect(byUrl.ping()).rejects.toMatchObject(refused);
    const client = createClient({ url });
    await client.connect();
    await expect(openRedis({ client }, { prefix: 'one' }).session('a').getItems()).rejects.toMatchObject(
      refused,
    );
    client.destroy();
    const io = new Redis(url);
    await expect(openRedis({ client: io }, { prefix: 'one' }).ping()).rejects.toMatchObject(refused);
    io.disconnect();
    expect(await cluster.keys('one:*')).toEqual([]);
  });

  test('refuses to announce changes, and a client that reads from replicas', () => {
    expect(() => openRedis(cluster.urls, { push: true })).toThrow(
      expect.objectContaining({
        code: 'ERR_UNSUPPORTED',
        message: expect.stringContaining('push needs one server') as string,
      }) as Error,
    );
    const client = new Cluster([...cluster.urls], { lazyConnect: true, scaleReads: 'slave' });
    expect(() => openRedis({ client })).toThrow(
      expect.objectContaining({
        code: 'ERR_UNSUPPORTED',
        message: expect.stringContaining("scaleReads: 'master'") as string,
      }) as Error,
    );
    client.disconnect();
  });

  test.each<[what: string, urls: readonly string[]]>([
    ['an empty list', []],
    ['what is no URL', ['redis://127.0.0.1:1', 'localhost']],
    ['another protocol', ['http://127.0.0.1:1']],
    ['what is no text', [undefined as never]],
  ])('refuses %s', (_, urls) => {
    expect(() => openRedis(urls)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error);
  });

  describe.each(CLUSTER_CLIENTS)('by %s', (_, open) => {
    const prefix = uniqueName('cluster');

    test('keeps sessions on all nodes, and lists, purges and deletes them', async () => {
      await using store = await open(cluster.urls, { prefix });
      await using old = await open(cluster.urls, { prefix, clock: () => Date.now() - 3_600_000 });
      await Promise.all(IDS.map((id) => old.session(id).addItems([message(`old of ${id}`)])));
      await Promise.all(IDS.map((id) => store.session(id).addItems([message(`new of ${id}`)])));
      for (const node of cluster.nodes) {
        expect(Number(await node.ask('DBSIZE'))).toBeGreaterThan(0);
      }
      expect(await listed(store)).toEqual([...IDS].sort());
      expect(await store.purgeExpired({ after: '30m' })).toMatchObject({ items: 24, sessions: 24 });
      for (const id of IDS) expect(await store.session(id).getItems()).toEqual([message(`new of ${id}`)]);
      for (const id of IDS) await store.deleteSession(id);
      expect(await listed(store)).toEqual([]);
      const left = (await cluster.keys(`${prefix}:*`)).filter((key) => key !== `${prefix}:schema`);
      expect(left).toEqual([]);
    });

    test('removes orphaned keys on every node', async () => {
      await using store = await open(cluster.urls, { prefix });
      for (const id of IDS.slice(0, 4)) {
        await store.session(id).addItems([message(id)]);
        const meta = `${prefix}:{${encodeURIComponent(id)}}:meta`;
        await (await cluster.ownerOf(meta)).ask('DEL', meta);
        await using other = await open(cluster.urls, { prefix });
        await other.deleteSession(id);
        expect(await cluster.keys(`${prefix}:{${encodeURIComponent(id)}}:*`)).toEqual([]);
      }
    });

    test('asks every primary for its settings', async () => {
      for (const node of cluster.nodes) {
        await node.ask('CONFIG', 'SET', 'maxmemory', '100mb', 'maxmemory-policy', 'allkeys-lru');
        await using store = await open(cluster.urls, { prefix });
        const refused = {
          code: 'ERR_UNSUPPORTED',
          message: expect.stringContaining('allkeys-lru') as string,
        };
        await expect(store.ping()).rejects.toMatchObject(refused);
        await expect(store.session('a').getItems()).rejects.toMatchObject(refused);
        await node.ask('CONFIG', 'SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction');
        await store.ping();
      }
    });

    test('archives to a session in another slot once, and completes a call that ended in between', async () => {
      await using store = await open(cluster.urls, { prefix });
      const session = store.session('archived');
      const items = ['1', '2', '3', '4'].map(message);
      await session.addItems(items);
      const args = {
        count: 3,
        digest: historyDigest(items.slice(0, 3)),
        replacement: [],
        operationId: 'move',
      };
      const owner = await cluster.ownerOf(`${prefix}:{archived}`);
      const ids = Array.from({ length: 20 }, (_, index) => `archive-${index}`);
      const owners = await Promise.all(ids.map((id) => cluster.ownerOf(`${prefix}:{${id}}`)));
      const archiveTo = ids[owners.findIndex(({ url }) => url !== owner.url)] as string;
      // The node of the session takes no writes, and that of the archive does.
      await owner.ask('CONFIG', 'SET', 'min-replicas-to-write', '1');
      await expect(session.replacePrefix({ ...args, archiveTo })).rejects.toMatchObject({
        code: 'ERR_STORE',
      });
      await owner.ask('CONFIG', 'SET', 'min-replicas-to-write', '0');
      expect(await session.getItems()).toEqual(items);
      for (let call = 0; call < 2; call++) {
        await session.replacePrefix({ ...args, archiveTo });
        expect(await session.getItems()).toEqual(items.slice(3));
        expect(await store.session(archiveTo).getItems()).toEqual(items.slice(0, 3));
      }
      for (const id of ['archived', archiveTo]) await store.deleteSession(id);
    });

    test('branches a conversation into other slots, and leaves no branch where a node refuses', async () => {
      await using store = await open(cluster.urls, { prefix });
      const items = ['1', '2', '3'].map(message);
      await store.session('branched').addItems(items);
      const tree = branches(store, 'branched');
      const names = Array.from({ length: 6 }, (_, index) => `b${index}`);
      for (const name of names) await tree.create(name, { turn: 3 });
      await tree.switch('b4');
      expect(await tree.follow().getItems()).toEqual(items.slice(0, 2));
      expect(await tree.list()).toMatchObject([
        { name: 'main', items: 3 },
        ...names.map((name) => ({ name, items: 2, current: name === 'b4' })),
      ]);
      const owner = await cluster.ownerOf(`${prefix}:{branched}`);
      const owners = await Promise.all(
        names.map((name) =>
          cluster.ownerOf(`${prefix}:{${derivedId({ kind: 'branch', of: 'branched', name })}}`),
        ),
      );
      const other = names[owners.findIndex(({ url }) => url !== owner.url)] as string;
      await tree.delete(other, { force: true });
      // The node of the conversation takes no writes, that of the branch does.
      await owner.ask('CONFIG', 'SET', 'min-replicas-to-write', '1');
      await expect(tree.create(other, { from: 'main' })).rejects.toMatchObject({ code: 'ERR_STORE' });
      await owner.ask('CONFIG', 'SET', 'min-replicas-to-write', '0');
      expect((await tree.list()).map(({ name }) => name)).not.toContain(other);
      expect(await (await tree.create(other, { from: 'main' })).getItems()).toHaveLength(3);
      expect(await store.deleteSession('branched')).toMatchObject({ derived: { branch: 6, branches: 1 } });
    });

    test('keeps the notes on branches while the conversation goes on, also with an idle time', async () => {
      await using store = await open(cluster.urls, { prefix, idle: '1h' });
      await store.session('noted').addItems([message('1')]);
      await branches(store, 'noted').create('b');
      const notes = `${prefix}:{${derivedId({ kind: 'branches', of: 'noted' })}}:meta`;
      for (const [key, never] of [
        [notes, true],
        [`${prefix}:{noted}:meta`, false],
      ] as const) {
        const ends = await (await cluster.ownerOf(key)).ask('PEXPIRETIME', key);
        expect(Number(ends) === -1).toBe(never);
      }
      await store.deleteSession('noted');
    });

    test('waits for a moving slot, says so when that takes too long, and loses nothing', async () => {
      const id = uniqueName('moving');
      const tag = `${prefix}:{${id}}`;
      const slot = String(slotOf(tag));
      await using store = await open(cluster.urls, { prefix });
      await using hasty = await open(cluster.urls, { prefix, timeout: 1_500 });
      const session = store.session(id);
      await session.addItems(['1', '2', '3'].map(message));
      await session.addItems([message('4')]);
      await hasty.ping();
      const from = await cluster.ownerOf(tag);
      const to = cluster.nodes.find(({ address }) => address !== from.address) as ClusterNode;
      const [source, target] = await Promise.all(
        [from, to].map(async (node) => String(await node.ask('CLUSTER', 'MYID'))),
      );
      await to.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source as string);
      await from.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target as string);
      const move = async (keys: unknown): Promise<void> => {
        const [host = '', port = ''] = to.address.split(':');
        if ((keys as string[]).length > 0) {
          await from.ask('MIGRATE', host, port, '', '0', '5000', 'KEYS', ...(keys as string[]));
        }
      };
      // One key of two is there.
      await move([`${tag}:meta`]);
      const late = {
        code: 'ERR_STORE',
        message: expect.stringMatching(
          /is migrating to another node of the cluster, and the migration does not end|did not answer in time|connection to the database failed/,
        ) as string,
      };
      const calls = [
        () => hasty.session(id).popItem(),
        () => hasty.session(id).clearSession(),
        () => hasty.deleteSession(id),
      ];
      await Promise.all(calls.map((call) => expect(call()).rejects.toMatchObject(late)));
      expect(await session.getItems()).toEqual(['1', '2', '3', '4'].map(message));
      const popped = session.popItem();
      const appended = store.session(id).addItems([message('5')]);
      const made = store.session(id).addItems([message('6')]);
      await move(await from.ask('CLUSTER', 'GETKEYSINSLOT', slot, '100'));
      for (const node of [to, from, ...cluster.nodes]) {
        await node.ask('CLUSTER', 'SETSLOT', slot, 'NODE', target as string);
      }
      await Promise.all([popped, appended, made]);
      const items = await session.getItems();
      expect([...items, await popped].map((item) => (item as { content: string }).content).sort()).toEqual([
        '1',
        '2',
        '3',
        '4',
        '5',
        '6',
      ]);
      await store.deleteSession(id);
      expect(await cluster.keys(`${tag}:*`)).toEqual([]);
    });
  });
});

describe.skipIf(withoutCluster('answers of a cluster that are lost'))(
  'When the answer of a cluster is lost',
  () => {
    let cluster: OwnCluster;
    let proxies: ReadonlyMap<string, Proxy>;
    beforeAll(async () => {
      cluster = await ownCluster();
      const started = await Promise.all(
        cluster.nodes.map(async (node) => {
          const proxy = await startProxy(node.url);
          // So clients reach it wherever they learn of it.
          await node.ask('CONFIG', 'SET', 'cluster-announce-port', new URL(proxy.url).port);
          return [node.url, proxy] as const;
        }),
      );
      proxies = new Map(started);
      const ports = started.map(([, { url }]) => new URL(url).port);
      await vi.waitUntil(
        async () => {
          const tables = await Promise.all(cluster.nodes.map((node) => node.ask('CLUSTER', 'SLOTS')));
          return tables.every((table) => ports.every((port) => JSON.stringify(table).includes(port)));
        },
        { timeout: 30_000, interval: 50 },
      );
    }, 60_000);
    afterAll(async () => {
      await Promise.all([...(proxies?.values() ?? [])].map((proxy) => proxy.close()));
      await cluster?.destroy();
    });

    test.each(CLUSTER_CLIENTS)(
      'by %s, an append is not sent again, and the next one works',
      async (_, open) => {
        const prefix = uniqueName('lost');
        await using store = await open(
          [...proxies.values()].map(({ url }) => url),
          { prefix },
        );
        expect(ONCE).toContainEqual(await lostAnswers(store, [...proxies.values()]));
      },
    );
  },
);

const redis = await announce('Redis', 'answers that are lost');
describe.skipIf(redis.absent)('When the answer of a server is lost', () => {
  const prefix = uniqueName('lost');
  afterAll(() => deleteRedisKeys(redis.url, prefix));

  test('by a client of ioredis, an append is not sent again, and the next one works', async () => {
    const proxy = await startProxy(redis.url);
    const client = new Redis(proxy.url);
    client.on('error', () => undefined);
    expect(ONCE).toContainEqual(await lostAnswers(openRedis({ client }, { prefix }), [proxy]));
    client.disconnect();
    await proxy.close();
  });
});

/** Appends whose answers are lost, and what became of them. */
async function lostAnswers(store: Store<StoreSession>, proxies: readonly Proxy[]): Promise<string[]> {
  const session = store.session('a');
  await session.addItems([message('first')]);
  const outcomes: string[] = [];
  for (let round = 0; round < 6; round++) {
    const content = `round ${round}`;
    for (const proxy of proxies) proxy.cutAfter(1);
    const outcome = await session.addItems([message(content)]).then(
      () => 'acknowledged',
      (error: unknown) => /may have been committed/.exec((error as Error).message)?.[0] ?? 'refused',
    );
    for (const proxy of proxies) proxy.cutAfter(0);
    const found = (await session.getItems()).filter((item) => 'content' in item && item.content === content);
    outcomes.push(`${outcome}, ${found.length}`);
    await session.addItems([message('next')]);
    outcomes.push(JSON.stringify((await session.getItems()).at(-1)));
  }
  await store.deleteSession('a');
  return [...new Set(outcomes)].sort();
}

/** An append that finds all connections as it needs them is one command, whose answer is lost; another one begins with a question, which is repeated. */
const ONCE = [
  ['acknowledged, 1', 'may have been committed, 1', JSON.stringify(message('next'))],
  ['may have been committed, 1', JSON.stringify(message('next'))],
];
