import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInputItem } from '@openai/agents';
import { afterAll, describe, expect, test } from 'vitest';
import { branches } from '../../src/history/index.ts';
import { encrypt, expire, wrapStore } from '../../src/index.ts';
import { hold, release, sqliteDekStore } from '../../src/operations/index.ts';
import { eraseSession, eraseSubject, retention } from '../../src/operations/retention.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock, fixedKeyring } from '../../src/testing/index.ts';
import { everyStore } from '../stores/every-store.ts';

const message = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });

async function idsOf(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const { id, kind } of store.sessions({ derived: 'all' }))
    if (kind !== 'branches') found.push(id);
  return found.toSorted();
}

const HELD = '~branch~held~a';
const FREE = '~branch~free~a';

/** A conversation whose own items have expired and were purged, so that only two branches have a row. */
async function purged(store: Store): Promise<void> {
  const clock = fakeClock(Date.now() - 3_600_000);
  const expiring = wrapStore(store, [expire({ after: '1m', clock })]);
  await expiring.session('a', { subject: 'person' }).addItems([message('old')]);
  for (const name of ['held', 'free']) {
    await branches(store, 'a').create(name);
    await store.session(`~branch~${name}~a`, { derived: true }).addItems([message(name)]);
  }
  await store.purgeExpired();
}

const cases = await everyStore('holds after purges');

describe.each(cases.filter(({ absent }) => !absent))('a hold on a branch in $name', (each) => {
  afterAll(() => each.clean());

  test('keeps the other branches from the erasure of their subject, also when a purge left nothing of the conversation', async () => {
    await using store = each.open();
    await purged(store);
    expect(await idsOf(store)).toEqual([FREE, HELD]);
    await hold(store, { sessionId: HELD, id: 'case 1', reason: 'case' });
    const report = await eraseSubject(store, 'person');
    expect(report).toMatchObject({ deleted: [], orphans: [] });
    expect(report.held).toEqual(expect.arrayContaining([FREE, HELD]));
    expect(await idsOf(store)).toEqual([FREE, HELD]);
    // One that is named is not its conversation.
    expect(await eraseSession(store, FREE, { derived: true })).toMatchObject({ deleted: [FREE], held: [] });
    await release(store, 'case 1');
    expect(await eraseSubject(store, 'person')).toMatchObject({ held: [], orphans: [] });
    expect(await idsOf(store)).toEqual([]);
  });

  test('keeps them when it has no row itself', async () => {
    await using store = each.open();
    await purged(store);
    await store.deleteSession(HELD, { derived: true });
    await hold(store, { sessionId: HELD, id: 'case 2', reason: 'case' });
    const report = await eraseSubject(store, 'person');
    expect(report.deleted).toEqual([]);
    expect(report.held).toContain(FREE);
    await release(store, 'case 2');
    await eraseSubject(store, 'person');
  });

  test('keeps them from a rule of inactivity', async () => {
    await using store = each.open();
    await purged(store);
    await hold(store, { sessionId: HELD, id: 'case 3', reason: 'case' });
    await delay(3);
    const rules = retention(store, { maxIdle: '1ms', maxAhead: 'any' });
    const report = await rules.run();
    expect(report.deleted).toEqual([]);
    expect(report.held).toEqual(expect.arrayContaining([FREE, HELD]));
    await release(store, 'case 3');
    await rules.run();
    expect(await idsOf(store)).toEqual([]);
  });
});

test('a hold in the database of the data keys keeps them, too', async () => {
  await using dekStore = sqliteDekStore(':memory:');
  await using store = openSqlite(':memory:');
  const sealed = wrapStore(store, [encrypt({ keys: fixedKeyring(), dekStore })]);
  await sealed.session('a', { subject: 'person' }).addItems([message('1')]);
  await hold(dekStore, { sessionId: HELD, id: 'case', reason: 'case' });
  expect(await eraseSubject(sealed, 'person')).toMatchObject({ deleted: [], held: ['a'] });
  await release(dekStore, 'case');
  expect(await eraseSubject(sealed, 'person')).toMatchObject({ deleted: ['a'], held: [] });
});
