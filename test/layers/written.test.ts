import type { AgentInputItem } from '@openai/agents';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isStrongroomError, StrongroomError } from '../../src/errors.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import type { Layers, SessionLayer } from '../../src/layer.ts';
import { resilient } from '../../src/layers/resilient.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from '../stores/cleaning.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { startProxy, type Proxy } from '../stores/proxy.ts';
import { announce, uniqueName, type ServerName } from '../stores/servers.ts';

// What an error says of the change that failed, and what resilient() does with it.

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** How often each call got to what is behind it, and what that was answered with. */
function watching(act: (failures: readonly unknown[]) => Promise<void> | void = () => undefined) {
  const failures: unknown[] = [];
  let attempts = 0;
  const layer: SessionLayer = {
    name: 'watching',
    async around(_call, next) {
      attempts++;
      try {
        return await next();
      } catch (error) {
        failures.push(error);
        await act(failures);
        throw error;
      }
    },
  };
  return { layer, failures, attempts: () => attempts };
}

const BARE: Layers = [];
const SEALED = (): Layers => [encrypt({ keys: fixedKeyring() })];

interface Kind {
  readonly name: ServerName;
  readonly open: (url: string, name: string, timeout?: number) => Store<StoreSession>;
  readonly clean: (url: string, name: string) => Promise<unknown>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'PostgreSQL',
    open: (url, schema, timeout = 30_000) =>
      openPostgres(url, { schema, timeout, sharePool: false, maxConnections: 2 }),
    clean: dropPostgresSchema,
  },
  {
    name: 'MariaDB',
    open: (url, name, timeout = 30_000) =>
      openMysql(url, { prefix: `${name}_`, timeout, sharePool: false, maxConnections: 2 }),
    clean: (url, name) => dropMysqlTables(url, `${name}_`),
  },
  {
    name: 'Redis',
    // It waits for a server that refuses as long as a call lasts.
    open: (url, prefix, timeout = 1_000) => openRedis(url, { prefix, timeout }),
    clean: deleteRedisKeys,
  },
];

for (const { name: server, open, clean } of KINDS) {
  const { absent, url } = await announce(server, `what errors of ${server} say of a change`);
  describe.skipIf(absent)(`an append to ${server}`, () => {
    const name = uniqueName('written');
    let proxy: Proxy;
    beforeAll(async () => {
      proxy = await startProxy(url);
      await using store = open(url, name, 30_000);
      await store.session('before').addItems([message('before')]);
    });
    afterAll(async () => {
      await proxy.close();
      await clean(url, name);
    });
    beforeEach(() => proxy.cutAfter(0));

    const stored = async (id: string): Promise<number> => {
      await using store = open(url, name, 30_000);
      return (await store.session(id).getItems()).length;
    };

    test.each([
      ['items as they are', () => BARE],
      ['sealed items', SEALED],
    ])('of %s that the server refuses is repeated until it does not', async (_, layers) => {
      for (const warm of [false, true]) {
        const id = uniqueName('refused');
        await using store = open(proxy.url, name);
        const { layer, failures } = watching(async ({ length }) => {
          if (length === 2) await proxy.accept();
        });
        const session = wrapSession(store.session(id), [
          resilient({ retries: 5, delay: 1 }),
          layer,
          ...layers(),
        ]);
        if (warm) await session.addItems([message('warm')]);
        proxy.refuse();
        proxy.cut();
        // A driver learns of it a moment later: what it sends before that may have arrived.
        if (warm) await store.ping().catch(() => undefined);
        await session.addItems([message('one'), message('two')]);
        for (const error of failures) {
          expect(error).toMatchObject({
            code: 'ERR_STORE',
            written: 'no',
            message: expect.stringContaining('Nothing was written.') as string,
          });
        }
        expect(failures).toHaveLength(2);
        expect(await stored(id)).toBe(warm ? 3 : 2);
      }
    });

    test('whose answer is lost says so, and is not repeated', async () => {
      const id = uniqueName('lost');
      await using store = open(proxy.url, name, 30_000);
      const { layer, attempts } = watching();
      const session = wrapSession(store.session(id), [resilient({ retries: 5, delay: 1 }), layer]);
      // Twice: by now every statement of an append is prepared.
      await session.addItems([message('one')]);
      await session.addItems([message('two')]);
      proxy.cutAfter(1);
      await expect(session.addItems([message('three')])).rejects.toMatchObject({
        code: 'ERR_STORE',
        written: 'unknown',
        message: expect.stringContaining('may have been committed: read the history') as string,
      });
      expect(attempts()).toBe(3);
      // The server has it, and can take a moment to commit it.
      await expect.poll(() => stored(id), { timeout: 10_000 }).toBe(3);
    });
  });
}

describe('an append to SQLite', () => {
  const file = temporaryFolder();
  test('to a file that cannot be opened says that nothing was written', async () => {
    await using store = openSqlite(file('missing/folder/x.db'));
    const { layer, attempts } = watching();
    const session = wrapSession(store.session('s'), [resilient({ retries: 3, delay: 1 }), layer]);
    await expect(session.addItems([message('one')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      written: 'no',
      message: expect.stringContaining('Nothing was written.') as string,
    });
    expect(attempts()).toBe(4);
  });
});

describe('an append that fails before anything was sent to the session', () => {
  test('says that nothing was written, and is repeated', async () => {
    let failing = 2;
    const keys = fixedKeyring();
    const flaky: typeof keys = {
      ...keys,
      async wrap(...args) {
        if (failing-- > 0)
          throw new StrongroomError('ERR_KEY_UNAVAILABLE', 'The key service does not answer.');
        return await keys.wrap(...args);
      },
    };
    const { layer, failures } = watching();
    const file = temporaryFolder();
    await using store = openSqlite(file('kms.db'));
    const session = wrapSession(store.session('s'), [
      resilient({ delay: 1 }),
      layer,
      encrypt({ keys: flaky }),
    ]);
    await session.addItems([message('one')]);
    expect(failures.map((error) => isStrongroomError(error) && error.written)).toEqual(['no', 'no']);
    expect(await session.getItems()).toEqual([message('one')]);
  });

  test('is not repeated once it was acknowledged, whatever a layer says then', async () => {
    await using store = openSqlite(':memory:');
    const late: SessionLayer = {
      name: 'late',
      async around(_call, next) {
        await next();
        throw new StrongroomError('ERR_STORE', 'The store of the log refused.', { written: 'no' });
      },
    };
    const session = wrapSession(store.session('s'), [resilient({ delay: 1 }), late]);
    await expect(session.addItems([message('one')])).rejects.toMatchObject({ code: 'ERR_STORE' });
    expect(await store.session('s').getItems()).toEqual([message('one')]);
  });
});
