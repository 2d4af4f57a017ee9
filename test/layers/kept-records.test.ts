import type { AgentInputItem } from '@openai/agents';
import { DatabaseSync } from 'node:sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { counters } from '../../src/crypto/counters.ts';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  wrapSession,
  type CacheOptions,
  type Keyring,
  type SessionLayer,
} from '../../src/index.ts';
import { historyDigest } from '../../src/protocol/digest.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { userMessage } from './hand-made-call.ts';

// A cache over a store of ours keeps marks in the place of records: what other calls need of a record is read again, and
// nothing is opened twice for it.

let keys: Keyring;
let folder: string;
beforeAll(async () => {
  keys = keyring({ current: await generateKey() });
  folder = mkdtempSync(join(tmpdir(), 'strongroom-kept-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const layers = (options: Partial<CacheOptions> = {}): SessionLayer[] => [
  expire({ after: '30d' }),
  cache({ maxItems: 1_000, ...options }),
  encrypt({ keys }),
];
const texts = ['one', 'two', 'three', 'four'];
const textsOf = (items: readonly AgentInputItem[]): unknown[] =>
  items.map((item) => (item as { content: { text: string }[] }).content[0]?.text);

async function opens(work: () => Promise<unknown>): Promise<number> {
  const before = counters.opens;
  await work();
  return counters.opens - before;
}

it.each(['tail', 'verify', 'owner'] as const)(
  'mode %s: after an append of its own nothing is opened, and a history that others changed costs what is new',
  async (mode) => {
    await using store = openSqlite(':memory:');
    const session = wrapSession(store.session('s'), layers({ mode, ttl: '1h' }));
    await session.addItems(texts.map(userMessage));
    expect(await opens(() => session.getItems())).toBe(4);
    await session.addItems([userMessage('five')]);
    expect(await opens(() => session.getItems())).toBe(0);
    if (mode === 'owner') return;
    const other = wrapSession(store.session('s'), layers({ mode }));
    await other.addItems([userMessage('six')]);
    expect(await opens(() => session.getItems())).toBe(1);
    await other.popItem();
    expect(await opens(() => session.getItems(2))).toBe(0);
    expect(await opens(() => session.getItems())).toBe(0);
    expect(textsOf(await session.getItems())).toEqual([...texts, 'five']);
  },
);

it('replaces the oldest records of a history that is kept', async () => {
  await using store = openSqlite(':memory:');
  const session = wrapSession(store.session('s'), layers());
  await session.addItems(texts.map(userMessage));
  const items = await session.getItems();
  await session.replacePrefix({
    count: 2,
    digest: historyDigest(items.slice(0, 2)),
    replacement: [userMessage('summary')],
    operationId: 'o',
  });
  expect(textsOf(await session.getItems())).toEqual(['summary', 'three', 'four']);
});

it('gives layers that are not ours the records themselves, from a cache that others use, too', async () => {
  await using store = openSqlite(':memory:');
  const inner = store.session('s');
  const ours = layers();
  const seen: unknown[] = [];
  const foreign: SessionLayer = {
    name: 'foreign',
    reads: 'view',
    read(entries) {
      for (const { stored } of entries) seen.push(structuredClone(stored));
      return [...entries];
    },
  };
  const session = wrapSession(inner, ours);
  const watched = wrapSession(inner, [foreign, ...ours]);
  await session.addItems(texts.map(userMessage));
  await session.getItems();
  const records = await inner.getItems();
  for (let read = 0; read < 3; read++) {
    expect(await opens(() => watched.getItems())).toBe(0);
    expect(seen.splice(0)).toEqual(records);
    expect(await opens(() => session.getItems())).toBe(0);
  }
  await session.addItems([userMessage('five')]);
  expect(await opens(() => watched.getItems())).toBe(0);
  expect(seen).toEqual(await inner.getItems());
});

it('an edited row is found by mode verify at once, and by mode tail when the history is opened anew', async () => {
  const path = join(folder, 'edited.db');
  await using store = openSqlite(path);
  const writer = wrapSession(store.session('s'), layers());
  const tail = wrapSession(store.session('s'), layers());
  const verifying = wrapSession(store.session('s'), layers({ mode: 'verify' }));
  await writer.addItems(texts.map(userMessage));
  await tail.getItems();
  await verifying.getItems();
  const database = new DatabaseSync(path);
  // One byte of the text of the second record: its tag and its header stay.
  const body = database.prepare('SELECT body FROM strongroom_items ORDER BY seq LIMIT 1 OFFSET 1').get()?.[
    'body'
  ] as Uint8Array;
  body[30] = (body[30] as number) ^ 1;
  database
    .prepare(
      'UPDATE strongroom_items SET body = ? WHERE seq = (SELECT seq FROM strongroom_items ORDER BY seq LIMIT 1 OFFSET 1)',
    )
    .run(body);
  database.close();
  await writer.addItems([userMessage('five')]);
  await expect(verifying.getItems()).rejects.toMatchObject({ code: 'ERR_AUTHENTICATION' });
  // What it shows is what was authentic when it was opened.
  expect(textsOf(await tail.getItems())).toEqual([...texts, 'five']);
  const cold = wrapSession(store.session('s'), layers());
  await expect(cold.getItems()).rejects.toMatchObject({ code: 'ERR_AUTHENTICATION' });
});
