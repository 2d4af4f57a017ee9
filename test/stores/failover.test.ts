import type { AgentInputItem } from '@openai/agents';
import { Redis as IoRedis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { cache } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { openRedis, type RedisTarget } from '../../src/stores/redis.ts';
import { VERSION } from '../../src/session-contract.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { askRedis } from './failover-pairs.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { uniqueName } from './servers.ts';

// One address, and behind it a primary that becomes the replica of its replica.

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const ask = async (server: OwnServer, ...command: string[]): Promise<unknown> =>
  askRedis(server.url, ...command);

const absent = withoutBinaries('Redis', 'Redis that fails over');
describe.skipIf(absent)('Redis that fails over behind one address', () => {
  let primary: OwnServer;
  let replica: OwnServer;
  let proxy: Proxy;

  async function follow(server: OwnServer, other: OwnServer): Promise<void> {
    await ask(server, 'REPLICAOF', '127.0.0.1', new URL(other.url).port);
    await caughtUp(server, other);
  }

  async function caughtUp(server: OwnServer, other: OwnServer): Promise<void> {
    await vi.waitFor(
      async () => {
        const info = String(await ask(server, 'INFO', 'replication'));
        expect(info).toContain('master_link_status:up');
        const place = /master_repl_offset:(\d+)/;
        const there = String(await ask(other, 'INFO', 'replication'));
        expect(place.exec(info)?.[1]).toBe(place.exec(there)?.[1]);
      },
      { timeout: 60_000, interval: 20 },
    );
  }

  /** The replica becomes the primary, the primary its replica, and the address leads to the new one. */
  async function failOver({ cuts = false } = {}): Promise<void> {
    // Planned: nothing is lost, because nobody writes between and the replica has everything.
    await caughtUp(replica, primary);
    await ask(replica, 'REPLICAOF', 'NO', 'ONE');
    [primary, replica] = [replica, primary];
    await follow(replica, primary);
    proxy.pointTo(primary.url);
    if (cuts) proxy.cut();
  }

  beforeAll(async () => {
    primary = await ownServer('Redis', { settings: ['--repl-diskless-sync-delay', '0'] });
    replica = await ownServer('Redis', { settings: ['--repl-diskless-sync-delay', '0'] });
    await Promise.all([primary.start(), replica.start()]);
    await follow(replica, primary);
    proxy = await startProxy(primary.url);
  }, 120_000);
  afterAll(async () => {
    await proxy?.close();
    await Promise.all([primary?.destroy(), replica?.destroy()]);
  });
  let prefix = '';
  beforeEach(() => {
    prefix = uniqueName('failover');
  });

  const layers = [cache({ maxItems: 100 }), encrypt({ keys: fixedKeyring() })];

  test.each([
    ['cuts its connections', true],
    ['keeps its connections', false],
  ])('goes on at the new primary, also where the address %s', async (_, cuts) => {
    await using store = openRedis(proxy.url, { prefix });
    const sessions = wrapStore(store, layers);
    const session = sessions.session('s');
    await session.addItems([message('1')]);
    await session.addItems([message('2')]);
    await failOver({ cuts });
    // Where the address keeps them, nobody has told the store.
    if (cuts) await session.getItems();
    await session.addItems([message('3')]);
    await session.addItems([message('4')]);
    expect(await session.popItem()).toEqual(message('4'));
    const operation = {
      operationId: 'o',
      transaction: { type: 'append_items' as const, items: [message('5')] },
    };
    await failOver({ cuts });
    if (cuts) await session.getItems();
    await session.applyHistoryTransaction(operation);
    await session.applyHistoryTransaction(operation);
    await failOver({ cuts });
    if (cuts) await session.getItems();
    await sessions.session('new').addItems([message('other')]);
    expect(await session.getItems()).toEqual(['1', '2', '3', '5'].map(message));
    await using fresh = openRedis(primary.url, { prefix });
    expect(await wrapStore(fresh, layers).session('s').getItems()).toEqual(['1', '2', '3', '5'].map(message));
  });

  test('opens one more connection for all calls that are refused at once, and completes all of them', async () => {
    await using store = openRedis(proxy.url, { prefix });
    const ids = Array.from({ length: 20 }, (_, n) => `s${n}`);
    for (const id of ids) await store.session(id).addItems([message('before')]);
    await failOver();
    const { connections } = proxy;
    await Promise.all(
      ids.flatMap((id) => [
        store.session(id).addItems([message('after')]),
        store.session(`${id} new`).addItems([message('after')]),
      ]),
    );
    expect(proxy.connections - connections).toBe(1);
    await vi.waitFor(() => expect(proxy.open()).toBe(1));
    for (const id of ids) {
      expect(await store.session(id).getItems()).toEqual(['before', 'after'].map(message));
      expect(await store.session(`${id} new`).getItems()).toEqual([message('after')]);
    }
  });

  test('drops its state of the old server: names of lists, and entries of indexes', async () => {
    await using store = openRedis(proxy.url, { prefix });
    await store.session('s').addItems([message('1')]);
    await failOver();
    // As if it had been lost: another list, and no entry.
    await using other = openRedis(primary.url, { prefix });
    await other.deleteSession('s');
    await other.session('s').addItems([message('other')]);
    await ask(primary, 'ZREM', `${prefix}:ids`, 's');
    await store.session('s').addItems([message('2')]);
    expect(await store.session('s').getItems()).toEqual(['other', '2'].map(message));
    const listed: string[] = [];
    for await (const { id } of store.sessions()) listed.push(id);
    expect(listed).toEqual(['s']);
  });

  test('tries a write once more where the address leads to a replica for good, and says that nothing was written', async () => {
    await using before = openRedis(primary.url, { prefix });
    await before.session('s').addItems([message('1')]);
    await vi.waitFor(async () => expect(await ask(replica, 'EXISTS', `${prefix}:ids`)).toBe(1));
    proxy.pointTo(replica.url);
    try {
      await using store = openRedis(proxy.url, { prefix });
      await store.ping();
      const { connections } = proxy;
      await expect(store.session('s').addItems([message('2')])).rejects.toMatchObject({
        code: 'ERR_STORE',
        written: 'no',
        message: 'openRedis: the database is a read-only replica. Nothing was written. See the cause.',
      });
      expect(proxy.connections - connections).toBe(1);
      expect(await store.session('s').getItems()).toEqual([message('1')]);
    } finally {
      proxy.pointTo(primary.url);
    }
  });

  test('waits for another server while this one is a replica without its primary', async () => {
    await using store = openRedis(proxy.url, { prefix });
    await store.session('s').addItems([message('1')]);
    await follow(replica, primary);
    await ask(replica, 'CONFIG', 'SET', 'replica-serve-stale-data', 'no');
    await ask(replica, 'REPLICAOF', '127.0.0.1', '1');
    try {
      proxy.pointTo(replica.url);
      proxy.cut();
      const { connections } = proxy;
      const reading = store.session('s').getItems();
      await vi.waitUntil(() => proxy.connections > connections, { timeout: 30_000 });
      const writing = store.session('new').addItems([message('2')]);
      await vi.waitUntil(() => proxy.connections > connections + 3, { timeout: 30_000 });
      proxy.pointTo(primary.url);
      expect(await reading).toEqual([message('1')]);
      await writing;
      expect(await store.session('new').getItems()).toEqual([message('2')]);
    } finally {
      proxy.pointTo(primary.url);
      await ask(replica, 'CONFIG', 'SET', 'replica-serve-stale-data', 'yes');
      await follow(replica, primary);
    }
  });

  test('reads the versions of cache() from the new server', async () => {
    await using store = openRedis(proxy.url, { prefix, push: true });
    const session = wrapStore(store, layers).session('s');
    const source = store.session('s')[VERSION];
    await session.addItems([message('1')]);
    const settled = async (): Promise<boolean> => {
      await session.getItems();
      return source.known() !== undefined;
    };
    await vi.waitUntil(settled, { timeout: 60_000, interval: 20 });
    await failOver();
    await store.session('another').addItems([message('moves the store')]);
    await vi.waitUntil(async () => source.known() === undefined, { timeout: 60_000, interval: 1 });
    // Nothing of it arrives at the old one.
    await ask(replica, 'REPLICAOF', '127.0.0.1', '1');
    await vi.waitUntil(settled, { timeout: 60_000, interval: 20 });
    await using other = openRedis(primary.url, { prefix });
    await wrapStore(other, layers)
      .session('s')
      .addItems([message('2')]);
    await vi.waitUntil(() => source.known() === undefined, { timeout: 60_000, interval: 10 });
    expect(await session.getItems()).toEqual(['1', '2'].map(message));
    await follow(replica, primary);
  });

  interface Theirs {
    readonly target: RedisTarget;
    close(): Promise<unknown>;
    /** What the client itself does all the time. */
    count(): Promise<number>;
  }
  const CLIENTS: Readonly<Record<string, () => Promise<Theirs>>> = {
    async redis() {
      const client = createClient({ url: proxy.url });
      client.on('error', () => undefined);
      await client.connect();
      return { target: { client }, close: () => client.close(), count: async () => client.dbSize() };
    },
    async ioredis() {
      const client = new IoRedis(proxy.url);
      client.on('error', () => undefined);
      return {
        target: { client },
        close: async () => client.disconnect(),
        count: async () => client.dbsize(),
      };
    },
    async 'ioredis that connects anew itself (reconnectOnError)'() {
      const client = new IoRedis(proxy.url, {
        reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
      });
      client.on('error', () => undefined);
      return {
        target: { client },
        close: async () => client.disconnect(),
        count: async () => client.dbsize(),
      };
    },
  };
  test.each(Object.keys(CLIENTS))('does not change a client of %s, and continues', async (name) => {
    const theirs = await (CLIENTS[name] as (typeof CLIENTS)[string])();
    try {
      const store = openRedis(theirs.target, { prefix });
      const session = wrapStore(store, layers).session('s');
      await session.addItems([message('1')]);
      await failOver();
      await session.addItems([message('2')]);
      await failOver();
      await Promise.all([session.addItems([message('3')]), store.session('b').addItems([message('4')])]);
      expect(await session.getItems()).toEqual(['1', '2', '3'].map(message));
      expect(await theirs.count()).toBeGreaterThan(0);
      await store.close();
      await vi.waitFor(() => expect(proxy.open()).toBe(1));
      expect(await theirs.count()).toBeGreaterThan(0);
    } finally {
      await theirs.close();
    }
  });
});
