import type { PGlite } from '@electric-sql/pglite';
import type { AgentInputItem } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { cache } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import type { VersionSource } from '../../src/layer.ts';
import { expire } from '../../src/layers/expire.ts';
import { historyDigest } from '../../src/protocol/digest.ts';
import { memoryDriver } from '../../examples/support/memory-driver.ts';
import { createStore } from '../../src/stores/index.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { sessionContract } from '../../src/testing/session-contract.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { dropPostgresSchema, dropMysqlTables, deleteRedisKeys } from './cleaning.ts';
import { emptyPGlite } from './empty-pglite.ts';
import { temporaryFolder } from './folder.ts';
import { announce, uniqueName } from './servers.ts';
import { VERSION } from '../../src/session-contract.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** Every store with the whole stack of layers around it. */
function suite(open: (clock: () => number) => Store<StoreSession>): void {
  const key = generateKey();
  let opened: Store<StoreSession>[] = [];
  const stack = async (clock = fakeClock(Date.now())) => {
    const store = open(clock);
    opened.push(store);
    const keys = keyring({ current: await key });
    const layers = [expire({ after: '30d', clock }), cache({ maxItems: 1_000 }), encrypt({ keys })];
    return { store, clock, sessions: wrapStore(store, layers), keys };
  };
  afterAll(async () => {
    await Promise.all(opened.map((store) => store.close()));
    opened = [];
  });

  let number = 0;
  const ids: string[] = [];
  const freshId = (): string => {
    ids.push(uniqueName(`stack-${number++}`));
    return ids.at(-1) as string;
  };
  afterAll(async () => {
    const { store } = await stack();
    for (const id of ids) await store.deleteSession(id);
    await store.close();
  });

  sessionContract({ describe, test }, { open: async () => (await stack()).sessions.session(freshId()) });

  test('shows two stacks over one database the same history, and nothing of it to the database', async () => {
    const [one, two] = [await stack(), await stack()];
    const id = freshId();
    await one.sessions.session(id).addItems([message('from one: bob@example.org')]);
    await two.sessions.session(id).addItems([message('from two')]);
    const expected = [message('from one: bob@example.org'), message('from two')];
    expect(await one.sessions.session(id).getItems()).toEqual(expected);
    expect(await two.sessions.session(id).getItems()).toEqual(expected);
    const raw = JSON.stringify(await one.store.session(id).getItems());
    expect(raw).not.toContain('example.org');
    expect(raw.split('sr1.')).toHaveLength(3);
  });

  test('sees at once a change of another process in the middle of a cached history, made without a stack', async () => {
    const [one, two] = [await stack(), await stack()];
    const id = freshId();
    const items = Array.from({ length: 6 }, (_, n) => message(`item ${n}`));
    await one.sessions.session(id).addItems(items);
    expect(await one.sessions.session(id).getItems()).toEqual(items);
    const raw = two.store.session(id);
    const records = await raw.getItems();
    await raw.replacePrefix({
      count: 2,
      digest: historyDigest(records.slice(0, 2)),
      replacement: [],
      operationId: 'cut',
    });
    expect(await one.sessions.session(id).getItems()).toEqual(items.slice(2));
    await one.sessions.session(id).addItems([message('own')]);
    await raw.replaceHistoryWithCompaction(
      await raw.getItems().then((now) => [...now.slice(0, 1), ...now.slice(2)]),
    );
    expect(await one.sessions.session(id).getItems()).toEqual([items[2], ...items.slice(4), message('own')]);
  });

  test('sees items that another process appended during the query, even if it appended as many itself', async () => {
    const [one, two] = [await stack(), await stack()];
    const id = freshId();
    const raw = one.store.session(id);
    const source = raw[VERSION];
    // The answer to the question comes late: after an append of this process, which is not in it.
    let meanwhile: (() => Promise<void>) | undefined;
    const answered = async <T>(answer: T | Promise<T>): Promise<T> => {
      const value = await answer;
      const act = meanwhile;
      meanwhile = undefined;
      await act?.();
      return value;
    };
    const late = Object.assign(Object.create(raw) as StoreSession, {
      [VERSION]: {
        known: () => undefined,
        read: () => answered(source.read()),
        compare: (version, steps) => answered(source.compare(version, steps)),
        stepOf: (record) => source.stepOf(record),
      } satisfies VersionSource,
    });
    const session = wrapSession(late, [cache({ maxItems: 100 }), encrypt({ keys: one.keys })]);
    await session.addItems([message('first')]);
    await session.getItems();
    const foreign = wrapSession(two.store.session(id), [encrypt({ keys: one.keys })]);
    await foreign.addItems([message('foreign')]);
    meanwhile = () => session.addItems([message('own')]);
    expect(await session.getItems()).toContainEqual(message('foreign'));
    expect(await session.getItems()).toEqual(['first', 'foreign', 'own'].map(message));
  });

  test('seals under a new key after the session was deleted by another process', async () => {
    const [one, two] = [await stack(), await stack()];
    const id = freshId();
    await one.sessions.session(id).addItems([message('before')]);
    await two.sessions.deleteSession(id);
    await one.sessions.session(id).addItems([message('after')]);
    expect(await two.sessions.session(id).getItems()).toEqual([message('after')]);
    expect(await one.sessions.session(id).getItems()).toEqual([message('after')]);
  });

  test('purges items that expired by expire(), without a key', async () => {
    const { sessions, store, clock } = await stack();
    const id = freshId();
    await sessions.session(id).addItems([message('old')]);
    clock.advance('20d');
    await sessions.session(id).addItems([message('young')]);
    clock.advance('11d');
    expect(await sessions.session(id).getItems()).toEqual([message('young')]);
    expect(await store.session(id).getItems()).toHaveLength(2);
    await store.purgeExpired({ maxAhead: 'any' });
    expect(await store.session(id).getItems()).toHaveLength(1);
    expect(await sessions.session(id).getItems()).toEqual([message('young')]);
  });

  test('appends to many sealed sessions in one call', async () => {
    const { sessions, store } = await stack();
    const batches = Array.from({ length: 12 }, (_, n) => ({ id: freshId(), items: [message(`to ${n}`)] }));
    await sessions.appendMany?.(batches);
    for (const { id, items } of batches) {
      expect(await sessions.session(id).getItems()).toEqual(items);
      expect(JSON.stringify(await store.session(id).getItems())).toContain('sr1.');
    }
  });
}

describe('the full stack on SQLite', () => {
  const file = temporaryFolder();
  suite((clock) => openSqlite(file('stack.db'), { clock }));
});

describe('the full stack on a driver of the user', () => {
  const table = new Map<string, Uint8Array>();
  suite((clock) => createStore(memoryDriver(table), { clock }));
});

describe('the full stack on PGlite', () => {
  let database: PGlite;
  beforeAll(async () => {
    database = await emptyPGlite();
  }, 60_000);
  afterAll(() => database.close());
  suite((clock) => openPostgres({ pool: database }, { clock }));
});

const postgres = await announce('PostgreSQL', 'the full stack on PostgreSQL');
describe.skipIf(postgres.absent)('the full stack on PostgreSQL', () => {
  const schema = uniqueName('stack');
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  suite((clock) => openPostgres(postgres.url, { schema, clock }));
});

const mariadb = await announce('MariaDB', 'the full stack on MariaDB');
describe.skipIf(mariadb.absent)('the full stack on MariaDB', () => {
  const prefix = `${uniqueName('stack')}_`;
  afterAll(() => dropMysqlTables(mariadb.url, prefix));
  suite((clock) => openMysql(mariadb.url, { prefix, clock }));
});

const redis = await announce('Redis', 'the full stack on Redis');
describe.skipIf(redis.absent)('the full stack on Redis', () => {
  const prefix = uniqueName('stack');
  afterAll(() => deleteRedisKeys(redis.url, prefix));
  suite((clock) => openRedis(redis.url, { prefix, clock }));
});
