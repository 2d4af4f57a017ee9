import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInputItem } from '@openai/agents';
import { afterAll, describe, expect, test } from 'vitest';
import { branches } from '../../src/history/index.ts';
import {
  eraseSession,
  eraseSubject,
  returnedSessions,
  verifyErasure,
} from '../../src/operations/retention.ts';
import { transfer } from '../../src/operations/transfer.ts';
import { MAINTENANCE } from '../../src/session-contract.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock } from '../../src/testing/index.ts';
import { everyStore } from '../stores/every-store.ts';

const message = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

const ids = async (values: AsyncIterable<{ readonly id: string }>): Promise<string[]> =>
  (await all(values)).map(({ id }) => id);

/** The clock of these stores is the machine's: the next record has a later time than the last. */
const pass = async (): Promise<void> => delay(3);

const X = '~branch~x~a';

/** A conversation with a branch, with or without records of the branch's own. */
async function withBranch(store: Store, own: readonly string[] = ['of the branch']): Promise<void> {
  await store.session('a').addItems([message('of the conversation')]);
  await pass();
  await branches(store, 'a').create('x');
  await store.session(X, { derived: true }).addItems(own.map(message));
  await pass();
}

async function makeAnew(store: Store, own: readonly string[]): Promise<void> {
  await branches(store, 'a').delete('x');
  await pass();
  await withNew(store, own);
}

async function withNew(store: Store, own: readonly string[]): Promise<void> {
  await branches(store, 'a').create('x');
  if (own.length > 0) await store.session(X, { derived: true }).addItems(own.map(message));
}

const cases = await everyStore('what was erased before');

describe.each(cases.filter(({ absent }) => !absent))('erasures in $name', (each) => {
  afterAll(() => each.clean());

  test.each([
    ['by two minutes', 120_000],
    ['by half a minute', 30_000],
    ['by years', 2 ** 37 + 12_345],
  ])('cover what a process wrote whose clock was ahead %s', async (_how, ahead) => {
    const id = `ahead by ${ahead}`;
    const clock = fakeClock(Date.now() + ahead);
    await using source = openSqlite(':memory:', { clock });
    await using store = each.open();
    await source.session(id, { subject: 'ada' }).addItems([message('secret')]);
    const written = clock();
    await transfer(source, store);
    const report = await eraseSubject(store, 'ada');
    expect(report.at).toBe(written);
    expect(await transfer(source, store)).toMatchObject({ sessions: 0, erased: [id] });
    const maintenance = store[MAINTENANCE]!;
    await maintenance.append(id, (await source[MAINTENANCE]?.records(id)) ?? [], 'ada');
    expect(await ids(returnedSessions(store))).toEqual([id]);
    expect(await verifyErasure(store, report)).toMatchObject([{ sessionId: id, what: 'records' }]);
    await eraseSession(store, id);
    // Written after the erasure, and not by the clock that was ahead only.
    clock.advance('1ms');
    await source.deleteSession(id);
    await source.session(id, { subject: 'ada' }).addItems([message('later')]);
    expect(await transfer(source, store)).toMatchObject({ sessions: 1, erased: [] });
    expect(await ids(returnedSessions(store))).toEqual([]);
    expect(await verifyErasure(store, report)).toEqual([]);
    await store.deleteSession(id);
  });

  test('find no session that the subject began and emptied later', async () => {
    await using store = each.open();
    await store.session('c', { subject: 'eve' }).addItems([message('1')]);
    const report = await eraseSubject(store, 'eve');
    await pass();
    for (const id of ['new', 'c']) {
      await store.session(id, { subject: 'eve' }).addItems([message('later')]);
      expect(await verifyErasure(store, report)).toEqual([]);
      await store.session(id).clearSession();
      expect(await verifyErasure(store, report)).toEqual([]);
    }
    for (const id of ['new', 'c']) await store.deleteSession(id);
  });

  describe.skipIf(each.name === 'a driver of the user')('of a branch', () => {
    test.each([
      ['with new items', ['new work']],
      ['without items of its own', []],
    ])('do not count when it was made anew %s', async (_how, own) => {
      await using store = each.open();
      await using standby = openSqlite(':memory:');
      await withBranch(store);
      await transfer(store, standby);
      const report = await eraseSession(store, X, { derived: true });
      await eraseSession(standby, X, { derived: true });
      await makeAnew(store, own);
      expect(await ids(returnedSessions(store))).toEqual([]);
      expect(await verifyErasure(store, report)).toEqual([]);
      expect(await transfer(store, standby)).toMatchObject({ erased: [] });
      const texts = await standby.session(X, { derived: true }).getItems();
      expect(texts).toEqual(['of the conversation', ...own].map(message));
      await store.deleteSession('a');
    });

    test.each([
      ['with items of its own', ['of the branch']],
      ['that only began with those of the conversation', []],
    ])('count for one %s, which a transfer would bring back', async (_how, own) => {
      await using store = each.open();
      await using backup = openSqlite(':memory:');
      await withBranch(store, own);
      await transfer(store, backup);
      const report = await eraseSession(store, X, { derived: true });
      expect(await transfer(backup, store)).toMatchObject({ erased: [X] });
      // As a restored backup does it.
      await store[MAINTENANCE]?.append(X, (await backup[MAINTENANCE]?.records(X)) ?? []);
      expect(await ids(returnedSessions(store))).toEqual([X]);
      expect(await verifyErasure(store, report)).toMatchObject([{ sessionId: X, what: 'records' }]);
      await store.deleteSession('a');
    });

    test('count with those of its conversation, also when the conversation was written again', async () => {
      await using store = each.open();
      await using backup = openSqlite(':memory:');
      await withBranch(store);
      await transfer(store, backup);
      await eraseSession(store, 'a');
      await pass();
      await backup.session(X, { derived: true }).addItems([message('later')]);
      expect((await transfer(backup, store)).erased.toSorted()).toEqual(['a', X, '~branches~~a'].toSorted());
    });
  });
});
