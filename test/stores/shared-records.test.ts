import { DatabaseSync } from 'node:sqlite';
import type { AgentInputItem, Session } from '@openai/agents';
import type { JWK } from 'jose';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient, type RedisClientType } from 'redis';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { memoryDriver } from '../../examples/support/memory-driver.ts';
import { branches } from '../../src/history/index.ts';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  wrapStore,
  type SessionLayer,
} from '../../src/index.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { hold, memoryDekStore, reencrypt, release, rewrap, shred } from '../../src/operations/index.ts';
import { eraseSession, verifyErasure } from '../../src/operations/retention.ts';
import { transfer } from '../../src/operations/transfer.ts';
import { SHARE_RECORDS } from '../../src/session-contract.ts';
import { createStore } from '../../src/stores/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { assistant, user } from '../history/support/random-history.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { openStore } from './open-store.ts';
import { announce, uniqueName } from './servers.ts';

const path = temporaryFolder();
const servers = {
  PostgreSQL: await announce('PostgreSQL', 'shared records'),
  MariaDB: await announce('MariaDB', 'shared records'),
  Redis: await announce('Redis', 'shared records'),
};
const prefix = uniqueName('shared');
let places = 0;

/** A database of its own. */
interface Place {
  readonly open: () => Store<StoreSession>;
  /** How many rows its tables have. */
  readonly rows: () => Promise<number>;
  /** The branch `branch` of `other` begins with the records of this session, by the hand of somebody. */
  readonly move: (to: string) => Promise<unknown>;
  readonly clean: () => Promise<void>;
}

const TABLES = ['sessions', 'items', 'shares', 'operations', 'deks', 'holds', 'leases'];
const count = (table: string): string => `SELECT count(*) AS n FROM ${table}`;

const MOVE = (key: string, to: string): string =>
  `UPDATE ?shares SET high = 9999999999, base = (SELECT ${key} FROM ?sessions WHERE id = '${to}')
   WHERE session = (SELECT ${key} FROM ?sessions WHERE id = '~branch~branch~other')`;

function inFile(): Place {
  const file = path(`place-${++places}.db`);
  const run = (statement: string): unknown[] => {
    const database = new DatabaseSync(file);
    try {
      return database.prepare(statement.replaceAll('?', 'strongroom_')).all();
    } finally {
      database.close();
    }
  };
  return {
    open: () => openSqlite(file),
    rows: () =>
      Promise.resolve(
        TABLES.reduce((sum, table) => sum + (run(count(`?${table}`))[0] as { n: number }).n, 0),
      ),
    move: (to) => Promise.resolve(run(MOVE('key', to))),
    clean: () => Promise.resolve(),
  };
}

function inPostgres(url: string): Place {
  const schema = `${prefix}_${++places}`;
  const run = async (statement: string): Promise<{ n: string }[]> => {
    const client = new Client(url);
    await client.connect();
    try {
      return (await client.query(statement.replaceAll('?', `${schema}.strongroom_`))).rows as { n: string }[];
    } finally {
      await client.end();
    }
  };
  return {
    open: () => openStore(url, schema),
    async rows() {
      let sum = 0;
      for (const table of TABLES) sum += Number((await run(count(`?${table}`)))[0]?.n);
      return sum;
    },
    move: (to) => run(MOVE('number', to)),
    clean: () => dropPostgresSchema(url, schema),
  };
}

function inMysql(url: string): Place {
  const name = `${prefix}_${++places}`;
  const run = async (statement: string): Promise<{ n: string }[]> => {
    const client = await createConnection(url);
    try {
      return (await client.query(statement.replaceAll('?', `${name}_`)))[0] as unknown as { n: string }[];
    } finally {
      await client.end();
    }
  };
  return {
    open: () => openStore(url, name),
    async rows() {
      let sum = 0;
      for (const table of TABLES) sum += Number((await run(count(`?${table}`)))[0]?.n);
      return sum;
    },
    move: (to) => run(MOVE('number', to)),
    clean: () => dropMysqlTables(url, `${name}_`),
  };
}

/** Elements of lists, and fields of hashes. */
const ELEMENTS = `local sum = 0
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'list' then sum = sum + redis.call('LLEN', key)
  elseif kind == 'hash' then sum = sum + redis.call('HLEN', key)
  elseif kind == 'zset' then sum = sum + redis.call('ZCARD', key)
  else sum = sum + 1 end
end
return sum`;

function inRedis(url: string): Place {
  const name = `${prefix}-${++places}`;
  const using = async <T>(work: (client: RedisClientType) => Promise<T>): Promise<T> => {
    const client = createClient({ url }) as RedisClientType;
    await client.connect();
    try {
      return await work(client);
    } finally {
      client.destroy();
    }
  };
  return {
    open: () => openStore(url, name),
    rows: () =>
      using(async (client) => Number(await client.eval(ELEMENTS, { keys: [], arguments: [`${name}:*`] }))),
    move: (to) =>
      using(async (client) => {
        const branch = `${name}:{${encodeURIComponent('~branch~branch~other')}}`;
        const list = `${branch}:items:${await client.hGet(`${branch}:meta`, 'list')}`;
        const marker = (await client.lIndex(list, 0)) ?? '';
        await client.lSet(list, 0, marker.replace(/[^\n]*$/, to));
        await client.hSet(`${name}:{${encodeURIComponent(to)}}:meta`, '>~branch~branch~other', '1');
      }),
    clean: () => deleteRedisKeys(url, name),
  };
}

const KINDS = [
  { kind: 'SQLite', absent: false, make: inFile },
  {
    kind: 'PostgreSQL',
    absent: servers.PostgreSQL.absent,
    make: (): Place => inPostgres(servers.PostgreSQL.url),
  },
  { kind: 'Redis', absent: servers.Redis.absent, make: (): Place => inRedis(servers.Redis.url) },
  { kind: 'MariaDB', absent: servers.MariaDB.absent, make: (): Place => inMysql(servers.MariaDB.url) },
];

let keys: Keyring;
beforeAll(async () => {
  keys = keyring({ current: await generateKey() });
});

/** Counts the entries that are opened below it. */
function counter(): { readonly layer: SessionLayer; readonly opened: () => number } {
  let count = 0;
  return {
    layer: {
      name: 'counter',
      reads: 'view',
      read: (entries) => {
        count += entries.length;
        return entries;
      },
    },
    opened: () => count,
  };
}

const long = Array.from({ length: 10_000 }, (_, index): AgentInputItem =>
  index % 2 === 0 ? user(`question ${index}`) : assistant(`answer ${index}`),
);

describe.each(KINDS)('a branch of a conversation of 10,000 items, in $kind', ({ absent, make }) => {
  let place: Place;
  beforeEach(() => {
    place = make();
  });
  afterEach(() => place.clean());

  it.skipIf(absent)(
    'costs less than 50 rows, and opens no item when it begins with all of them',
    async () => {
      const { layer, opened } = counter();
      await using store = place.open();
      const stack = wrapStore(store, [layer, expire({ after: '30d' }), encrypt({ keys })]);
      await stack.session('chat').addItems([...long]);
      const before = await place.rows();
      const branch = await branches(stack, 'chat').create('retry');
      expect((await place.rows()) - before).toBeLessThan(50);
      expect(opened()).toBe(0);
      await branch.addItems([user('again')]);
      expect(await branch.getItems(3)).toEqual([...long.slice(-2), user('again')]);
      expect(await stack.session('chat').getItems(2)).toEqual(long.slice(-2));
    },
    60_000,
  );

  it.skipIf(absent)(
    'copies no row when it begins with a part of them, and few when their end is removed',
    async () => {
      await using store = place.open();
      const session = store.session('chat');
      const items = long.slice(0, 2_000);
      await session.addItems([...items]);
      const before = await place.rows();
      const tree = branches(store, 'chat');
      const branch = await tree.create('earlier', { turn: 800 });
      const whole = await tree.create('whole');
      expect((await place.rows()) - before).toBeLessThan(50);
      expect(await branch.getItems(2)).toEqual(items.slice(1_596, 1_598));
      const placed = await hold(store, { sessionId: 'chat', reason: 'a claim' });
      expect((await place.rows()) - before).toBeLessThan(50);
      await release(store, placed.id);
      for (let item = 0; item < 4; item++) await session.popItem();
      await branch.popItem();
      expect((await place.rows()) - before).toBeLessThan(50);
      expect(await branch.getItems(1)).toEqual(items.slice(1_596, 1_597));
      expect(await whole.getItems(5)).toEqual(items.slice(-5));
      // Who removes what others share from the beginning pays for it.
      await session.clearSession();
      expect(await place.rows()).toBeGreaterThan(before + 1_000);
      expect(await whole.getItems()).toEqual(items);
      expect(await branch.getItems(1)).toEqual(items.slice(1_596, 1_597));
    },
    60_000,
  );
});

describe.each(KINDS)('what a branch begins with, in $kind', ({ absent, make }) => {
  let place: Place;
  beforeEach(() => {
    place = make();
  });
  afterEach(() => place.clean());

  it.skipIf(absent).each(['branch', 'twig'])(
    'is refused when somebody made a circle of it, and the rest goes on (to %s)',
    async (to) => {
      await using store = wrapStore(place.open(), [encrypt({ keys })]);
      const main = store.session('other');
      await main.addItems([user('one')]);
      const tree = branches(store, 'other');
      const branch = await tree.create('branch');
      await branch.addItems([user('two')]);
      const twig = await tree.create('twig', { from: 'branch' });
      await twig.addItems([user('three')]);
      await place.move(`~branch~${to}~other`);
      const refused = {
        code: 'ERR_MALFORMED',
        message: expect.stringMatching(
          /what session "~branch~(branch|twig)~other" begins with is damaged: it refers to itself/,
        ) as string,
      };
      await expect(branch.getItems()).rejects.toMatchObject(refused);
      await expect(branch.getItems(1)).rejects.toMatchObject(refused);
      await expect(branch.popItem()).rejects.toMatchObject(refused);
      await expect(twig.getItems()).rejects.toMatchObject(
        to === 'twig' ? refused : { code: 'ERR_MALFORMED' },
      );
      expect(await main.getItems()).toEqual([user('one')]);
      const listed: string[] = [];
      for await (const { id } of store.sessions({ derived: true })) listed.push(id);
      expect(listed).toContain('~branch~branch~other');
      expect(await store.purgeExpired({ after: '10d' })).toEqual({ items: 0, sessions: 0 });
      await store.deleteSession('other');
      expect(await main.getItems()).toEqual([]);
      expect(await tree.session('twig').getItems()).toEqual([]);
    },
  );

  it.skipIf(absent)(
    'becomes its own where branches of branches would refer to more than 100 sessions',
    async () => {
      await using store = place.open();
      const expected = [user('main')];
      let from = store.session('chat');
      await from.addItems([...expected]);
      for (let depth = 1; depth <= 105; depth++) {
        const to = `~branch~b${depth}~chat`;
        await from[SHARE_RECORDS]?.({ to, operationId: `share ${depth}` });
        from = store.session(to, { derived: true });
        await from.addItems([user(String(depth))]);
        expected.push(user(String(depth)));
      }
      expect(await from.getItems()).toEqual(expected);
      expect(await from.getItems(2)).toEqual(expected.slice(-2));
      await from.popItem();
      expect(await from.getItems()).toEqual(expected.slice(0, -1));
      await store.session('chat').clearSession();
      expect(await from.getItems()).toEqual(expected.slice(0, -1));
    },
    60_000,
  );
});

interface Family {
  readonly store: Store;
  readonly main: Session;
  readonly branch: Session;
  readonly twig: Session;
}

const parts = {
  main: [user('one'), assistant('first')],
  branch: [user('two')],
  twig: [user('three')],
};
const all = {
  main: parts.main,
  branch: [...parts.main, ...parts.branch],
  twig: [...parts.main, ...parts.branch, ...parts.twig],
};

async function family(open: () => Store<StoreSession>, options: object = {}): Promise<Family> {
  const store = wrapStore(open(), [cache({ maxItems: 100 }), encrypt({ keys, ...options })]);
  const main = store.session('chat');
  await main.addItems([...parts.main]);
  const tree = branches(store, 'chat');
  const branch = await tree.create('branch');
  await branch.addItems([...parts.branch]);
  const twig = await tree.create('twig', { from: 'branch' });
  await twig.addItems([...parts.twig]);
  return { store, main, branch, twig };
}

/** As another process reads it, with nothing in a cache. */
async function fresh(
  open: () => Store<StoreSession>,
  options: object = {},
): Promise<Record<string, AgentInputItem[]>> {
  await using store = wrapStore(open(), [encrypt({ keys, ...options })]);
  const tree = branches(store, 'chat');
  return {
    main: await store.session('chat').getItems(),
    branch: await tree.session('branch').getItems(),
    twig: await tree.session('twig').getItems(),
  };
}

// MariaDB has the statements of PostgreSQL.
const DIFFERENT = KINDS.filter(({ kind, absent }) => !absent && kind !== 'MariaDB');

describe.each(DIFFERENT)('a record that two histories share, in $kind', ({ make }) => {
  const made: { store?: Store }[] = [];
  let place: Place;
  const familyIn = async (at: Place, options: object = {}): Promise<Family> => {
    const one = await family(at.open, options);
    made.push(one);
    return one;
  };
  beforeEach(() => {
    place = make();
  });
  afterEach(async () => {
    for (const { store } of made.splice(0)) await store?.close();
    await place.clean();
  });

  it.each(['main', 'branch', 'twig'] as const)('is sealed anew for each when %s is', async (name) => {
    const made = await familyIn(place);
    const report = await reencrypt(made[name], { grace: 0 });
    expect(report).toMatchObject({ sessions: 1, shredded: 0, held: [] });
    expect(await fresh(place.open)).toEqual(all);
    // No key that is left out opens anything: the rest of them seals the rest.
    expect(await reencrypt(made.store, { grace: 0 })).toMatchObject({ sessions: 3, shredded: 0 });
    expect(await fresh(place.open)).toEqual(all);
  });

  it('is reached once by a rewrap', async () => {
    const old = await generateKey();
    const keyringOf = (...previous: JWK[]): { keys: Keyring } => ({
      keys: keyring({ current: next, previous }),
    });
    const next = await generateKey();
    await familyIn(place, { keys: keyring({ current: old }) });
    await using store = wrapStore(place.open(), [encrypt(keyringOf(old))]);
    // One data key for each session that wrote something: the records are sealed under these, whoever has them.
    expect(await rewrap(store)).toMatchObject({ examined: 3, rewrapped: 3, failed: 0 });
    expect(await fresh(place.open, keyringOf())).toEqual(all);
  });

  describe.each([
    { where: 'in the store', options: (): object => ({}) },
    { where: 'elsewhere', options: (): object => ({ dekStore: memoryDekStore() }) },
  ])('with data keys $where', ({ options }) => {
    it('stays readable where it is shared when one of them is shredded, and is unreadable when all are', async () => {
      const given = options();
      const { main, branch, twig } = await familyIn(place, given);
      await shred(branch);
      expect(await fresh(place.open, given)).toEqual({ ...all, branch: [] });
      await twig.addItems([user('four')]);
      await shred(twig);
      expect(await fresh(place.open, given)).toEqual({ ...all, branch: [], twig: [] });
      const receipt = await shred(main);
      expect(receipt.rowsCleared).toBe(true);
      expect(await fresh(place.open, given)).toEqual({ main: [], branch: [], twig: [] });
    });

    it('stays readable when the branch that it came from is erased, and goes with the conversation', async () => {
      const given = options();
      const { store, branch, twig } = await familyIn(place, given);
      const id = await branch.getSessionId();
      const of = await eraseSession(store, id, { derived: true });
      // The twig shares a record of the branch.
      expect(of).toMatchObject({ orphans: [], needed: [{ sessionId: id, count: 1 }] });
      expect(await verifyErasure(store, of)).toEqual([]);
      expect(await fresh(place.open, given)).toEqual({ ...all, branch: [] });
      await eraseSession(store, await twig.getSessionId(), { derived: true });
      // Now nothing needs it, and only its own store of keys can still have it.
      const rest = 'dekStore' in given ? [{ sessionId: id, kind: 'branch', what: 'key', count: 1 }] : [];
      expect(await verifyErasure(store, of)).toEqual(rest);
      expect(await eraseSession(store, id, { derived: true })).toMatchObject({ orphans: [] });
      expect(await verifyErasure(store, of)).toEqual([]);
      const report = await eraseSession(store, 'chat');
      expect(report.orphans).toEqual([]);
      expect(report).not.toHaveProperty('needed');
      expect(await fresh(place.open, given)).toEqual({ main: [], branch: [], twig: [] });
    });

    it('does not excuse a key of the conversation that came back with a branch', async () => {
      const { store } = await familyIn(place, options());
      const erased = {
        type: 'strongroom/erasure' as const,
        version: 1 as const,
        at: Date.now() + 60_000,
        sessions: [{ id: 'chat', kind: 'conversation', records: 1, keys: [] }],
        kinds: {},
        held: [],
        orphans: [],
        notReached: [],
      };
      const found = await verifyErasure(store, erased);
      expect(found).toContainEqual({ sessionId: 'chat', kind: 'conversation', what: 'key', count: 1 });
    });
  });

  it('opens in another store, also when the branch that it came from is gone', async () => {
    const { store } = await familyIn(place);
    await branches(store, 'chat').delete('branch');
    const elsewhere = make();
    await using from = place.open();
    await using target = elsewhere.open();
    await transfer(from, target);
    expect(await fresh(elsewhere.open)).toEqual({ ...all, branch: [] });
    expect(await transfer(from, target)).toMatchObject({ items: 0 });
    await elsewhere.clean();
  });

  it('goes to a store that cannot share as a record of its own, sealed ones after reencrypt()', async () => {
    const { store, twig } = await familyIn(place);
    await using from = place.open();
    await using target = createStore(memoryDriver(new Map()));
    await expect(transfer(from, target)).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringContaining('Run reencrypt() over the source first'),
    });
    await reencrypt(store, { grace: 0 });
    await using empty = createStore(memoryDriver(new Map()));
    await transfer(from, empty);
    const seen = wrapStore(empty, [encrypt({ keys })]);
    expect(await branches(seen, 'chat').session('twig').getItems()).toEqual(all.twig);
    expect(await twig.getItems()).toEqual(all.twig);
  });

  it('is not opened where the database moved it to, outside of its conversation', async () => {
    const { store } = await familyIn(place);
    await store.session('other').addItems([user('mine')]);
    await branches(store, 'other').create('branch');
    await place.move('chat');
    await using seen = wrapStore(place.open(), [encrypt({ keys })]);
    await expect(branches(seen, 'other').session('branch').getItems()).rejects.toMatchObject({
      code: 'ERR_AUTHENTICATION',
      message: expect.stringContaining('it was moved from another conversation'),
    });
  });

  it('does not become the beginning of a branch that has items', async () => {
    await using store = place.open();
    const session = store.session('chat');
    await session.addItems([...parts.main]);
    const branch = store.session('~branch~b~chat', { derived: true });
    await branch.addItems([user('before')]);
    const share = { to: '~branch~b~chat', operationId: 'op' };
    await expect(session[SHARE_RECORDS]?.(share)).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('has items already'),
      written: 'no',
    });
    expect(await branch.getItems()).toEqual([user('before')]);
    await branch.clearSession();
    await session[SHARE_RECORDS]?.(share);
    await session[SHARE_RECORDS]?.(share);
    expect(await branch.getItems()).toEqual(parts.main);
  });
});

const ROUTES = [
  ['SQLite', 'PostgreSQL'],
  ['PostgreSQL', 'Redis'],
  ['Redis', 'SQLite'],
  ['SQLite', 'SQLite'],
].map(([from, to]) => {
  const [one, other] = [from, to].map((name) => KINDS.find(({ kind }) => kind === name));
  if (one === undefined || other === undefined) throw new Error('There is no such kind.');
  return { from: one, to: other, name: `${one.kind} to ${other.kind}`, absent: one.absent || other.absent };
});

describe.each(ROUTES)('a transfer of a conversation with three branches, $name', ({ from, to, absent }) => {
  const items = long.slice(0, 1_000);
  const added = long.slice(1_000, 1_200);
  let source: Place;
  let target: Place;
  beforeEach(() => {
    source = from.make();
    target = to.make();
  });
  afterEach(async () => {
    await source.clean();
    await target.clean();
  });

  /** The twig begins with the branch 'z', which comes after it in the order of the ids. */
  async function fill(stack: Store): Promise<Record<string, AgentInputItem[]>> {
    await stack.session('chat').addItems([...items]);
    const tree = branches(stack, 'chat');
    const whole = await tree.create('z');
    await whole.addItems([...added]);
    const twig = await tree.create('twig', { from: 'z' });
    await twig.addItems([user('of the twig')]);
    const early = await tree.create('early', { turn: 301 });
    await early.addItems([user('of the early one')]);
    return {
      chat: items,
      z: [...items, ...added],
      twig: [...items, ...added, user('of the twig')],
      early: [...items.slice(0, 600), user('of the early one')],
    };
  }

  async function read(stack: Store): Promise<Record<string, AgentInputItem[]>> {
    const found: Record<string, AgentInputItem[]> = { chat: await stack.session('chat').getItems() };
    const tree = branches(stack, 'chat');
    for (const name of ['z', 'twig', 'early']) found[name] = await tree.session(name).getItems();
    return found;
  }

  /** Ends a transfer after the branch 'z', and between the beginning of the twig and the records of its own. */
  async function begin(one: Store<StoreSession>, other: Store<StoreSession>): Promise<void> {
    const controller = new AbortController();
    const cut = transfer(one, other, {
      signal: controller.signal,
      onProgress: ({ id }) => {
        if (id === '~branch~z~chat') controller.abort();
      },
    });
    await expect(cut).rejects.toMatchObject({ name: 'AbortError' });
    const base = other.session('~branch~z~chat', { derived: true });
    await base[SHARE_RECORDS]?.({ to: '~branch~twig~chat', operationId: 'begun' });
  }

  it.skipIf(absent).each([
    { sealed: true, ended: true },
    { sealed: true, ended: false },
    { sealed: false, ended: false },
  ])(
    'writes each record once, and again none (sealed: $sealed, ended and repeated: $ended)',
    async ({ sealed, ended }) => {
      await using one = source.open();
      await using other = target.open();
      const stackOf = (store: Store): Store => (sealed ? wrapStore(store, [encrypt({ keys })]) : store);
      const histories = await fill(stackOf(one));
      if (ended) await begin(one, other);
      const report = await transfer(one, other);
      expect(report).toMatchObject({ derived: { branch: 3 } });
      expect(report.items).toBeLessThan(ended ? 20 : 1_220);
      expect(await transfer(one, other)).toMatchObject({ items: 0 });
      expect(await target.rows()).toBeLessThan(1_300);
      expect(await read(stackOf(other))).toEqual(histories);
      // What the conversation in the target loses stays in the branches.
      await other.session('chat').clearSession();
      expect(await read(stackOf(other))).toEqual({ ...histories, chat: [] });
    },
    60_000,
  );

  it.skipIf(absent)(
    'brings a branch under a hold, which keeps it',
    async () => {
      await using one = source.open();
      await using other = target.open();
      const histories = await fill(wrapStore(one, [encrypt({ keys })]));
      await hold(one, { sessionId: '~branch~twig~chat', reason: 'a claim' });
      await transfer(one, other);
      const stack = wrapStore(other, [encrypt({ keys })]);
      await stack.session('chat').clearSession();
      expect(await read(stack)).toEqual({ ...histories, chat: [] });
      const twig = branches(stack, 'chat').session('twig');
      await expect(twig.clearSession()).rejects.toMatchObject({ code: 'ERR_HELD' });
    },
    60_000,
  );
});
