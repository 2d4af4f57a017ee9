import { MemorySession, type AgentInputItem } from '@openai/agents';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  redact,
  wrapSession,
  type Keyring,
} from '../../src/index.ts';
import { encodeItem, itemKey, MAX_DEPTH, snapshotItem } from '../../src/protocol/item.ts';
import { snapshotItems } from '../../src/protocol/snapshot-items.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { coded, failure } from '../crypto/failure.ts';

let keys: Keyring;
beforeAll(async () => void (keys = keyring({ current: await generateKey() })));

/** An item of this many levels. */
function nested(levels: number, kind: 'lists' | 'objects'): AgentInputItem {
  let inner: unknown = 'x';
  for (let level = 2; level < levels; level++) inner = kind === 'lists' ? [inner] : { inner };
  return { role: 'user', content: 'deep', providerData: levels > 1 ? { inner } : {} };
}
const tooDeep = coded('ERR_INVALID_ITEM', /^item\.providerData\..*… is nested more than 1000 levels deep/);

describe.each(['lists', 'objects'] as const)('an item that nests in %s', (kind) => {
  it('is refused beyond a depth that is far below the recursion limit', () => {
    expect(itemKey(snapshotItem(nested(MAX_DEPTH, kind)))).toBe(itemKey(nested(MAX_DEPTH, kind)));
    expect(() => snapshotItem(nested(MAX_DEPTH + 2, kind))).toThrow(/nested more than 1000 levels/);
    expect(encodeItem(snapshotItem(nested(MAX_DEPTH, kind)))).toContain('deep');
  });

  it.each([1_100, 5_000, 200_000])(
    '%i levels deep is refused on every way of writing, with nothing stored',
    async (levels) => {
      const item = nested(levels, kind);
      for (const inner of [new MemorySession({ sessionId: 's' }), openSqlite(':memory:').session('s')]) {
        for (const layers of [
          [redact()],
          [expire({ after: '1d' }), cache({ maxItems: 9 }), encrypt({ keys })],
        ]) {
          const session = wrapSession(inner, layers);
          const operation = {
            operationId: 'o',
            transaction: { type: 'append_items' as const, items: [item] },
          };
          expect(await failure(() => session.addItems([item]))).toEqual(tooDeep);
          expect(await failure(() => session.applyHistoryTransaction(operation))).toMatchObject({
            code: 'ERR_INVALID_ITEM',
          });
          expect(await session.getItems()).toEqual([]);
        }
      }
      const store = openSqlite(':memory:');
      expect(await failure(() => store.session('s').addItems([item]))).toEqual(tooDeep);
    },
  );

  it('that deep is stored and read', async () => {
    const item = nested(MAX_DEPTH - 10, kind);
    const session = wrapSession(openSqlite(':memory:').session('s'), [
      expire({ after: '1d' }),
      cache({ maxItems: 9 }),
      encrypt({ keys }),
    ]);
    await session.addItems([item]);
    for (let read = 0; read < 2; read++) expect(itemKey((await session.getItems())[0])).toBe(itemKey(item));
  });
});

it('a snapshot reads each value once, at any depth', () => {
  let reads = 0;
  let inner: object = {};
  for (let level = 0; level < 900; level++) {
    const below = inner;
    const names = Array.from({ length: 10 }, (_, index) => [`${index}`, index] as const);
    inner = new Proxy(
      { ...Object.fromEntries(names), below },
      {
        get(target, name, receiver) {
          reads++;
          return Reflect.get(target, name, receiver) as unknown;
        },
      },
    );
  }
  snapshotItem({ role: 'user', content: 'x', providerData: { inner } });
  expect(reads).toBe(900 * 11);
});

it('a repeated value is not a cycle, one that contains itself is', () => {
  const twice = { a: 1 };
  expect(snapshotItem({ role: 'user', content: 'x', providerData: { one: twice, other: twice } })).toEqual({
    role: 'user',
    content: 'x',
    providerData: { one: twice, other: twice },
  });
  const loop: Record<string, unknown> = {};
  loop['self'] = { loop };
  expect(() => snapshotItem({ role: 'user', content: 'x', providerData: loop })).toThrow(/is a cycle/);
});

const LARGE: readonly (readonly [name: string, providerData: Record<string, unknown>])[] = [
  ['text', { text: 'x'.repeat(5_000) }],
  ['text of characters that JSON escapes', { text: '\0'.repeat(900) }],
  ['bytes', { bytes: new Uint8Array(4_000) }],
  ['a key', { ['k'.repeat(5_000)]: true }],
  ['many numbers', { numbers: Array.from({ length: 250 }, () => -1.234_567_890_123_456e-300) }],
  [
    'keys that are escaped',
    Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`${'$'.repeat(index)}bytes`, 0])),
  ],
  ['many empty lists', { lists: Array.from({ length: 2_000 }, () => []) }],
];

it.each(LARGE)(
  'an item that is large by %s is refused, and one byte of JSON less is not',
  (_name, providerData) => {
    const item: AgentInputItem = { role: 'user', content: 'x', providerData };
    const bytes = Buffer.byteLength(encodeItem(item));
    expect(bytes).toBeGreaterThan(5_000);
    expect(snapshotItems([item], bytes)).toEqual([item]);
    expect(() => snapshotItems([item], bytes - 1)).toThrow(`has ${bytes} bytes of JSON`);
  },
);
