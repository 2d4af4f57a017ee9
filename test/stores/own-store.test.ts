import type { AgentInputItem, SessionHistoryTransactionArgs } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { memoryDriver } from '../../examples/support/memory-driver.ts';
import { createStore, type KeyValueDriver, type SessionSummary } from '../../src/stores/index.ts';
import { keyValueDriver } from '../../src/stores/key-value/driver.ts';
import { derivedId } from '../../src/derived-id.ts';
import { page } from '../../src/history/index.ts';
import { LEASES, MAINTENANCE, OPERATIONS, RECORDS } from '../../src/session-contract.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { storeContract, type StoreContractOptions } from '../../src/testing/store-contract.ts';
import { numbered, textOf } from '../../src/testing/store-bench.ts';
import { slowDriver } from '../support/slow-driver.ts';
import { rounds } from '../support/soak.ts';
import { bySession, contradiction, type Call, type Operation } from './linear.ts';
import { randomFrom } from './linear-histories.ts';

type Table = Map<string, Uint8Array>;

/** The checks of the contract, to be run by hand. */
function contractChecks(options: StoreContractOptions): ReadonlyMap<string, () => Promise<void>> {
  const checks = new Map<string, () => Promise<void>>();
  storeContract(
    {
      describe: (_, declare) => declare(),
      test: (name, check) => void checks.set(name, async () => await check()),
    },
    options,
  );
  return checks;
}

describe('a store over a driver with late and reordered answers', () => {
  const random = randomFrom(7);
  const table: Table = new Map();
  storeContract({ describe, test }, { open: () => createStore(slowDriver(memoryDriver(table), { random })) });
});

describe('calls that overlap in every way', () => {
  /** One random call of one client, as the checker of linear histories wants it. */
  async function call(session: StoreSession, random: () => number, fresh: () => string): Promise<Operation> {
    const items = (texts: readonly string[]): AgentInputItem[] => texts.flatMap((text) => numbered(text, 1));
    const texts = (list: readonly AgentInputItem[]): string[] =>
      list.map((item) => textOf(item).slice(0, -2));
    const some = [fresh(), fresh()];
    switch (Math.floor(random() * 7)) {
      case 0:
        await session.clearSession();
        return { kind: 'clear' };
      case 1: {
        const popped = await session.popItem();
        return { kind: 'pop', popped: popped === undefined ? null : (texts([popped])[0] as string) };
      }
      case 2: {
        const id = fresh();
        const transaction = { type: 'append_items', items: items(some) } as const;
        await session.applyHistoryTransaction({ operationId: id, transaction });
        return { kind: 'append', id, items: some };
      }
      case 3: {
        const [id, expected] = [fresh(), texts(await session.getItems(1))];
        const transaction = {
          type: 'replace_suffix',
          expectedSuffix: items(expected),
          replacement: items(some),
        } as const;
        const conflict = await session.applyHistoryTransaction({ operationId: id, transaction }).then(
          () => false,
          (error: { code?: string }) => {
            if (error.code !== 'ERR_CONFLICT') throw error;
            return true;
          },
        );
        return { kind: 'replace', id, expected, items: some, conflict };
      }
      case 4: {
        const limit = 1 + Math.floor(random() * 5);
        return { kind: 'read', limit, items: texts(await session.getItems(limit)) };
      }
      default:
        await session.addItems(items(some));
        return { kind: 'add', items: some };
    }
  }

  test.each(Array.from({ length: rounds(6, 200) }, (_, seed) => seed + 1))(
    'have an order that explains all results (seed %i)',
    async (seed) => {
      const random = randomFrom(seed);
      const table: Table = new Map();
      const stores = [1, 2].map(() => createStore(slowDriver(memoryDriver(table), { random })));
      let next = 0;
      const fresh = (): string => `t${next++}`;
      const calls: Call[] = [];
      await Promise.all(
        [0, 1, 2, 3].map(async (client) => {
          const session = stores[client % 2]?.session('s') as StoreSession;
          for (let number = 0; number < 20; number++) {
            const began = performance.now();
            const operation = await call(session, random, fresh);
            calls.push({ session: 's', began, ended: performance.now(), operation });
          }
        }),
      );
      expect(contradiction(bySession(calls).get('s') ?? [])).toBeUndefined();
    },
  );
});

describe('a database that fails in the middle', () => {
  test('leaves the state that the error states, and no part of a call', async () => {
    const random = randomFrom(11);
    const table: Table = new Map();
    const open = (failures: number) => createStore(slowDriver(memoryDriver(table), { random, failures }));
    const stores = [open(0.1), open(0.1)];
    const outcomes = new Map<string, string>();
    await Promise.all(
      [0, 1, 2, 3].map(async (client) => {
        const session = stores[client % 2]?.session('s', { subject: 'ada' }) as StoreSession;
        for (let number = 0; number < 25; number++) {
          const name = `${client}/${number}`;
          const added = session.addItems(numbered(name, 3)).then(
            () => 'yes',
            (error: { code: string; written: string; message: string; cause: Error }) => {
              expect(error).toMatchObject({
                code: 'ERR_STORE',
                cause: { message: 'The connection was lost.' },
              });
              expect(error.message).toMatch(/^slowDriver: the database failed to (read|commit)\./);
              return error.written;
            },
          );
          outcomes.set(name, await added);
        }
      }),
    );
    const whole = open(0);
    const texts = (await whole.session('s').getItems()).map(textOf);
    for (const [name, outcome] of outcomes) {
      const at = texts.indexOf(`${name} 0`);
      const expected = { yes: [true], no: [false], unknown: [true, false] }[outcome];
      expect(expected, `${name}: ${outcome}`).toContain(at >= 0);
      expect(at < 0 ? numbered(name, 3).map(textOf) : texts.slice(at, at + 3)).toEqual(
        numbered(name, 3).map(textOf),
      );
    }
    expect(new Set(texts).size).toBe(texts.length);
    expect(new Set(outcomes.values())).toEqual(new Set(['yes', 'no', 'unknown']));
    const summaries: SessionSummary[] = [];
    for await (const summary of whole.sessions({ subject: 'ada' })) summaries.push(summary);
    expect(summaries).toMatchObject([{ id: 's', items: texts.length }]);
    await whole.deleteSession('s');
    expect([...table.keys()]).toEqual(['version']);
  });
});

describe('a store over a driver', () => {
  test('calls it as often as the page says', async () => {
    const calls: string[] = [];
    const driver = memoryDriver();
    const session = createStore({
      ...driver,
      get: (keys) => (calls.push('get'), driver.get(keys)),
      list: (range) => (calls.push('list'), driver.list(range)),
      commit: (commit) => (calls.push('commit'), driver.commit(commit)),
    }).session('s');
    const during = async (work: () => Promise<unknown>): Promise<string> => {
      calls.length = 0;
      await work();
      return calls.join(' ');
    };
    expect(await during(() => session.addItems(numbered('first', 1)))).toBe('get commit get commit');
    expect(await during(() => session.addItems(numbered('item', 5)))).toBe('get commit');
    expect(await during(() => session.getItems())).toBe('list');
    expect(await during(() => session.popItem())).toBe('get list commit');
    const transaction = {
      type: 'replace_suffix',
      expectedSuffix: numbered('item', 4),
      replacement: numbered('other', 6),
    } as const;
    expect(await during(() => session.applyHistoryTransaction({ operationId: 'one', transaction }))).toBe(
      'get list commit',
    );
    expect(await during(() => session.clearSession())).toBe('get list list list commit');
  });

  test('returns no error that is based on outdated data', async () => {
    const table: Table = new Map();
    const items = numbered('item', 2);
    const other = createStore(memoryDriver(table)).session('s');
    await other.addItems(items);
    const transaction: SessionHistoryTransactionArgs['transaction'] = {
      type: 'replace_suffix',
      expectedSuffix: items,
      replacement: [],
    };
    const driver = memoryDriver(table);
    let isFirst = true;
    const store = createStore({
      ...driver,
      async list(range) {
        // After the operation log was read, and before the items are.
        if (isFirst) await other.applyHistoryTransaction({ operationId: 'one', transaction });
        isFirst = false;
        return await driver.list(range);
      },
    });
    await store.session('s').applyHistoryTransaction({ operationId: 'one', transaction });
    expect(await other.getItems()).toEqual([]);
  });

  test('fails when other writers are always faster', async () => {
    const driver = memoryDriver();
    let commits = 0;
    const store = createStore({
      ...driver,
      commit: (commit) => (commits++ === 0 ? driver.commit(commit) : Promise.resolve(false)),
    });
    await expect(store.session('s').addItems(numbered('item', 1))).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      written: 'no',
      message:
        'Other writers changed session "s" 200 times in a row, or the driver refuses a commit although nothing that it expects has changed. Nothing was changed; try again.',
    });
    expect(commits).toBe(201);
  });

  test('fails at its first call, whichever it is, over a driver that refuses every commit', async () => {
    const newTable: Table = new Map();
    const oldTable: Table = new Map();
    const branch = derivedId({ kind: 'branch', of: 's', name: 'x' });
    await createStore(memoryDriver(oldTable))
      .session(branch, { derived: true })
      .addItems(numbered('item', 1));
    oldTable.set('version', Buffer.from('1'));
    const stores = (): Store[] =>
      [newTable, oldTable].map((table) =>
        createStore({ ...memoryDriver(table), commit: () => Promise.resolve(false) }),
      );
    const calls: readonly ((store: Store) => Promise<unknown>)[] = [
      (store) => store.session('s').getItems(),
      (store) => store.session('s').addItems(numbered('item', 1)),
      (store) => store.session('s').popItem(),
      (store) => store.session('s').clearSession(),
      (store) => store.deleteSession('s'),
      (store) => store.purgeExpired(),
      (store) => store.sessions()[Symbol.asyncIterator]().next(),
    ];
    const results = await Promise.allSettled(calls.flatMap((call) => stores().map(call)));
    for (const result of results) {
      expect(result).toMatchObject({
        reason: {
          code: 'ERR_CONFLICT',
          message: expect.stringContaining('the driver refuses a commit although nothing') as string,
        },
      });
    }
  });

  test('remembers as many operations as the option says', async () => {
    const table: Table = new Map();
    const session = createStore(memoryDriver(table), { operationLog: 2 }).session('s');
    for (const operationId of ['one', 'two', 'three']) {
      await session.applyHistoryTransaction({
        operationId,
        transaction: { type: 'append_items', items: [] },
      });
    }
    const known = await Promise.all(['one', 'two', 'three'].map((name) => session[OPERATIONS].has(name)));
    expect(known).toEqual([false, true, true]);
    expect([...table.keys()].filter((key) => /^(operation|applied)/.test(key))).toHaveLength(4);
  });

  test('moves later records to the end when there are not enough numbers in the middle', async () => {
    const driver = memoryDriver();
    const history = keyValueDriver(driver, { operationLog: 1, now: () => 0, hasOwnClock: true });
    const store = createStore(driver);
    await store.session('s').addItems(numbered('item', 5));
    const [record] = await history.read('s', 1);
    await history.change('s', { records: 4 }, () => ({
      remove: { start: 0, count: 1 },
      insert: Array.from({ length: 3 }, () => ({ ...record!, body: JSON.stringify(numbered('new', 1)[0]) })),
    }));
    const texts = (await store.session('s').getItems()).map(textOf);
    expect(texts).toEqual(['item 0', 'new 0', 'new 0', 'new 0', 'item 2', 'item 3', 'item 4']);
  });

  test('reads nothing twice to write more records in the middle', async () => {
    const driver = memoryDriver();
    let lists = 0;
    const list: KeyValueDriver['list'] = (range) => (lists++, driver.list(range));
    const history = keyValueDriver({ ...driver, list }, { operationLog: 1, now: () => 0, hasOwnClock: true });
    await createStore(driver).session('s').addItems(numbered('item', 5));
    await history.change('s', { records: 'all' }, ({ records }) => ({
      remove: { start: 1, count: 1 },
      insert: [records[1]!, records[1]!],
    }));
    expect(lists).toBe(1);
  });

  test('finds the derived sessions of a conversation in a table of the first version', async () => {
    const table: Table = new Map();
    const branch = derivedId({ kind: 'branch', of: 's', name: 'x' });
    await createStore(memoryDriver(table)).session(branch, { derived: true }).addItems(numbered('item', 1));
    for (const key of table.keys()) if (key.startsWith('tree/')) table.delete(key);
    table.set('version', Buffer.from('1'));
    const stores = [createStore(memoryDriver(table)), createStore(memoryDriver(table))];
    expect(await Promise.all(stores.map(async (store) => store[MAINTENANCE]?.tree('s')))).toEqual([
      [branch],
      [branch],
    ]);
    expect(String(table.get('version'))).toBe('2');
  });

  test.each([
    ['a table of a newer version', JSON.stringify(99), 'ERR_UNSUPPORTED', 'schema version 99'],
    ['a table that others use', 'not JSON {', 'ERR_MALFORMED', 'A value of the database is damaged'],
  ])('refuses %s', async (_, version, code, message) => {
    const table: Table = new Map([['version', Buffer.from(version)]]);
    const session = createStore(memoryDriver(table)).session('s');
    const adding = session.addItems(numbered('item', 1));
    await expect(adding).rejects.toMatchObject({ code, message: expect.stringContaining(message) as string });
    expect([...table.keys()]).toEqual(['version']);
  });

  test('says that a value is damaged, without quoting it', async () => {
    const table: Table = new Map();
    const session = createStore(memoryDriver(table)).session('s');
    await session.addItems(numbered('secret', 1));
    const key = [...table.keys()].find((name) => name.startsWith('item/')) as string;
    for (const value of ['', 'secret', '[]\nsecret', '[1,2,3,4,5,6]\nsecret', '{"secret"\n']) {
      table.set(key, Buffer.from(value));
      const error: unknown = await session.getItems().catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        code: 'ERR_MALFORMED',
        message: expect.stringMatching(/^A record of session "s" is damaged/) as string,
      });
      expect(String(error)).not.toContain('secret');
    }
  });

  test.each([
    [undefined, 'createStore: driver must be an object'],
    [{ ...memoryDriver(), name: '' }, 'createStore: driver.name must be a non-empty string'],
    [{ ...memoryDriver(), list: undefined }, 'createStore: driver.list must be a function'],
    [{ ...memoryDriver(), time: 5 }, 'createStore: driver.time must be a function, or absent'],
  ])('is refused for what is no driver (%#)', (driver, message) => {
    expect(() => createStore(driver as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringContaining(message) }),
    );
  });

  test('uses the clock of the database, if it has one', async () => {
    let time = Date.UTC(2030, 0);
    const driver = { ...memoryDriver(), time: () => Promise.resolve(time) };
    const store = createStore(driver, { clock: () => Date.UTC(2030, 1) });
    await expect(store.purgeExpired()).rejects.toMatchObject({
      code: 'ERR_CLOCK',
      message: expect.stringContaining('31 days ahead of the clock of the database') as string,
    });
    const leases = store.session('s')[LEASES];
    expect(await leases.acquire('session s', 'one', 1_000)).toBe(true);
    expect(await leases.acquire('session s', 'two', 1_000)).toBe(false);
    time += 1_001;
    expect(await leases.acquire('session s', 'two', 1_000)).toBe(true);
  });
});

/** Drivers that break one rule each. */
const BROKEN: Readonly<Record<string, (driver: KeyValueDriver, table: Table) => Partial<KeyValueDriver>>> = {
  'commits whatever is stored': (driver) => ({
    commit: (commit) => driver.commit({ ...commit, expect: [] }),
  }),
  'takes a key that is there for one that is not': (driver) => ({
    commit: (commit) =>
      driver.commit({ ...commit, expect: commit.expect.filter(([, value]) => value !== undefined) }),
  }),
  'compares values by their length': (_, table) => ({
    async commit({ expect: expected, put, remove }) {
      if (!expected.every(([key, value]) => table.get(key)?.length === value?.length)) return false;
      for (const [key, value] of put) table.set(key, value);
      for (const key of remove) table.delete(key);
      return true;
    },
  }),
  'writes what it says that it did not write': (driver) => ({
    async commit(commit) {
      const done = await driver.commit(commit);
      return done || !(await driver.commit({ ...commit, expect: [] }));
    },
  }),
  'says that it wrote what it did not write': (driver) => ({
    commit: async (commit) => (await driver.commit(commit)) || true,
  }),
  'compares first and writes later': (driver) => ({
    async commit(commit) {
      if (!(await driver.commit({ ...commit, put: [], remove: [] }))) return false;
      return await driver.commit({ ...commit, expect: [] });
    },
  }),
  'writes one key after the other': (driver) => ({
    async commit(commit) {
      if (!(await driver.commit({ ...commit, put: [], remove: [] }))) return false;
      for (const key of commit.remove) await driver.commit({ expect: [], put: [], remove: [key] });
      for (const pair of commit.put) await driver.commit({ expect: [], put: [pair], remove: [] });
      return true;
    },
  }),
  'removes nothing': (driver) => ({ commit: (commit) => driver.commit({ ...commit, remove: [] }) }),
  'says nothing of a commit': (driver) => ({
    commit: async (commit) => void (await driver.commit(commit)) as never,
  }),
  'lists from the start when it is asked from the end': (driver) => ({
    list: (range) => driver.list({ ...range, reverse: false }),
  }),
  'lists more than the limit': (driver) => ({ list: (range) => driver.list({ ...range, limit: undefined }) }),
  'lists no more than ten': (driver) => ({
    list: (range) => driver.list({ ...range, limit: Math.min(range.limit ?? 10, 10) }),
  }),
  'lists the key after the range': (driver) => ({
    list: (range) => driver.list({ ...range, to: `${range.to}~` }),
  }),
  'lists in no order': (driver) => ({
    list: async (range) => (await driver.list(range)).toSorted((_, [key]) => (key.endsWith('1') ? 1 : -1)),
  }),
  'lists what was there a moment before': (driver) => {
    let before: Awaited<ReturnType<KeyValueDriver['list']>> = [];
    let asked = '';
    return {
      async list(range) {
        const now = await driver.list(range);
        const answer = asked === JSON.stringify(range) ? before : now;
        [asked, before] = [JSON.stringify(range), now];
        return answer;
      },
    };
  },
  'gives only the values that are there': (driver) => ({
    get: async (keys) => (await driver.get(keys)).filter((value) => value !== undefined),
  }),
  'gives null for what is not there': (driver) => ({
    get: async (keys) => (await driver.get(keys)).map((value) => value ?? null) as never,
  }),
  'does not tell letters of another case apart': (driver) => ({
    get: (keys) => driver.get(keys.map((key) => key.toLowerCase())),
    list: async ({ from, to, ...range }) =>
      await driver.list({ ...range, from: from.toLowerCase(), to: to.toLowerCase() }),
    commit: ({ expect: expected, put, remove }) =>
      driver.commit({
        expect: expected.map(([key, value]) => [key.toLowerCase(), value]),
        put: put.map(([key, value]) => [key.toLowerCase(), value]),
        remove: remove.map((key) => key.toLowerCase()),
      }),
  }),
  'keeps values as text': (driver) => ({
    commit: ({ put, ...commit }) =>
      driver.commit({
        ...commit,
        put: put.map(([key, value]) => [key, Buffer.from(Buffer.from(value).toString('utf8'))]),
      }),
  }),
  'cuts long values': (driver) => ({
    commit: ({ put, ...commit }) =>
      driver.commit({ ...commit, put: put.map(([key, value]) => [key, value.subarray(0, 65_535)]) }),
  }),
  'cuts long keys': (driver) => ({
    get: (keys) => driver.get(keys.map((key) => key.slice(0, 190))),
    commit: ({ expect: expected, put, remove }) =>
      driver.commit({
        expect: expected.map(([key, value]) => [key.slice(0, 190), value]),
        put: put.map(([key, value]) => [key.slice(0, 190), value]),
        remove: remove.map((key) => key.slice(0, 190)),
      }),
  }),
};

describe('the contract refuses a driver that', () => {
  test.each(Object.entries(BROKEN))('%s', async (_, broken) => {
    const table: Table = new Map();
    const open = () => {
      const driver = memoryDriver(table);
      return createStore({ ...driver, ...broken(driver, table) });
    };
    let failed: string | undefined;
    for (const [name, check] of contractChecks({ open })) {
      await check().catch(() => (failed = name));
      if (failed !== undefined) break;
    }
    expect(failed).toBeDefined();
  });
});

describe('a page of a long history', () => {
  /** A store that counts the records that its database gives back. */
  function counting() {
    const driver = memoryDriver(new Map());
    const counted = { records: 0, changed: undefined as (() => Promise<void>) | undefined };
    const store = createStore({
      ...driver,
      async list(range) {
        const pairs = await driver.list(range);
        counted.records += pairs.filter(([key]) => key.startsWith('item/')).length;
        const change = counted.changed;
        counted.changed = undefined;
        await change?.();
        return pairs;
      },
    });
    return { store, counted };
  }

  test('costs its own records and four more, wherever it is', async () => {
    const { store, counted } = counting();
    const session = store.session('long');
    await session.addItems(numbered('item', 300));
    for (let count = 0; count < 7; count++) await session.popItem();
    let before: string | undefined;
    for (let end = 293; end > 200; end -= 20) {
      counted.records = 0;
      const found = await page(session, { limit: 20, ...(before !== undefined && { before }) });
      expect(found.items.map(textOf)).toEqual(
        numbered('item', 300)
          .slice(end - 20, end)
          .map(textOf),
      );
      // One on each side of the page, and the first and the last record.
      expect(counted.records).toBeLessThanOrEqual(24);
      before = found.before;
    }
  });

  test('is right when the history changes meanwhile', async () => {
    const { store, counted } = counting();
    const session = store.session('long');
    await session.addItems(numbered('item', 60));
    const { before } = await page(session, { limit: 10 });
    counted.changed = () => session.addItems(numbered('later', 3));
    const second = await page(session, { limit: 10, ...(before !== undefined && { before }) });
    expect(second.items.map(textOf)).toEqual(numbered('item', 60).slice(40, 50).map(textOf));
    counted.changed = async () => {
      await session.clearSession();
      await session.addItems(numbered('fresh', 63));
    };
    const past = await session[RECORDS].past(10, 10);
    expect(past.map(({ record }) => textOf(record))).toEqual(numbered('fresh', 63).slice(43, 53).map(textOf));
  });
});
