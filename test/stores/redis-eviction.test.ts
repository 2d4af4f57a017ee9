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
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { uniqueName } from './servers.ts';

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

  test('says nothing of a policy without a limit, and warns of one that only takes leases', async () => {
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
      'openRedis: the server writes nothing to a disk (appendonly no, no save points), so all histories are gone when it ' +
        'ends. Set appendonly to yes.',
    ]);
  });

  test('says that it cannot be told where the user may not ask', async () => {
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
      'openRedis: it cannot be told whether the server evicts keys, because it refuses INFO. Set maxmemory-policy to ' +
        'noeviction: else histories disappear when its memory is full.',
    ]);
  });
});
