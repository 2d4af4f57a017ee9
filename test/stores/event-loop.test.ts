import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  minimize,
  redact,
  wrapSession,
  wrapStore,
  type Layers,
} from '../../src/index.ts';
import { memoryDriver } from '../../examples/support/memory-driver.ts';
import { archiveHistory } from '../../src/history/archive-history.ts';
import { historyDigest } from '../../src/protocol/digest.ts';
import { DEFAULT_TIME_SLICE, slices } from '../../src/slices.ts';
import type { StoreDriver } from '../../src/stores/driver.ts';
import { keyValueDriver } from '../../src/stores/key-value/driver.ts';
import { encodeRecord } from '../../src/stores/record.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { reencrypt } from '../../src/operations/reencrypt.ts';
import { rewrap } from '../../src/operations/rewrap.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { temporaryFolder } from './folder.ts';

const file = temporaryFolder();

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

function messages(count: number): AgentInputItem[] {
  return Array.from({ length: count }, (_, index) => message(`item ${index}`));
}

async function wholeStack(): Promise<Layers> {
  const keys = keyring({ current: await generateKey() });
  return [
    redact({ entities: ['EMAIL_ADDRESS'], when: 'both' }),
    expire({ after: '30d' }),
    cache({ maxItems: 10_000 }),
    encrypt({ keys }),
  ];
}

/** How often the event loop turned while `work` ran. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let counting = true;
  const count = (): void => {
    turns++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  await work();
  counting = false;
  return turns;
}

// No turn has time for more than one piece of work, so that what is counted does not depend on the machine.
beforeEach(() => slices.setBudget(0));
afterEach(() => slices.setBudget(DEFAULT_TIME_SLICE));

test('begins one call after the other, in their order, when a turn has no time for more', async () => {
  let turn = 0;
  const began: string[] = [];
  const turns = new Set<number>();
  const layers: Layers = [
    {
      name: 'watch',
      around: (call, next) => {
        began.push(`${call.kind} ${call.sessionId}`);
        turns.add(turn);
        return next();
      },
    },
  ];
  const sessions = Array.from({ length: 20 }, (_, number) =>
    wrapSession(new MemorySession({ sessionId: `${number}` }), layers),
  );
  let counting = true;
  const count = (): void => {
    turn++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  await Promise.all(
    sessions.flatMap((session) => [session.addItems([message('hello')]), session.getItems()]),
  );
  counting = false;
  expect(turns.size).toBe(40);
  // A read waits for the write before it.
  const ids = sessions.map((_, number) => number);
  expect(began).toEqual([...ids.map((id) => `addItems ${id}`), ...ids.map((id) => `getItems ${id}`)]);
});

let files = 0;
const places = [
  ['in a file', (clock?: () => number) => openSqlite(file(`loop-${files++}.db`), clock && { clock })],
  ['in memory', (clock?: () => number) => openSqlite(':memory:', clock && { clock })],
] as const;

describe.each(places)('SQLite %s', (_, open) => {
  const sessionsOf = <S extends Session>(store: Store<S>, count: number): S[] =>
    Array.from({ length: count }, (_, number) => store.session(`s${number}`));

  test('gives the event loop a turn for every call, when many sessions are used at once', async () => {
    await using store = open();
    const sessions = sessionsOf(store, 100);
    const turns = await turnsDuring(() =>
      Promise.all(
        sessions.map(async (session, number) => {
          await session.addItems([message(`first ${number}`)]);
          await session.addItems([message(`second ${number}`)]);
          expect(await session.getItems()).toEqual([message(`first ${number}`), message(`second ${number}`)]);
        }),
      ),
    );
    // The first turn is not counted.
    expect(turns).toBeGreaterThanOrEqual(299);
  });

  test('makes the calls of one session in their order, and those of all sessions in turn', async () => {
    await using store = open();
    const sessions = sessionsOf(store, 5);
    const ended: string[] = [];
    await Promise.all(
      [0, 1, 2].flatMap((call) =>
        sessions.map(async (session, number) => {
          await session.addItems([message(`${call}`)]);
          ended.push(`${call} of ${number}`);
        }),
      ),
    );
    const inTurn = [0, 1, 2].flatMap((call) => sessions.map((_, number) => `${call} of ${number}`));
    expect(ended).toEqual(inTurn);
    for (const session of sessions) {
      expect(await session.getItems()).toEqual(['0', '1', '2'].map(message));
    }
  });

  test.each(['bare', 'wrapped'])('ends short calls while it reads a long history (%s)', async (kind) => {
    await using store = open();
    const sessions: Store = kind === 'bare' ? store : wrapStore(store, await wholeStack());
    const long = sessions.session('long');
    await long.addItems(messages(2_000));
    const ended: string[] = [];
    const reading = long.getItems().then((items) => {
      ended.push('long');
      return items;
    });
    await Promise.all(
      sessionsOf(sessions, 10).map(async (session, number) => {
        await session.addItems([message('short')]);
        expect(await session.getItems()).toEqual([message('short')]);
        ended.push(`short ${number}`);
      }),
    );
    expect(ended).not.toContain('long');
    expect(await reading).toEqual(messages(2_000));
  });

  test('reads a consistent snapshot of a history that others change meanwhile', async () => {
    await using store = open();
    const session = store.session('long');
    await session.addItems(messages(1_500));
    const after = messages(1_500).map((_, index) => message(`other ${index}`));
    const reading = session.getItems();
    // The read is at its second page when everything is replaced.
    await session.replaceHistoryWithCompaction(after);
    const seen = await reading;
    expect([messages(1_500), after]).toContainEqual(seen);
    expect(await session.getItems()).toEqual(after);
  });

  test('reads a snapshot near its start when others append, and no later items', async () => {
    await using store = open();
    const session = store.session('long');
    await session.addItems(messages(1_500));
    const reading = session.getItems();
    const limited = session.getItems(1_000);
    for (let each = 0; each < 20; each++) await session.addItems([message(`new ${each}`)]);
    const all = [...messages(1_500), ...Array.from({ length: 20 }, (_, each) => message(`new ${each}`))];
    const [seen, last] = [await reading, await limited];
    expect(seen.length).toBeLessThan(1_510);
    expect(seen).toEqual(all.slice(0, seen.length));
    expect(last).toHaveLength(1_000);
    expect(
      all
        .slice(0, all.findIndex((item) => JSON.stringify(item) === JSON.stringify(last.at(-1))) + 1)
        .slice(-1_000),
    ).toEqual(last);
  });

  test('completes a read of a history that is changed all the time', async () => {
    await using store = open();
    const session = store.session('long');
    await session.addItems(messages(1_500));
    const ended = new AbortController();
    let changes = 0;
    const change = async (): Promise<void> => {
      while (!ended.signal.aborted) {
        await session.popItem();
        await session.addItems([message(`change ${changes++}`)]);
      }
    };
    const changing = change();
    const seen = await session.getItems();
    ended.abort();
    await changing;
    expect(seen.slice(0, 1_499)).toEqual(messages(1_499));
    expect(seen.length === 1_499 || seen.length === 1_500).toBe(true);
    expect(changes).toBeGreaterThan(4);
  });

  test('reads a history that was deleted and created again meanwhile', async () => {
    await using store = open();
    const session = store.session('long');
    await session.addItems(messages(5_000));
    const reading = session.getItems();
    await store.deleteSession('long');
    await session.addItems(messages(3));
    // Of one moment: before the deletion, after it, or after the append.
    expect([messages(5_000), [], messages(3)]).toContainEqual(await reading);
  });

  const long: Readonly<Record<string, (store: Store<StoreSession>) => Promise<unknown>>> = {
    'appends many items': (store) => store.session('other').addItems(messages(2_000)),
    'clears a long history': (store) => store.session('long').clearSession(),
    'deletes a long session': (store) => store.deleteSession('long'),
    'archives the most of it': (store) => archiveHistory(store.session('long'), { before: 1_500 }),
    'replaces the oldest items': async (store) =>
      store.session('long').replacePrefix({
        count: 1_500,
        digest: historyDigest(messages(1_500)),
        replacement: [message('summary')],
        operationId: 'summary',
      }),
    'purges what has expired': (store) => store.purgeExpired({ after: 1, batch: 10_000 }),
    'replaces a long suffix': (store) =>
      store.session('long').applyHistoryTransaction({
        operationId: 'all',
        transaction: {
          type: 'replace_suffix',
          expectedSuffix: messages(2_000),
          replacement: messages(1_999),
        },
      }),
  };

  test.each(Object.entries(long))('%s in slices, all or nothing', async (what, work) => {
    let time = 1_000;
    await using store = open(() => time);
    await store.session('long').addItems(messages(2_000));
    time += 10;
    if (what.startsWith('purges')) await store.session('other').addItems([message('young')]);
    const histories = async (): Promise<unknown[]> => {
      const all = [];
      for (const id of ['long', 'other', 'archive']) all.push(await store.session(id).getItems(5_000));
      return all.map((items) => items.length);
    };
    const before = await histories();
    const seen: unknown[] = [];
    let ended = false;
    const turns = await turnsDuring(async () => {
      const working = work(store).finally(() => (ended = true));
      // Calls of others wait, and see the state before or after it.
      seen.push(await histories());
      await working;
    });
    expect(ended).toBe(true);
    expect(turns).toBeGreaterThanOrEqual(8);
    const after = await histories();
    expect(after).not.toEqual(before);
    expect([before, after]).toContainEqual(seen[0]);
  });

  test('writes nothing of a change in slices that fails, and serves the next call', async () => {
    await using store = open();
    await store.session('long').addItems(messages(2_000));
    const failing = store.session('long').replacePrefix({
      count: 1_500,
      digest: historyDigest(messages(1_499)),
      replacement: [],
      operationId: 'not so',
    });
    const next = store.session('other').addItems([message('next')]);
    await expect(failing).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    await next;
    expect(await store.session('long').getItems()).toEqual(messages(2_000));
    expect(await store.session('other').getItems()).toEqual([message('next')]);
  });

  test('completes calls from before close(), and refuses calls after it', async () => {
    const store = open();
    const sessions = sessionsOf(store, 20);
    const before = sessions.map((session) => session.addItems([message('before')]));
    const closing = store.close();
    await expect(sessions[0]?.addItems([message('after')])).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await Promise.all(before);
    await closing;
  });
});

/** Layers whose work grows with the items of a call. */
const LAYERS: Readonly<Record<string, () => Promise<Layers> | Layers>> = {
  encrypt: async () => [encrypt({ keys: keyring({ current: await generateKey() }) })],
  'cache, encrypt': async () => [
    cache({ maxItems: 10_000 }),
    encrypt({ keys: keyring({ current: await generateKey() }) }),
  ],
  expire: () => [expire({ after: '30d' })],
  redact: () => [redact({ entities: ['EMAIL_ADDRESS'], when: 'both' })],
  'the whole stack': wholeStack,
};

describe.each(Object.entries(LAYERS))('over a synchronous session, %s', (_, layers) => {
  test('lets the event loop turn while many items are written and read', async () => {
    const session = wrapSession(new MemorySession(), await layers());
    expect(await turnsDuring(() => session.addItems(messages(800)))).toBeGreaterThanOrEqual(45);
    const read = async (): Promise<void> => expect(await session.getItems()).toEqual(messages(800));
    expect(await turnsDuring(read)).toBeGreaterThanOrEqual(45);
    // From memory, where there is a cache.
    expect(await turnsDuring(read)).toBeGreaterThanOrEqual(45);
  });

  test('lets the event loop turn while many sessions are used at once', async () => {
    const stack = await layers();
    const turns = await turnsDuring(() =>
      Promise.all(
        Array.from({ length: 50 }, async () => {
          const session = wrapSession(new MemorySession(), stack);
          await session.addItems(messages(2));
          expect(await session.getItems()).toEqual(messages(2));
        }),
      ),
    );
    expect(turns).toBeGreaterThanOrEqual(45);
  });

  test('keeps the order of the calls of one session', async () => {
    const session = wrapSession(new MemorySession(), await layers());
    const calls = [
      session.addItems(messages(300)),
      session.addItems([message('after')]),
      session.getItems(),
      session.popItem(),
      session.getItems(1),
    ];
    const [, , whole, popped, last] = await Promise.all(calls);
    expect(whole).toEqual([...messages(300), message('after')]);
    expect(popped).toEqual(message('after'));
    expect(last).toEqual([message('item 299')]);
  });
});

test('minimize() lets the event loop turn while many items are written', async () => {
  const session = wrapSession(new MemorySession(), [minimize({ images: true })]);
  expect(await turnsDuring(() => session.addItems(messages(800)))).toBeGreaterThanOrEqual(45);
});

test('redact() fails the call when a recognizer fails, independent of the other items', async () => {
  const session = wrapSession(new MemorySession(), [
    redact({
      entities: ['EMAIL_ADDRESS'],
      recognizers: [
        {
          name: 'asks elsewhere',
          entities: ['NAME'],
          analyze: async (text) => {
            if (text.endsWith(' 3')) throw new Error('not reached');
            return [];
          },
        },
      ],
    }),
  ]);
  await expect(session.addItems(messages(100))).rejects.toThrow('not reached');
  expect(await session.getItems()).toEqual([]);
});

describe.each([
  ['reencrypt', async (sessions: Store) => reencrypt(sessions, { grace: 0 })],
  ['rewrap', async (sessions: Store) => rewrap(sessions)],
] as const)('%s', (_, work) => {
  test('lets the event loop turn while it processes a long session', async () => {
    await using store = openSqlite(':memory:');
    const keys = keyring({ current: await generateKey() });
    const sessions = wrapStore(store, [encrypt({ keys, dekStore: 'inline' })]);
    await sessions.session('long').addItems(messages(800));
    const turns = await turnsDuring(() => work(sessions));
    expect(turns).toBeGreaterThanOrEqual(100);
    expect(await sessions.session('long').getItems()).toEqual(messages(800));
  });
});

describe('a store over keys and values', () => {
  const records = (count: number) => messages(count).map((item) => encodeRecord(item, 0));
  const open = async (): Promise<StoreDriver> => {
    const driver = keyValueDriver(memoryDriver(), { operationLog: 1, now: () => 0, hasOwnClock: true });
    await driver.append({ sessionId: 's', records: records(400), mark: 1 });
    return driver;
  };
  const ways: Readonly<Record<string, (driver: StoreDriver) => Promise<unknown>>> = {
    'an append': (driver) => driver.append({ sessionId: 's', records: records(400), mark: 2 }),
    'a read': async (driver) => driver.read('s'),
    'a change': (driver) => driver.change('s', { records: 'all' }, () => undefined),
    'a purge': (driver) => driver.purge({ now: 1, writtenBefore: 0 }, 1_000),
    'the count of what is expired': (driver) => driver.expired({ now: 1, writtenBefore: 0 }),
  };

  test.each(Object.entries(ways))('lets the event loop turn during %s', async (_, way) => {
    const driver = await open();
    expect(await turnsDuring(() => way(driver))).toBeGreaterThanOrEqual(390);
  });
});
