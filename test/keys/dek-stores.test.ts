import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { existsSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { DatabaseSync } from 'node:sqlite';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';
import type { DekDatabase, DekRecord, DekStore } from '../../src/keys/dek-store.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import {
  checkKeys,
  hold,
  memoryDekStore,
  release,
  sessionDekStore,
  shred,
  sqliteDekStore,
} from '../../src/operations/index.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { mysqlDekStore } from '../../src/stores/mysql.ts';
import { postgresDekStore } from '../../src/stores/postgres.ts';
import { redisDekStore } from '../../src/stores/redis.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from '../stores/cleaning.ts';
import { announce, uniqueName } from '../stores/servers.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { coded, failure } from '../crypto/failure.ts';
import { DEK_STORE } from '../../src/session-contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-deks-'));
afterAll(() => rm(folder, { recursive: true }));
let files = 0;
const file = (): string => join(folder, `${++files}.db`);
const clock = (): number => 5_000;

function sessions<S extends Session>(make: (id: string) => S): (id: string) => S {
  const made = new Map<string, S>();
  return (id) => {
    const session = made.get(id) ?? make(id);
    made.set(id, session);
    return session;
  };
}

/** A session with the five members of the interface only. */
function plainSession(id: string): Session {
  const inner = new MemorySession({ sessionId: id });
  return {
    getSessionId: () => inner.getSessionId(),
    getItems: (limit) => inner.getItems(limit),
    addItems: (items) => inner.addItems(items),
    popItem: () => inner.popItem(),
    clearSession: () => inner.clearSession(),
  };
}

const stores: Record<string, () => DekStore> = {
  memoryDekStore: () => memoryDekStore({ clock }),
  sqliteDekStore: () => sqliteDekStore(file(), { clock }),
  'sessionDekStore over transactions': () =>
    sessionDekStore(
      sessions((id) => new MemorySession({ sessionId: id })),
      { clock, sessionIds: () => ['s', 't'] },
    ),
  'sessionDekStore over a plain session': () =>
    sessionDekStore(sessions(plainSession), { clock, sessionIds: () => ['s', 't'] }),
  'the own table of the SQLite store': () => openSqlite(file(), { clock }).session('any')[DEK_STORE],
};

const postgres = await announce('PostgreSQL', 'postgresDekStore');
const mysql = await announce('MariaDB', 'mysqlDekStore');
const redis = await announce('Redis', 'redisDekStore');
const opened: DekDatabase[] = [];
const cleanings: (() => Promise<void>)[] = [];
/** Of this test alone. */
function networked(
  make: (name: string) => DekDatabase,
  clean: (name: string) => Promise<void>,
): () => DekDatabase {
  return () => {
    const name = uniqueName('w2_deks');
    cleanings.push(() => clean(name));
    const store = make(name);
    opened.push(store);
    return store;
  };
}
afterAll(async () => {
  await Promise.all(opened.map((store) => store.close()));
  await Promise.all(cleanings.map((clean) => clean()));
});

const networkedStores: Record<string, () => DekDatabase> = {
  ...(!postgres.absent && {
    postgresDekStore: networked(
      (schema) => postgresDekStore(postgres.url, { schema, clock }),
      (schema) => dropPostgresSchema(postgres.url, schema),
    ),
  }),
  ...(!mysql.absent && {
    mysqlDekStore: networked(
      (name) => mysqlDekStore(mysql.url, { prefix: `${name}_`, clock }),
      (name) => dropMysqlTables(mysql.url, `${name}_`),
    ),
  }),
  ...(!redis.absent && {
    redisDekStore: networked(
      (prefix) => redisDekStore(redis.url, { prefix, clock }),
      (prefix) => deleteRedisKeys(redis.url, prefix),
    ),
  }),
};
Object.assign(stores, networkedStores);

const dek = (sessionId: string, did: string, more: Partial<DekRecord> = {}): DekRecord => ({
  sessionId,
  did,
  kid: 'k1',
  wrapped: `wrapped-${did}`,
  createdAt: 1,
  ...more,
});

async function collect(store: DekStore, filter?: Parameters<DekStore['list']>[0]): Promise<DekRecord[]> {
  const found: DekRecord[] = [];
  for await (const record of store.list(filter)) found.push(record);
  return found.sort((one, other) => (one.sessionId + one.did < other.sessionId + other.did ? -1 : 1));
}

describe.each(Object.entries(stores))('%s', (name, make) => {
  it('stores a data key once, and keeps sessions apart', async () => {
    const store = make();
    expect(await store.put(dek('s', 'a'))).toBe(true);
    expect(await store.put(dek('s', 'a', { wrapped: 'other' }))).toBe(false);
    expect(await store.put(dek('t', 'a'))).toBe(true);
    expect(await store.get('s', 'a')).toEqual(dek('s', 'a'));
    expect(await store.get('s', 'b')).toBeUndefined();
    expect(await store.get('u', 'a')).toBeUndefined();
  });

  it('lists live keys by session and by key-encryption key', async () => {
    const store = make();
    const all = [dek('s', 'a'), dek('s', 'b', { kid: 'k2' }), dek('t', 'c')];
    for (const record of all) await store.put(record);
    expect(await collect(store)).toEqual(all);
    expect(await collect(store, { sessionId: 's' })).toEqual(all.slice(0, 2));
    expect(await collect(store, { kid: 'k1' })).toEqual([all[0], all[2]]);
    expect(await collect(store, { sessionId: 's', kid: 'k2' })).toEqual([all[1]]);
  });

  it('replaces a wrapped key only if it still is the expected one', async () => {
    const store = make();
    await store.put(dek('s', 'a'));
    const next = { wrapped: 'new', kid: 'k2' };
    expect(await store.replaceWrapped('s', 'a', 'something else', next)).toBe(false);
    expect(await store.replaceWrapped('s', 'a', 'wrapped-a', next)).toBe(true);
    expect(await store.replaceWrapped('s', 'a', 'wrapped-a', { wrapped: 'late', kid: 'k3' })).toBe(false);
    expect(await store.replaceWrapped('s', 'b', 'wrapped-b', next)).toBe(false);
    expect(await store.get('s', 'a')).toEqual(dek('s', 'a', next));
  });

  it('lets one of several concurrent replacements win', async () => {
    const store = make();
    await store.put(dek('s', 'a'));
    const results = await Promise.all(
      ['x', 'y', 'z'].map(async (wrapped) =>
        store.replaceWrapped('s', 'a', 'wrapped-a', { wrapped, kid: wrapped }),
      ),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(await store.get('s', 'a')).toMatchObject({ wrapped: ['x', 'y', 'z'][results.indexOf(true)] });
  });

  it('destroys all keys of a session, leaves tombstones, and never restores one', async () => {
    const store = make();
    await store.put(dek('s', 'a'));
    await store.put(dek('s', 'b'));
    await store.put(dek('t', 'a'));
    const tombstones = [...(await store.destroy('s'))].sort((one, other) => (one.did < other.did ? -1 : 1));
    expect(tombstones).toEqual([
      { sessionId: 's', did: 'a', destroyedAt: 5_000 },
      { sessionId: 's', did: 'b', destroyedAt: 5_000 },
    ]);
    expect(await store.get('s', 'a')).toEqual(tombstones[0]);
    expect(await store.put(dek('s', 'a'))).toBe(false);
    expect(await store.replaceWrapped('s', 'a', 'wrapped-a', { wrapped: 'new', kid: 'k' })).toBe(false);
    expect(await collect(store)).toEqual([dek('t', 'a')]);
    expect(await store.destroy('s')).toHaveLength(2);
    expect(await store.destroy('u')).toEqual([]);
  });

  it('destroys one key of several, or throws', async () => {
    const store = make();
    await store.put(dek('s', 'a'));
    await store.put(dek('s', 'b'));
    const supported = name !== 'sessionDekStore over a plain session';
    const outcome = supported ? await store.destroy('s', 'a') : await failure(() => store.destroy('s', 'a'));
    expect(outcome).toEqual(
      supported
        ? [{ sessionId: 's', did: 'a', destroyedAt: 5_000 }]
        : coded('ERR_UNSUPPORTED', /cannot destroy one of several data keys/),
    );
    expect(await store.get('s', 'b')).toEqual(dek('s', 'b'));
  });
});

describe.each(['memoryDekStore', 'sqliteDekStore', ...Object.keys(networkedStores)])(
  'holds of %s',
  (name) => {
    it("prevent the destruction of a session's keys until they are released, and stay as a record", async () => {
      const store = stores[name]?.() as DekStore;
      const holds = store.holds as NonNullable<DekStore['holds']>;
      await store.put(dek('s', 'a'));
      await store.put(dek('t', 'a'));
      const hold = { id: 'h1', sessionId: 's', reason: 'case 7', placedAt: 1, placedBy: 'counsel' };
      expect(await holds.place(hold)).toBe(true);
      expect(await holds.place({ ...hold, sessionId: 't' })).toBe(false);
      expect(await failure(() => store.destroy('s'))).toEqual(
        coded('ERR_HELD', /"s" is under the hold "h1"/),
      );
      expect(await failure(() => store.destroy('s', 'a'))).toEqual(
        coded('ERR_HELD', /Release the hold first/),
      );
      expect(await store.destroy('t')).toHaveLength(1);
      expect(await holds.list({ open: true })).toEqual([hold]);
      const released = { ...hold, releasedAt: 9, releasedBy: 'judge' };
      expect(await holds.release('h1', 9, 'judge')).toEqual(released);
      expect(await holds.release('h1', 10)).toEqual(released);
      expect(await holds.release('h2', 10)).toBeUndefined();
      expect(await holds.list({ sessionId: 's' })).toEqual([released]);
      expect(await holds.list({ open: true })).toEqual([]);
      expect(await store.destroy('s')).toHaveLength(1);
    });
  },
);

describe.each(Object.keys(networkedStores))('%s', (name) => {
  it('serves items of another database, erases them in every copy, and is closed', async () => {
    const dekStore = networkedStores[name]?.() as DekDatabase;
    const keys = keyring({ current: await generateKey() });
    const inner = new MemorySession({ sessionId: 'u' });
    const wrapped = (): Session => wrapSession(inner, [encrypt({ keys, dekStore })]);
    await wrapped().addItems([{ role: 'user', content: 'hello' }]);
    const copy = await inner.getItems();
    expect(await wrapped().getItems()).toMatchObject([{ content: 'hello' }]);
    expect(await checkKeys(dekStore, { keys })).toEqual([{ kid: keys.current, dataKeys: 1, sessions: 1 }]);
    const held = await hold(dekStore, { sessionId: 'u', reason: 'case 7' });
    expect(await failure(() => shred(wrapped()))).toEqual(coded('ERR_HELD', /"u" is under the hold/));
    await release(dekStore, held.id);
    expect((await shred(wrapped())).keys).toHaveLength(1);
    await inner.addItems(copy);
    expect(await wrapSession(inner, [encrypt({ keys, dekStore })]).getItems()).toEqual([]);
    await dekStore.close();
    expect(await failure(() => dekStore.get('u', 'x'))).toEqual(coded('ERR_CLOSED', /was closed/));
  });

  it('is not opened with options of a store of items', async () => {
    const make = { postgresDekStore, mysqlDekStore, redisDekStore }[name] as (
      url: string,
      options: object,
    ) => DekDatabase;
    expect(await failure(() => make('x://y', { operationLog: 5 }))).toEqual(
      coded('ERR_INVALID_OPTION', new RegExp(`^${name}: unknown option "operationLog"`)),
    );
  });
});

describe('an edited tombstone', () => {
  const wrap = (inner: Session, dekStore: DekStore, keys: Keyring): Session =>
    wrapSession(inner, [encrypt({ keys, dekStore })]);
  type Edited = () => Promise<{ dekStore: DekStore; edit: (time: string) => Promise<void> }>;
  const edits: Record<string, Edited> = {
    async sqliteDekStore() {
      const path = file();
      return {
        dekStore: sqliteDekStore(path),
        async edit(time) {
          const database = new DatabaseSync(path);
          database.exec(`UPDATE strongroom_deks SET destroyed_at = ${time}`);
          database.close();
        },
      };
    },
    ...(!postgres.absent && {
      async postgresDekStore() {
        const schema = uniqueName('w2_deks');
        cleanings.push(() => dropPostgresSchema(postgres.url, schema));
        const dekStore = postgresDekStore(postgres.url, { schema });
        opened.push(dekStore);
        return {
          dekStore,
          async edit(time) {
            const client = new Client(postgres.url);
            await client.connect();
            await client.query(`UPDATE ${schema}.strongroom_deks SET destroyed_at = ${time}`);
            await client.end();
          },
        };
      },
    }),
    ...(!mysql.absent && {
      async mysqlDekStore() {
        const prefix = uniqueName('w2_deks');
        cleanings.push(() => dropMysqlTables(mysql.url, `${prefix}_`));
        const dekStore = mysqlDekStore(mysql.url, { prefix: `${prefix}_` });
        opened.push(dekStore);
        return {
          dekStore,
          async edit(time) {
            const connection = await createConnection(mysql.url);
            await connection.query(`UPDATE ${prefix}_deks SET destroyed_at = ${time}`);
            await connection.end();
          },
        };
      },
    }),
    ...(!redis.absent && {
      async redisDekStore() {
        const prefix = uniqueName('w2_deks');
        cleanings.push(() => deleteRedisKeys(redis.url, prefix));
        const dekStore = redisDekStore(redis.url, { prefix });
        opened.push(dekStore);
        return {
          dekStore,
          async edit(time) {
            const client = createClient({ url: redis.url });
            await client.connect();
            const key = `${prefix}:{u}:deks`;
            for (const did of await client.hKeys(key)) await client.hSet(key, did, `!${time}`);
            await client.close();
          },
        };
      },
    }),
    async sessionDekStore() {
      const inner = new MemorySession();
      return {
        dekStore: sessionDekStore(() => inner),
        async edit(time) {
          const [item] = await inner.getItems();
          const [{ text = '' } = {}] = (item as { content: { text?: string }[] }).content;
          const log = Buffer.from(text.slice('sr1-deks.'.length), 'base64url').toString();
          const edited = log.replace(/"destroyedAt":\d+/, `"destroyedAt":${time}`);
          await inner.clearSession();
          const changed = `sr1-deks.${Buffer.from(edited).toString('base64url')}`;
          await inner.addItems([
            { type: 'message', role: 'user', content: [{ type: 'input_text', text: changed }] },
          ]);
        },
      };
    },
  };

  it.each(
    Object.keys(edits).flatMap((name) =>
      ['8640000000000001', '9223372036854775807'].map((time) => [name, time] as const),
    ),
  )('in %s to the time %s is damaged, and what it destroyed stays so', async (name, time) => {
    const { dekStore, edit } = await (edits[name] as Edited)();
    const keys = keyring({ current: await generateKey() });
    const inner = new MemorySession({ sessionId: 'u' });
    await wrap(inner, dekStore, keys).addItems([{ role: 'user', content: 'hello' }]);
    await dekStore.destroy('u');
    await edit(time);
    const refused = await failure(() => wrap(inner, dekStore, keys).getItems());
    expect(refused).toEqual(
      coded('ERR_MALFORMED', /The tombstone of a data key of session "u" has no time, so it was edited/),
    );
    expect(refused).toMatchObject({ dataLost: true });
    await (dekStore as Partial<DekDatabase>).close?.();
  });
});

describe('sqliteDekStore', () => {
  it('keeps what it acknowledged in its file, also for another process', async () => {
    const path = file();
    const writer = sqliteDekStore(path, { clock });
    await writer.put(dek('s', 'a'));
    await using reader = sqliteDekStore(path, { clock });
    expect(await reader.get('s', 'a')).toEqual(dek('s', 'a'));
    await writer.destroy('s');
    await writer.close();
    await writer.close();
    expect(await reader.get('s', 'a')).toMatchObject({ destroyedAt: 5_000 });
    expect(await failure(() => writer.get('s', 'a'))).toEqual(coded('ERR_CLOSED', /closed/));
  });

  it('checks its options', async () => {
    expect(await failure(() => sqliteDekStore(''))).toEqual(coded('ERR_INVALID_OPTION', /path must be/));
    expect(await failure(() => sqliteDekStore('x', { mode: 1 } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /unknown option "mode"/),
    );
  });
});

describe('sessionDekStore', () => {
  it('refuses a session that holds anything else', async () => {
    const session = new MemorySession();
    await session.addItems([{ role: 'user', content: 'hello' }]);
    const store = sessionDekStore(() => session);
    expect(await failure(() => store.get('s', 'a'))).toEqual(coded('ERR_MALFORMED', /key session of "s"/));
  });

  it('cannot enumerate sessions without their ids', async () => {
    const store = sessionDekStore(sessions(plainSession));
    expect(await failure(() => collect(store))).toEqual(coded('ERR_UNSUPPORTED', /cannot list sessions/));
  });
});

describe('memoryDekStore', () => {
  it('keeps the fields of a record and no reference to the argument', async () => {
    const store = memoryDekStore({ clock: () => 5_000.9 });
    const record = { ...dek('s', 'a'), more: 1 };
    await store.put(record);
    expect(await store.get('s', 'a')).toEqual(dek('s', 'a'));
    const hold = { id: 'h', sessionId: 't', reason: 'r', placedAt: 1 };
    await store.holds?.place(hold);
    hold.sessionId = 's';
    expect(await store.destroy('s')).toEqual([{ sessionId: 's', did: 'a', destroyedAt: 5_000 }]);
  });

  it('distinguishes open holds from released ones', async () => {
    const { holds } = memoryDekStore();
    await holds?.place({ id: 'h', sessionId: 's', reason: 'r', placedAt: 1 });
    await holds?.place({ id: 'i', sessionId: 't', reason: 'r', placedAt: 2 });
    expect(await holds?.release('h', 9)).toEqual({
      id: 'h',
      sessionId: 's',
      reason: 'r',
      placedAt: 1,
      releasedAt: 9,
    });
    expect((await holds?.list({ open: false }))?.map(({ id }) => id)).toEqual(['h']);
    expect((await holds?.list({ open: true }))?.map(({ id }) => id)).toEqual(['i']);
    expect((await holds?.list())?.map(({ id }) => id)).toEqual(['h', 'i']);
  });

  it('returns an existing tombstone with its time', async () => {
    let now = 1;
    const store = memoryDekStore({ clock: () => now });
    await store.put(dek('s', 'a'));
    await store.destroy('s');
    now = 2;
    expect(await store.destroy('s')).toEqual([{ sessionId: 's', did: 'a', destroyedAt: 1 }]);
  });

  it('checks its options, and has the time of the machine by default', async () => {
    expect(await failure(() => memoryDekStore({ clock: 5 } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /^memoryDekStore: clock must be a function that returns Unix milliseconds/),
    );
    expect(await failure(() => memoryDekStore({ path: 'x' } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /^memoryDekStore: unknown option "path"/),
    );
    const store = memoryDekStore();
    await store.put(dek('s', 'a'));
    const [tombstone] = await store.destroy('s');
    expect(Math.abs((tombstone?.destroyedAt ?? 0) - Date.now())).toBeLessThan(60_000);
  });
});

describe('the file of sqliteDekStore', () => {
  it.each([[undefined], [''], ['a\0b'], [1]])('has a name that is not %j', async (path) => {
    expect(await failure(() => sqliteDekStore(path as string))).toEqual(
      coded('ERR_INVALID_OPTION', /^sqliteDekStore: path must be the name of a file, or ':memory:'/),
    );
  });

  it('is opened by the first call, and by none after close', async () => {
    const path = file();
    const store = sqliteDekStore(path);
    expect(existsSync(path)).toBe(false);
    await store.close();
    expect(await failure(() => store.put(dek('s', 'a')))).toEqual(
      coded('ERR_CLOSED', /^This DEK store \(sqliteDekStore\) was closed\. Open it again/),
    );
    expect(existsSync(path)).toBe(false);
    {
      await using disposed = sqliteDekStore(path, { busyTimeout: '1s' });
      await disposed.put(dek('s', 'a'));
      expect(await disposed.holds.list()).toEqual([]);
    }
    const again = sqliteDekStore(path, { clock: () => 7.9 });
    expect(await again.destroy('s')).toEqual([{ sessionId: 's', did: 'a', destroyedAt: 7 }]);
    await again.close();
  });

  it('is not opened with options that are wrong', async () => {
    expect(await failure(() => sqliteDekStore('x', { clock: 1 } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /^sqliteDekStore: clock must be a function that returns Unix milliseconds/),
    );
    expect(await failure(() => sqliteDekStore('x', { busyTimeout: 'soon' } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /^sqliteDekStore: busyTimeout/),
    );
  });
});

describe('the log of sessionDekStore', () => {
  const entry = (value: unknown): AgentInputItem => ({
    type: 'message',
    role: 'user',
    content: [
      { type: 'input_text', text: `sr1-deks.${Buffer.from(JSON.stringify(value)).toString('base64url')}` },
    ],
  });

  it('is in a separate session beside each session, and starts with a name', async () => {
    const asked: string[] = [];
    const session = new MemorySession();
    const store = sessionDekStore((id) => {
      asked.push(id);
      return session;
    });
    await store.put(dek('s', 'a'));
    expect(new Set(asked)).toEqual(new Set(['~keys~~s']));
    const { sessionId: _, ...put } = dek('s', 'a');
    expect(await session.getItems()).toEqual([entry({ put })]);
  });

  it.each<[string, unknown]>([
    ['text as content', { type: 'message', role: 'user', content: 'sr1-deks.e30' }],
    ['no content', { type: 'function_call' }],
    ['another beginning', { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'e30' }] }],
    ['no text', { type: 'message', role: 'user', content: [{ type: 'input_text' }] }],
    [
      'no base64url',
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'sr1-deks.*' }] },
    ],
    ['null', entry(null)],
    ['a number', entry(1)],
    ['no body', entry({})],
    ['a body without did', entry({ put: {} })],
  ])('has no entry with %s', async (_, item) => {
    const session = { getItems: async () => [item] } as unknown as Session;
    expect(await failure(() => sessionDekStore(() => session).get('s', 'a'))).toEqual(
      coded(
        'ERR_MALFORMED',
        /^The key session of "s" holds an item that sessionDekStore did not write\. Give it a session of its own\.$/,
      ),
    );
  });

  it('lets the first of two writers of one data key win, and both learn it', async () => {
    const session = new MemorySession();
    const stores = [sessionDekStore(() => session), sessionDekStore(() => session)] as const;
    const records = [dek('s', 'a'), dek('s', 'a', { wrapped: 'other' })] as const;
    const results = await Promise.all(
      stores.map(async (store, index) => store.put(records[index] as DekRecord)),
    );
    expect(results).toEqual([true, false]);
    expect(await session.getItems()).toHaveLength(2);
    expect(await stores[1].get('s', 'a')).toEqual(dek('s', 'a'));
  });

  it('is unchanged when there is nothing to destroy, and cleared when all keys are destroyed', async () => {
    const session = plainSession('x');
    const store = sessionDekStore(() => session, { clock: () => 5.9 });
    expect(await store.destroy('s')).toEqual([]);
    expect(await session.getItems()).toEqual([]);
    await store.put(dek('s', 'a'));
    const tombstones = [{ sessionId: 's', did: 'a', destroyedAt: 5 }];
    expect(await store.destroy('s', 'b')).toEqual([]);
    expect(await store.destroy('s', 'a')).toEqual(tombstones);
    expect(await session.getItems()).toEqual([entry({ destroy: { did: 'a', destroyedAt: 5 } })]);
    expect(await store.destroy('s')).toEqual(tombstones);
    expect(await session.getItems()).toHaveLength(1);
  });

  it('is replaced in one transaction where the session has transactions', async () => {
    const session = new MemorySession();
    const store = sessionDekStore(() => session, { clock });
    await store.put(dek('s', 'a'));
    await store.put(dek('s', 'b'));
    const clearing = vi.spyOn(session, 'clearSession');
    await store.destroy('s', 'a');
    expect(clearing).not.toHaveBeenCalled();
    const { sessionId: _, ...kept } = dek('s', 'b');
    expect(await session.getItems()).toEqual([
      entry({ put: kept }),
      entry({ destroy: { did: 'a', destroyedAt: 5_000 } }),
    ]);
  });

  it('is read with valid options only', async () => {
    expect(await failure(() => sessionDekStore('s' as never))).toEqual(
      coded('ERR_INVALID_OPTION', /^sessionDekStore: factory must be a function that returns a session/),
    );
    expect(await failure(() => sessionDekStore(() => new MemorySession(), { ids: [] } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /^sessionDekStore: unknown option "ids"/),
    );
    const store = sessionDekStore(() => new MemorySession());
    expect(await failure(() => collect(store))).toEqual(
      coded('ERR_UNSUPPORTED', /Pass a session id, or give sessionDekStore the option `sessionIds`\.$/),
    );
  });
});
