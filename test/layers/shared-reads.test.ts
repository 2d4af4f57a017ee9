import { MemorySession, type AgentInputItem } from '@openai/agents';
import { expect, it } from 'vitest';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  redact,
  wrapSession,
  type CacheOptions,
  type SessionLayer,
} from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';

// What a cache keeps is copied once a read, and nobody who got a copy can change it.

const items = ['one', 'two', 'three'].map((text): AgentInputItem => ({
  type: 'message',
  role: 'user',
  content: [{ type: 'input_text', text, providerData: { nested: { deep: [text] } } }],
}));

async function layersFor(options: Partial<CacheOptions> = {}): Promise<SessionLayer[]> {
  return [
    redact({ entities: ['EMAIL_ADDRESS'], when: 'both' }),
    expire({ after: '30d' }),
    cache({ maxItems: 1_000, ...options }),
    encrypt({ keys: keyring({ current: await generateKey() }) }),
  ];
}

/** Changes everything that can be changed. */
function spoil(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const child of Object.values(value)) spoil(child);
  for (const key of Object.keys(value)) (value as Record<string, unknown>)[key] = 'spoiled';
  (value as Record<string, unknown>)['added'] = true;
}

it.each([
  ['a store of ours', false],
  ['a foreign session', true],
])('callers get items of their own at every read over %s, also after an append', async (_, foreign) => {
  await using store = openSqlite(':memory:');
  const session = wrapSession(foreign ? new MemorySession() : store.session('s'), await layersFor());
  const given = structuredClone(items);
  await session.addItems(given);
  spoil(given);
  for (const limit of [undefined, undefined, 2, undefined]) {
    const read = await session.getItems(limit);
    expect(read).toEqual(items.slice(-(limit ?? items.length)));
    spoil(read);
    read.length = 0;
  }
  const more = structuredClone(items);
  await session.addItems(more);
  spoil(more);
  for (let read = 0; read < 2; read++) {
    const all = await session.getItems();
    expect(all).toEqual([...items, ...items]);
    spoil(all);
  }
});

it('an item that its caller changed is written as it is now, and one that did not change as it was stored', async () => {
  await using store = openSqlite(':memory:');
  const session = wrapSession(store.session('s'), await layersFor());
  await session.addItems(structuredClone(items));
  await session.getItems();
  const [first, second] = (await session.getItems()) as [AgentInputItem, AgentInputItem];
  Object.assign(first, { content: 'changed' });
  await session.clearSession();
  await session.addItems([first, second]);
  expect(await session.getItems()).toEqual([{ ...items[0], content: 'changed' }, items[1]]);
});

/** How many objects are copied while `work` runs: each asks for the keys of the copy. */
async function keysAsked(work: () => Promise<unknown>): Promise<number> {
  const { keys } = Object;
  let count = 0;
  Object.keys = (value: object) => {
    if (!Array.isArray(value) && 'nested' in value) count++;
    return keys(value);
  };
  try {
    await work();
  } finally {
    Object.keys = keys;
  }
  return count;
}

it('copies each item once a warm read, and those of frozen ones not at all', async () => {
  for (const [options, copies] of [
    [{}, 3],
    [{ freeze: true }, 0],
  ] as const) {
    await using store = openSqlite(':memory:');
    const layers = (await layersFor(options)).slice(1);
    const session = wrapSession(store.session('s'), layers);
    await session.addItems(structuredClone(items));
    await session.getItems();
    await session.getItems();
    expect(await keysAsked(() => session.getItems())).toBe(copies);
  }
});

it('hides at a warm read what has expired since the last one, and shows what a layer makes of the others', async () => {
  await using store = openSqlite(':memory:');
  let now = Date.now();
  const session = wrapSession(store.session('s'), [
    redact({ entities: ['EMAIL_ADDRESS'], when: 'read' }),
    expire({ after: '1h', clock: () => now }),
    cache({ maxItems: 1_000, ttl: '1d' }),
    encrypt({ keys: keyring({ current: await generateKey() }) }),
  ]);
  const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
  await session.addItems([said('early')]);
  now += 1_800_000;
  await session.addItems([said('late'), said('write to anna@example.org')]);
  const shown = [said('late'), said('write to <EMAIL_ADDRESS>')];
  for (let read = 0; read < 2; read++) expect(await session.getItems()).toEqual([said('early'), ...shown]);
  now += 1_800_000;
  for (let read = 0; read < 2; read++) expect(await session.getItems()).toEqual(shown);
});

it('gives no cached item to a layer of another package, which could change it', async () => {
  await using store = openSqlite(':memory:');
  const [, stamps, keeps, seals] = (await layersFor()) as [
    SessionLayer,
    SessionLayer,
    SessionLayer,
    SessionLayer,
  ];
  const spoiling: SessionLayer = {
    name: 'spoiling',
    reads: 'view',
    read(entries) {
      for (const { item } of entries) spoil(item);
      return [...entries];
    },
  };
  const inner = store.session('s');
  const stack = [spoiling, stamps, keeps, seals];
  const spoiled = wrapSession(inner, stack);
  await spoiled.addItems(structuredClone(items));
  for (let read = 0; read < 3; read++) await spoiled.getItems();
  // The same cache, under the same layers, without the one that spoils.
  const clean = wrapSession(inner, stack.slice(1));
  expect(await clean.getItems()).toEqual(items);
  expect(await clean.getItems()).toEqual(items);
});
