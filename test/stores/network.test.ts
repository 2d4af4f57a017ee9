import type { AgentInputItem } from '@openai/agents';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { openMysql } from '../../src/stores/mysql.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { announce, uniqueName } from './servers.ts';
import { OPERATIONS } from '../../src/session-contract.ts';

/** A test that hangs fails after this time; nothing else is decided by it. */
const HANG = 60_000;
/** How long the stores wait whose network does not answer. */
const PATIENCE = 500;

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** What is said of a call: that its connection failed, or that there was no answer in time. */
function failed(factory: string, what: string): RegExp {
  const outcome =
    '( Nothing was written\\.| The call may have been committed: read the history before you repeat it\\.' +
    '| The session itself was changed as requested, so do not repeat an append\\. Listings and purges may miss that ' +
    'until the next write to the session\\.)?';
  return new RegExp(`^${factory}: ${what}\\.${outcome} See the cause\\.$`);
}

// The stores run side by side: most of the time passes in waiting for answers. One proxy is one store's, so its tests follow each other.

/** @param open A store over `url` whose calls wait `timeout` milliseconds. */
function networkFaults(
  factory: string,
  server: () => string,
  open: (url: string, timeout: number) => Store<StoreSession>,
): void {
  let proxy: Proxy;
  beforeAll(async () => {
    proxy = await startProxy(server());
  });
  afterAll(() => proxy.close());
  beforeEach(() => {
    proxy.latency = 0;
    proxy.resume();
  });

  const disconnected = failed(factory, 'the connection to the database failed');
  const late = failed(factory, 'the database did not answer in time');
  const anyhow = new RegExp(`${late.source}|${disconnected.source}`);

  test('stores every operation once, for a cut of its connection at any point', async () => {
    await using store = open(proxy.url, 5_000);
    const session = store.session(uniqueName('cut'));
    await session.addItems([message('before')]);
    const expected = [message('before')];
    const failures: unknown[] = [];
    for (let chunk = 1; chunk <= 12; chunk++) {
      const items = [message(`${chunk} a`), message(`${chunk} b`)];
      proxy.cutAfter(chunk);
      for (let applied = false; !applied;) {
        applied = await append(session, `operation ${chunk}`, items).then(
          () => true,
          (error: unknown) => failures.push(error) < 0,
        );
      }
      proxy.cutAfter(0);
      expected.push(...items);
      expect(await session[OPERATIONS].has(`operation ${chunk}`)).toBe(true);
      expect(await session.getItems()).toEqual(expected);
    }
    expect(failures.length).toBeGreaterThan(0);
    for (const error of failures) {
      expect(error).toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(disconnected) as string,
        cause: expect.any(Error) as Error,
      });
    }
  });

  test.each(['silent', 'cut', 'cut while it closes'] as const)(
    'closes although its idle connections are %s',
    async (how) => {
      const store = open(proxy.url, PATIENCE);
      const session = store.session(uniqueName('close'));
      await vi.waitFor(() => Promise.all([session.getItems(), store.ping(), store.ping()]), {
        timeout: HANG,
      });
      if (how === 'silent') proxy.silence();
      if (how === 'cut') proxy.cut();
      const closing = store.close();
      if (how === 'cut while it closes') proxy.cut();
      await expect(closing).resolves.toBeUndefined();
    },
    HANG,
  );

  test('keeps its promises on a slow network', async () => {
    await using store = open(proxy.url, 5_000);
    const session = store.session(uniqueName('slow'));
    proxy.latency = 20;
    await Promise.all([session.addItems([message('1')]), session.addItems([message('2')])]);
    expect(await session.popItem()).toEqual(message('2'));
    await append(session, 'operation', [message('3')]);
    expect(await session.getItems()).toEqual([message('1'), message('3')]);
  });

  /** The tables are there, and what the short-tempered stores below meet is the network alone. */
  async function before(id: string): Promise<void> {
    await using store = open(server(), 30_000);
    await store.session(id).addItems([message('before')]);
  }

  /** On a machine that is busy even a good answer can come too late; under its id the operation happens once. */
  const goesOn = (session: StoreSession): Promise<void> =>
    vi.waitFor(() => append(session, 'after', [message('after')]), { timeout: HANG, interval: 20 });

  test(
    'fails when there is no answer in time, without another attempt, and works when the database answers again',
    async () => {
      const id = uniqueName('hang');
      await before(id);
      const store = open(proxy.url, PATIENCE);
      const session = store.session(id);
      await vi.waitFor(() => store.ping(), { timeout: HANG });
      proxy.hang();
      const { connections } = proxy;
      const refused = { code: 'ERR_STORE', message: expect.stringMatching(late) as string };
      await expect(session.getItems()).rejects.toMatchObject(refused);
      expect(proxy.connections).toBe(connections);
      const calls = [
        () => session.addItems([message('never')]),
        () => store.session(`${id} pop`).popItem(),
        () => append(store.session(`${id} append`), 'never', [message('never')]),
        () => store.session(`${id} clear`).clearSession(),
        () => store.purgeExpired(),
        () => store.ping(),
      ];
      // Redis has one connection for all: what one call gives up takes the others with it.
      const either = { ...refused, message: expect.stringMatching(anyhow) as string };
      await Promise.all(calls.map((call) => expect(call()).rejects.toMatchObject(either)));
      proxy.resume();
      await goesOn(session);
      await using reader = open(server(), 30_000);
      expect(await reader.session(id).getItems()).toEqual([message('before'), message('after')]);
      proxy.hang();
      await store.close();
    },
    HANG,
  );

  test(
    'replaces a connection that does not answer',
    async () => {
      const id = uniqueName('silent');
      await before(id);
      await using store = open(proxy.url, PATIENCE);
      const session = store.session(id);
      await vi.waitFor(() => store.ping(), { timeout: HANG });
      proxy.silence();
      const refused = { code: 'ERR_STORE', message: expect.stringMatching(late) as string };
      await expect(session.addItems([message('never')])).rejects.toMatchObject(refused);
      await goesOn(session);
      await using reader = open(server(), 30_000);
      expect(await reader.session(id).getItems()).toEqual([message('before'), message('after')]);
    },
    HANG,
  );

  test(
    'leaves no session locked when the network fails in the middle of a transaction',
    async () => {
      const id = uniqueName('locked');
      const kept = message('kept');
      const more = Array.from({ length: 12 }, (_, item) => message(`${item}`));
      await before(id);
      await using reader = open(server(), 30_000);
      const direct = reader.session(id);
      await direct.replaceHistoryWithCompaction([kept, ...more]);
      await using store = open(proxy.url, PATIENCE);
      const session = store.session(id);
      await vi.waitFor(() => session.popItem(), { timeout: HANG });
      for (let chunk = 1; chunk <= 5; chunk++) {
        proxy.silenceAfter(chunk);
        // Not one that waits for a lock as well.
        await session.popItem().catch(() => undefined);
        await direct.popItem();
      }
      expect((await direct.getItems())[0]).toEqual(kept);
    },
    HANG,
  );
}

async function append(session: StoreSession, operationId: string, items: AgentInputItem[]): Promise<void> {
  await session.applyHistoryTransaction({ operationId, transaction: { type: 'append_items', items } });
}

const postgres = await announce('PostgreSQL', 'PostgreSQL over a bad network');
describe.skipIf(postgres.absent).concurrent('PostgreSQL over a bad network', () => {
  const schema = uniqueName('network');
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  describe('one after the other', { concurrent: false }, () => {
    networkFaults(
      'openPostgres',
      () => postgres.url,
      (url, timeout) => openPostgres(url, { schema, timeout, sharePool: false, maxConnections: 2 }),
    );
  });
});

const mariadb = await announce('MariaDB', 'MariaDB over a bad network');
describe.skipIf(mariadb.absent).concurrent('MariaDB over a bad network', () => {
  const prefix = `${uniqueName('network')}_`;
  afterAll(() => dropMysqlTables(mariadb.url, prefix));
  describe('one after the other', { concurrent: false }, () => {
    networkFaults(
      'openMysql',
      () => mariadb.url,
      (url, timeout) => openMysql(url, { prefix, timeout, sharePool: false, maxConnections: 2 }),
    );
  });
});

const redis = await announce('Redis', 'Redis over a bad network');
describe.skipIf(redis.absent).concurrent('Redis over a bad network', () => {
  const prefix = uniqueName('network');
  afterAll(() => deleteRedisKeys(redis.url, prefix));
  describe('one after the other', { concurrent: false }, () => {
    networkFaults(
      'openRedis',
      () => redis.url,
      (url, timeout) => openRedis(url, { prefix, timeout }),
    );
  });
});
