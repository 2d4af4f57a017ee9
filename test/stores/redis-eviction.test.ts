import type { AgentInputItem } from '@openai/agents';
import { createClient } from 'redis';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
  vi,
  type MockInstance,
} from 'vitest';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { uniqueName } from './servers.ts';
import { VERSION } from '../../src/session-contract.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

describe.skipIf(withoutBinaries('Redis', 'Redis that evicts'))('Redis that evicts', () => {
  let server: OwnServer;
  let admin: ReturnType<typeof createClient>;
  let warnings: MockInstance<typeof process.emitWarning>;
  beforeAll(async () => {
    server = await ownServer('Redis');
    await server.start();
    admin = createClient({ url: server.url });
    await admin.connect();
  });
  afterAll(async () => {
    admin?.destroy();
    await server?.destroy();
  });
  beforeEach(() => {
    warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await admin.configSet({ maxmemory: '0', 'maxmemory-policy': 'noeviction', appendonly: 'yes' });
  });
  const said = (): string[] => warnings.mock.calls.map(([text]) => String(text));

  test.each(['allkeys-lru', 'allkeys-lfu', 'allkeys-random'])(
    'is refused under %s, before anything is written, until that is accepted',
    async (policy) => {
      await admin.configSet({ maxmemory: '100mb', 'maxmemory-policy': policy });
      const prefix = uniqueName('evict');
      await using store = openRedis(server.url, { prefix });
      const refused = {
        code: 'ERR_UNSUPPORTED',
        message:
          `openRedis: the server evicts histories and data keys when its memory is full (maxmemory-policy ${policy}). Set ` +
          'maxmemory-policy to noeviction, or accept the loss with allowEviction: true; nothing was read or written.',
      };
      await expect(store.session('a').getItems()).rejects.toMatchObject(refused);
      await expect(store.session('a').addItems([message('one')])).rejects.toMatchObject(refused);
      await expect(store.ping()).rejects.toMatchObject(refused);
      expect(await admin.keys(`${prefix}:*`)).toEqual([]);
      await using accepted = openRedis(server.url, { prefix, allowEviction: true });
      await accepted.session('a').addItems([message('one')]);
      expect(await accepted.session('a').getItems()).toEqual([message('one')]);
      expect(said()).toEqual([
        `openRedis: the server evicts histories and data keys when its memory is full (maxmemory-policy ${policy}), ` +
          'which was accepted (allowEviction).',
      ]);
      // The settings were changed, as the message says.
      await admin.configSet({ 'maxmemory-policy': 'noeviction' });
      expect(await store.session('a').getItems()).toEqual([message('one')]);
    },
  );

  test('finds by ping() that the settings were changed while the store was open', async () => {
    await using store = openRedis(server.url, { prefix: uniqueName('evict') });
    await store.ping();
    await admin.configSet({ maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' });
    await expect(store.ping()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
  });

  test('does not warn of a policy without a limit, and warns of one that evicts only leases', async () => {
    await admin.configSet({ maxmemory: '0', 'maxmemory-policy': 'allkeys-lru' });
    await using store = openRedis(server.url, { prefix: uniqueName('evict') });
    await store.ping();
    expect(said()).toEqual([]);
    await admin.configSet({ maxmemory: '100mb', 'maxmemory-policy': 'volatile-ttl' });
    await store.ping();
    expect(said()).toEqual([
      'openRedis: the server can evict the leases of exclusive() and of jobs when its memory is full (maxmemory-policy ' +
        'volatile-ttl). Set it to noeviction.',
    ]);
  });

  test('warns of a server that writes nothing to a disk', async () => {
    await admin.configSet({ appendonly: 'no' });
    await using store = openRedis(server.url, { prefix: uniqueName('evict') });
    await store.ping();
    expect(said()).toEqual([
      'openRedis: the server does not persist to disk (appendonly no, no save points), so all histories are lost when it ' +
        'stops. Set appendonly to yes.',
    ]);
  });

  test('warns that the settings are unknown when the user may not read them', async () => {
    await admin.sendCommand([
      'ACL',
      'SETUSER',
      'app',
      'on',
      '>secret',
      '~*',
      '&*',
      '+@all',
      '-info',
      '-config',
    ]);
    const url = new URL(server.url);
    url.username = 'app';
    url.password = 'secret';
    await using store = openRedis(url.href, { prefix: uniqueName('evict') });
    await store.session('a').addItems([message('one')]);
    expect(said()).toEqual([
      'openRedis: the server refuses INFO, so strongroom cannot check whether it evicts keys. Set maxmemory-policy to ' +
        'noeviction: otherwise histories are lost when its memory is full.',
    ]);
  });

  describe('and has evicted', () => {
    const prefix = uniqueName('evict');
    const open = (): Store<StoreSession> => openRedis(server.url, { prefix, allowEviction: true });
    const items = ['one', 'two'].map(message);
    const lost = (id: string): object => ({
      code: 'ERR_MALFORMED',
      message:
        `openRedis: the items of session "${id}" are gone: the server evicted their key, or the key was deleted. Nothing was ` +
        'changed. Restore the session from a backup, or delete what is left of it with deleteSession().',
      dataLost: true,
    });
    const keysOf = (id: string): Promise<string[]> => admin.keys(`${prefix}:{${id}}:*`);

    test('reports to every caller that the server lost the items of a session, until it is deleted', async () => {
      const id = uniqueName('session');
      await using before = open();
      await before.session(id).addItems(items);
      await before.session(`${id}-other`).addItems(items);
      await admin.del((await keysOf(id)).filter((key) => key.includes(':items:')));
      for (const store of [before, open()]) {
        const session = store.session(id);
        await expect(session.getItems()).rejects.toMatchObject(lost(id));
        await expect(session.getItems(1)).rejects.toMatchObject(lost(id));
        await expect(session[VERSION].read()).rejects.toMatchObject(lost(id));
        await expect(session.addItems(items)).rejects.toMatchObject(lost(id));
        await expect(session.popItem()).rejects.toMatchObject(lost(id));
        await expect(session.clearSession()).rejects.toMatchObject(lost(id));
        await expect(
          session.applyHistoryTransaction({
            operationId: 'a',
            transaction: { type: 'append_items', items },
          }),
        ).rejects.toMatchObject(lost(id));
        await store.purgeExpired({ after: '10d' });
        const listed: string[] = [];
        for await (const summary of store.sessions()) listed.push(summary.id);
        expect(listed).toContain(`${id}-other`);
        expect(await store.session(`${id}-other`).getItems()).toEqual(items);
        if (store !== before) await store.close();
      }
      await using store = open();
      await store.deleteSession(id);
      expect(await keysOf(id)).toEqual([]);
      expect(await store.session(id).getItems()).toEqual([]);
      await store.session(id).addItems(items);
      await using after = open();
      expect(await after.session(id).getItems()).toEqual(items);
    });

    test('does not report an empty history as lost', async () => {
      const ids = ['popped', 'cleared', 'purged', 'deleted', 'replaced', 'never'].map(uniqueName);
      const [popped, cleared, purged, deleted, replaced] = ids as [string, string, string, string, string];
      {
        await using old = openRedis(server.url, { prefix, clock: () => Date.now() - 3_600_000 });
        await old.session(purged).addItems(items);
        await using store = open();
        for (const id of [popped, cleared, deleted, replaced]) await store.session(id).addItems(items);
        await store.session(popped).popItem();
        await store.session(popped).popItem();
        await store.session(cleared).clearSession();
        await store.session(replaced).replaceHistoryWithCompaction([]);
        await store.deleteSession(deleted);
        expect(await store.purgeExpired({ after: '30m' })).toMatchObject({ sessions: 1 });
        for (const id of ids) expect(await store.session(id).getItems()).toEqual([]);
      }
      await using store = open();
      for (const id of ids) expect(await store.session(id).getItems()).toEqual([]);
      for (const id of ids) await store.session(id).addItems(items);
      for (const id of ids) expect(await store.session(id).getItems()).toEqual(items);
      expect(await keysOf(deleted)).toHaveLength(2);
    });

    test.each(['a*b', 'plain', 'with {signs} [x]?'])(
      'deletes what it lost the way to, and nothing else (%s)',
      async (name) => {
        const id = uniqueName(name);
        await using store = open();
        await store.session(id).addItems(items);
        await store.session(`${id}x`).addItems(items);
        const tag = `${prefix}:{${encodeURIComponent(id)}}`;
        await admin.del(`${tag}:meta`);
        await using other = open();
        await other.deleteSession(id);
        expect((await admin.keys(`${prefix}:*`)).filter((key) => key.startsWith(`${tag}:`))).toEqual([]);
        expect(await other.session(`${id}x`).getItems()).toEqual(items);
      },
    );

    test('reports every history that was lost when memory was full, as long as its meta key exists', async () => {
      const own = uniqueName('full');
      const options = { prefix: own, allowEviction: true };
      const used = /used_memory:(\d+)/.exec(await admin.info('memory'))?.[1];
      const most = Number(used) + 3_000_000;
      await admin.configSet({ maxmemory: String(most), 'maxmemory-policy': 'allkeys-lru' });
      const ids = Array.from({ length: 400 }, (_, index) => `session-${index}`);
      {
        await using store = openRedis(server.url, options);
        for (const id of ids)
          await store.session(id).addItems([message('x'.repeat(10_000)), message('last')]);
      }
      await admin.configSet({ maxmemory: '0' });
      await using store = openRedis(server.url, options);
      let lostOnes = 0;
      for (const id of ids) {
        const read = await store
          .session(id)
          .getItems()
          .catch((error: unknown) => (error as { code: string }).code);
        const hasMeta = (await admin.exists(`${own}:{${id}}:meta`)) === 1;
        const hasItems = (await admin.keys(`${own}:{${id}}:items:*`)).length > 0;
        const isLost = hasMeta && !hasItems;
        if (isLost) lostOnes++;
        expect(typeof read === 'string' ? read : read.length).toBe(
          isLost ? 'ERR_MALFORMED' : hasMeta ? 2 : 0,
        );
      }
      expect(lostOnes).toBeGreaterThan(0);
    });
  });
});
