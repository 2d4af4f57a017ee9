import { MemorySession, type AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { cache, encrypt, expire, wrapSession, type Entry, type SessionLayer } from '../../src/index.ts';
import { fixedKeyring } from '../../src/testing/index.ts';
import { user } from '../history/support/random-history.ts';

/** A layer of a user that returns this instead of each entry. */
const writing = (change: (entry: Entry) => unknown): SessionLayer => ({
  name: 'mine',
  write: (entries) => entries.map((entry) => change(entry) as Entry),
});
const reading = (change: (entry: Entry) => unknown): SessionLayer => ({
  name: 'mine',
  reads: 'inverse',
  write: (entries) => entries,
  read: (entries) => entries.map((entry) => change(entry) as Entry),
});
const withItem = (item: unknown) => (entry: Entry) => ({ ...entry, item });
const withData = (value: unknown) => (entry: Entry) => ({
  ...entry,
  item: { ...entry.item, providerData: { value } },
});
const cyclic: Record<string, unknown> = {};
cyclic['itself'] = cyclic;

const BELOW: readonly (readonly [string, () => SessionLayer[]])[] = [
  ['alone', () => []],
  ['above expire()', () => [expire({ after: '1d' })]],
  ['above encrypt()', () => [encrypt({ keys: fixedKeyring() })]],
  ['above cache() and encrypt()', () => [cache({ maxItems: 9 }), encrypt({ keys: fixedKeyring() })]],
];

describe.each(BELOW)('a layer of a user %s', (_name, below) => {
  test.each<readonly [string, (entry: Entry) => unknown, string]>([
    ['undefined as an item', withItem(undefined), 'An item must be an object.'],
    ['null as an item', withItem(null), 'An item must be an object.'],
    ['a string as an item', withItem('secret'), 'An item must be an object.'],
    ['a number as an item', withItem(5), 'An item must be an object.'],
    ['a list as an item', withItem([]), 'An item must be an object.'],
    ['a date', withData(new Date(0)), 'item.providerData.'],
    ['a number that is none', withData(Number.NaN), 'item.providerData.'],
    ['a Map', withData(new Map([['secret', 1]])), 'item.providerData.'],
    ['a function', withData(() => 'secret'), 'item.providerData.'],
    ['a BigInt', withData(5n), 'item.providerData.'],
    ['a cycle', withData(cyclic), 'item.providerData.'],
    ['null instead of an entry', () => null, 'returned an entry without a header from write'],
    ['a header that is null', ({ item }) => ({ item, header: null }), 'an entry without a header from write'],
  ])('cannot write %s, and nothing is stored', async (_what, change, message) => {
    const inner = new MemorySession();
    const session = wrapSession(inner, [writing(change), ...below()]);
    const error = await session.addItems([user('a')]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      written: 'no',
      message: expect.stringMatching(/^The layer "mine" /),
    });
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).not.toContain('secret');
    expect(await inner.getItems()).toEqual([]);
  });

  test('cannot return something else than a list', async () => {
    const session = wrapSession(new MemorySession(), [
      { name: 'mine', write: () => undefined as never },
      ...below(),
    ]);
    await expect(session.addItems([user('a')])).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('The layer "mine" returned no list from write'),
    });
  });

  test.each([[null], ['text'], [5], [[]], [undefined]])(
    'cannot read %j as an item, and popItem() removes nothing',
    async (item) => {
      const inner = new MemorySession();
      const session = wrapSession(inner, [reading(withItem(item)), ...below()]);
      await session.addItems([user('a')]);
      for (const call of [() => session.getItems(), () => session.popItem()]) {
        await expect(call()).rejects.toMatchObject({
          code: 'ERR_INVALID_OPTION',
          message: expect.stringContaining('The layer "mine" returned no item from read'),
        });
      }
      expect(await inner.getItems()).toHaveLength(1);
    },
  );

  test('can leave properties undefined, and hold bytes, as a caller can', async () => {
    const data = (value: unknown) => ({ ...user('a'), providerData: { value } }) as AgentInputItem;
    const inner = new MemorySession();
    for (const value of [undefined, new Uint8Array([1])]) {
      await wrapSession(inner, [writing(withData(value)), ...below()]).addItems([user('a')]);
    }
    const items = await wrapSession(inner, below()).getItems();
    expect(items).toEqual([data(undefined), data(new Uint8Array([1]))]);
  });
});

test('items that a layer of a user passes on are not walked again', async () => {
  let walks = 0;
  const item = new Proxy(user('a'), {
    ownKeys(target) {
      walks += 1;
      return Reflect.ownKeys(target);
    },
  });
  const giving = writing(withItem(item));
  const passing: SessionLayer = {
    name: 'passing',
    write: (entries) => entries.map((entry) => ({ ...entry })),
  };
  const walksOf = async (...layers: SessionLayer[]): Promise<number> => {
    walks = 0;
    const session = wrapSession(new MemorySession(), [giving, ...layers, encrypt({ keys: fixedKeyring() })]);
    await session.addItems([user('b')]);
    return walks;
  };
  expect(await walksOf(passing)).toBe(await walksOf());
});
