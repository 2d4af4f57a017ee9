import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { AgentInputItem } from '@openai/agents';
import { branches } from '../history/branches.ts';
import type { HoldStore } from '../keys/dek-store.ts';
import { historyDigest } from '../protocol/digest.ts';
import { DEK_STORE, MAINTENANCE, RECORDS, VERSION } from '../session-contract.ts';
import type { StoreSession } from '../stores/session.ts';
import { dek, dekId, envelope, numbered, rejects, textOf, type Bench } from './store-bench.ts';

const LONG_AGO = Date.UTC(1980, 0);

/** What a store must do for branches of a conversation. */
export const BRANCHES: ReadonlyMap<string, (bench: Bench) => Promise<void>> = new Map([
  ['begins a branch with records that have the times of their originals', keepsTimes],
  ['leaves a branch and its source alone, whatever is done to either, in both orders', goApart],
  ['leaves a branch what it began with when the branch that it was made from is deleted', outlivesSource],
  ['makes whole branches beside removals in what they are made from', racesRemovals],
  ['pages through a branch across its beginning', pagesAcross],
  ['purges what a branch began with, and nothing of a branch that is held', purgesBeginnings],
  ['notices by its version that the beginning of a branch was purged', movesVersions],
  ['makes a branch once, of all who make it at the same time', makesOnce],
  ['agrees on the current branch, of all who switch at the same time', switchesTogether],
] satisfies [string, (bench: Bench) => Promise<void>][]);

async function keepsTimes({ store, other, id }: Bench): Promise<void> {
  const root = id();
  const now = Date.now();
  const session = store.session(root);
  await session.addItems(numbered('plain', 2));
  await session.addItems([
    envelope({ s: 'none', t: now - 5_000, e: now + 86_400_000, g: now - 9_000, 'x-a': 1 }),
  ]);
  await session.addItems(numbered('end', 1));
  const branch = await branches(other, root).create('copy', { items: 3 });
  assert.deepEqual(await branch.getItems(), (await session.getItems()).slice(0, 3));
  const records = async (of: string): Promise<readonly object[]> =>
    ((await store[MAINTENANCE]?.records(of)) ?? []).map((record) => ({ ...record, origin: undefined }));
  assert.deepEqual(await records(await branch.getSessionId()), (await records(root)).slice(0, 3));
}

/** One change of a history, and what it makes of a list of texts. */
interface Deed {
  readonly act: (session: StoreSession, texts: readonly string[]) => Promise<unknown>;
  readonly model: (texts: readonly string[]) => readonly string[];
}

const DEEDS: Readonly<Record<string, Deed>> = {
  add: {
    act: (session) => session.addItems(numbered('more', 1)),
    model: (texts) => [...texts, 'more 0'],
  },
  pop: { act: (session) => session.popItem(), model: (texts) => texts.slice(0, -1) },
  undo: {
    act: async (session, texts) => replaceEnd(session, Math.min(texts.length, 4), []),
    model: (texts) => texts.slice(0, -4),
  },
  answer: {
    act: async (session, texts) => replaceEnd(session, Math.min(texts.length, 3), numbered('instead', 2)),
    model: (texts) => [...texts.slice(0, -3), 'instead 0', 'instead 1'],
  },
  summarize: {
    act: async (session) => {
      const items = (await session.getItems()).slice(0, 2);
      const replacement = numbered('summary', 1);
      if (items.length < 2) return;
      const digest = historyDigest(items);
      await session.replacePrefix({ count: 2, digest, replacement, operationId: `sum-${randomUUID()}` });
    },
    model: (texts) => (texts.length < 2 ? texts : ['summary 0', ...texts.slice(2)]),
  },
  compact: {
    act: (session) => session.replaceHistoryWithCompaction(numbered('compacted', 2)),
    model: () => ['compacted 0', 'compacted 1'],
  },
  clear: { act: (session) => session.clearSession(), model: () => [] },
};

const PARTIAL: ReadonlySet<string> = new Set(['undo', 'answer', 'summarize']);

async function replaceEnd(
  session: StoreSession,
  count: number,
  replacement: AgentInputItem[],
): Promise<void> {
  const items = await session.getItems();
  await session.applyHistoryTransaction({
    operationId: `end-${randomUUID()}`,
    transaction: { type: 'replace_suffix', expectedSuffix: items.slice(items.length - count), replacement },
  });
}

async function textsOf(session: StoreSession): Promise<string[]> {
  return (await session.getItems()).map(textOf);
}

/** Deeds on the source, on the branch, and on a branch of the branch, each before another one on another of them. */
async function goApart({ store, other, id }: Bench): Promise<void> {
  const deeds = Object.entries(DEEDS);
  const lengths = new Map<string, number>();
  for (const [turn, first] of deeds.entries()) {
    // The deeds that remove a part are done everywhere.
    for (const place of PARTIAL.has(first[0]) ? [0, 1, 2] : [turn % 3]) {
      const second = deeds[(turn + 2 * place + 1) % deeds.length] as (typeof deeds)[number];
      const root = id(`${first[0]}-${place}`);
      await store.session(root).addItems(numbered('item', 6));
      const tree = branches(store, root);
      const branch = (await tree.create('b')) as StoreSession;
      await branch.addItems(numbered('own', 2));
      const twig = (await tree.create('c', {
        from: 'b',
        ...(turn % 2 === 0 && { items: 7 }),
      })) as StoreSession;
      await store.session(root).addItems(numbered('late', 1));
      const sessions = [store.session(root), branch, twig];
      const texts: (readonly string[])[] = [
        [...numbered('item', 6), ...numbered('late', 1)].map(textOf),
        [...numbered('item', 6), ...numbered('own', 2)].map(textOf),
        [...numbered('item', 6), ...numbered('own', turn % 2 === 0 ? 1 : 2)].map(textOf),
      ];
      for (const [at, [, { act, model }]] of [
        [place, first],
        [(place + 1 + (turn % 2)) % 3, second],
      ] as const) {
        const before = texts[at] as readonly string[];
        await act(sessions[at] as StoreSession, before);
        texts[at] = model(before);
      }
      for (const [at, session] of sessions.entries()) {
        const elsewhere = other.session(await session.getSessionId(), { derived: true });
        const what = `${first[0]} on ${place}, then ${second[0]}, seen from ${at}`;
        assert.deepEqual(await textsOf(elsewhere), texts[at], what);
        lengths.set(await session.getSessionId(), (texts[at] as readonly string[]).length);
      }
    }
  }
  for await (const { id: found, items } of other.sessions({ derived: 'all' })) {
    if (!lengths.has(found)) continue;
    assert.equal(items, lengths.get(found), found);
    lengths.delete(found);
  }
  assert.deepEqual(new Set(lengths.values()), new Set([0]));
}

async function racesRemovals({ store, other, id }: Bench): Promise<void> {
  const root = id();
  const session = store.session(root);
  await session.addItems(numbered('item', 9));
  const [here, there] = [branches(store, root), branches(other, root)];
  const branch = (await here.create('b')) as StoreSession;
  for (let round = 1; round <= 4; round++) {
    await Promise.all([
      session.popItem(),
      there.create(`of-main-${round}`, { from: 'main' }),
      here.create(`of-b-${round}`, { from: 'b' }),
      other.session(await branch.getSessionId(), { derived: true }).popItem(),
    ]);
    for (const name of [`of-main-${round}`, `of-b-${round}`]) {
      const texts = await textsOf(there.session(name) as StoreSession);
      assert.ok(texts.length === 10 - round || texts.length === 9 - round, `${name} has ${texts.length}`);
      assert.deepEqual(texts, numbered('item', texts.length).map(textOf), name);
    }
  }
  assert.equal((await session.getItems()).length, 5);
  await Promise.all([session.clearSession(), branch.clearSession()]);
  for (let round = 1; round <= 4; round++) {
    for (const name of [`of-main-${round}`, `of-b-${round}`]) {
      const { length } = await here.session(name).getItems();
      assert.ok(length >= 9 - round, `${name} has ${length} after its source was cleared`);
    }
  }
}

async function outlivesSource({ store, other, id }: Bench): Promise<void> {
  const root = id();
  await store.session(root).addItems(numbered('item', 3));
  const tree = branches(store, root);
  const branch = await tree.create('b', { items: 2 });
  const did = dekId('of b');
  const key = dek(await branch.getSessionId(), 'of b');
  await store.session(root)[DEK_STORE].put(key);
  await branch.addItems([envelope({ s: 'XC20P', d: did, t: 1 })]);
  const whole = await branch.getItems();
  const twig = await tree.create('c', { from: 'b' });
  await tree.delete('b');
  const seen = other.session(await twig.getSessionId(), { derived: true });
  assert.deepEqual(await seen.getItems(), whole);
  await branches(other, root).create('d', { from: 'c', items: 1 });
  await branches(other, root).delete('c');
  assert.deepEqual((await branches(store, root).session('d').getItems()).map(textOf), ['item 0']);
  const found = await other.session(root)[DEK_STORE].get(key.sessionId, did);
  assert.ok(found !== undefined && 'destroyedAt' in found, 'a data key that nothing needs is left');
}

async function pagesAcross({ store, other, id }: Bench): Promise<void> {
  const root = id();
  await store.session(root).addItems(numbered('item', 700));
  const tree = branches(store, root);
  const branch = await tree.create('b', { items: 650 });
  await branch.addItems(numbered('own', 10));
  const twig = await tree.create('c', { from: 'b', items: 655 });
  await twig.addItems(numbered('twig', 5));
  const all = [...numbered('item', 650), ...numbered('own', 5), ...numbered('twig', 5)].map(textOf);
  const seen = other.session(await twig.getSessionId(), { derived: true });
  assert.deepEqual(await textsOf(seen), all);
  for (const count of [1, 5, 6, 10, 11, 400, 659, 660, 661])
    assert.deepEqual((await seen.getItems(count)).map(textOf), all.slice(-count));
  for (const [count, skip] of [
    [3, 4],
    [4, 8],
    [20, 300],
    [20, 650],
    [20, 660],
  ] as const) {
    const past = await seen[RECORDS].past(count, skip);
    const end = all.length - skip;
    assert.deepEqual(
      past.map(({ record }) => textOf(record)),
      all.slice(Math.max(end - count, 0), end),
    );
  }
}

/** Expired a long time ago, so that only this is purged. */
const EXPIRED = envelope({ s: 'none', t: LONG_AGO, e: LONG_AGO + 1 });

async function purgesBeginnings({ store, other, id }: Bench): Promise<void> {
  const root = id();
  await store.session(root).addItems([...numbered('item', 1), EXPIRED, ...numbered('end', 1)]);
  const tree = branches(store, root);
  const [free, held] = [await tree.create('free'), await tree.create('held', { items: 2 })];
  const twig = await tree.create('twig', { from: 'held' });
  await held.addItems(numbered('own', 1));
  const holds = store.session(root)[DEK_STORE].holds as HoldStore;
  const hold = { id: `hold-${root}`, sessionId: await held.getSessionId(), reason: 'a claim', placedAt: 1 };
  await holds.place(hold);
  await store.purgeExpired();
  const lengths = async (): Promise<number[]> => {
    const found: number[] = [];
    for (const session of [store.session(root), free, held, twig])
      found.push((await other.session(await session.getSessionId(), { derived: true }).getItems()).length);
    return found;
  };
  assert.deepEqual(await lengths(), [2, 2, 3, 1]);
  await rejects('ERR_HELD', held.clearSession());
  await holds.release(hold.id, 2);
  await other.purgeExpired();
  assert.deepEqual(await lengths(), [2, 2, 2, 1]);
  await free.addItems(numbered('new', 1));
  await store.session(root).addItems(numbered('newer', 1));
  assert.deepEqual(await lengths(), [3, 3, 2, 1]);
}

async function movesVersions({ store, other, id }: Bench): Promise<void> {
  const root = id();
  await store.session(root).addItems([...numbered('item', 2), EXPIRED]);
  const branch = (await branches(store, root).create('b')) as StoreSession;
  const before = await branch[VERSION].read();
  await other.purgeExpired();
  assert.notEqual(await branch[VERSION].read(), before);
  // What was purged at the end leaves no number that later items of the source could have in the branch.
  await store.session(root).addItems(numbered('late', 3));
  assert.deepEqual(await textsOf(branch), ['item 0', 'item 1']);
}

async function makesOnce({ store, other, id }: Bench): Promise<void> {
  const root = id();
  await store.session(root).addItems(numbered('item', 4));
  const attempts = Array.from({ length: 6 }, async (_, index) =>
    branches(index % 2 === 0 ? store : other, root).create('only', { items: 3 }),
  );
  const outcomes = await Promise.allSettled(attempts);
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const [index, { status }] of outcomes.entries())
    if (status === 'rejected') await rejects('ERR_CONFLICT', attempts[index] as Promise<unknown>);
  assert.equal((await branches(other, root).session('only').getItems()).length, 3);
}

async function switchesTogether({ store, other, id }: Bench): Promise<void> {
  const root = id();
  await store.session(root).addItems(numbered('item', 2));
  const names = ['a', 'b', 'c', 'd'];
  const trees = names.map((_, index) => branches(index % 2 === 0 ? store : other, root));
  await Promise.all(names.map(async (name, index) => trees[index]?.create(name)));
  await Promise.all(names.map(async (name, index) => trees[index]?.switch(name)));
  const seen = await Promise.all(trees.map(async (tree) => tree.current()));
  assert.equal(new Set(seen).size, 1);
  assert.ok(names.includes(seen[0] as string));
  const list = await branches(store, root).list();
  assert.deepEqual(list.map(({ name }) => name).toSorted(), ['a', 'b', 'c', 'd', 'main']);
}
