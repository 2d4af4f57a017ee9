import assert from 'node:assert/strict';
import { branches } from '../history/branches.ts';
import { MAINTENANCE } from '../session-contract.ts';
import { envelope, numbered, rejects, type Bench } from './store-bench.ts';

/** What a store must do for branches of a conversation. */
export const BRANCHES: ReadonlyMap<string, (bench: Bench) => Promise<void>> = new Map([
  ['begins a branch with copies that have the times of their originals', copiesTimes],
  ['makes a branch once, of all who make it at the same time', makesOnce],
  ['agrees on the current branch, of all who switch at the same time', switchesTogether],
] satisfies [string, (bench: Bench) => Promise<void>][]);

async function copiesTimes({ store, other, id }: Bench): Promise<void> {
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
    (await store[MAINTENANCE]?.records(of)) ?? [];
  assert.deepEqual(await records(await branch.getSessionId()), (await records(root)).slice(0, 3));
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
