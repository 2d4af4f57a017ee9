import type { AgentInputItem } from '@openai/agents';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { memoryDriver } from '../../examples/support/memory-driver.ts';
import { branches } from '../../src/history/index.ts';
import { encrypt, wrapStore, type SessionLayer } from '../../src/index.ts';
import { announceErasure, erasedAt } from '../../src/operations/erasure/tombstones.ts';
import { hold, reencrypt, release, purgeDataKeys, sqliteDekStore } from '../../src/operations/index.ts';
import {
  eraseSession,
  eraseSubject,
  returnedSessions,
  type ErasureReport,
} from '../../src/operations/retention.ts';
import { transfer } from '../../src/operations/transfer.ts';
import { DEK_STORE, MAINTENANCE } from '../../src/session-contract.ts';
import { createStore, type KeyValueDriver } from '../../src/stores/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/index.ts';
import { everyStore } from '../stores/every-store.ts';

const keys = fixedKeyring();
const message = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const IDS = ['a', 'b', 'c'];

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

async function fill(store: Store, ids = IDS): Promise<void> {
  for (const id of ids) await store.session(id, { subject: 'person' }).addItems([message(`of ${id}`)]);
}

/** An erasure that ends before the last conversation. */
async function interrupted(store: Store): Promise<void> {
  const ending = new AbortController();
  const onProgress = (): void => ending.abort(new Error('the process ends'));
  await expect(eraseSubject(store, 'person', { signal: ending.signal, onProgress })).rejects.toThrow(
    'the process ends',
  );
}

const cases = await everyStore('repeated erasures');

describe.each(cases.filter(({ absent }) => !absent))('an interrupted erasure in $name', (each) => {
  afterAll(() => each.clean());

  test('that is repeated keeps what it removed before from coming back by a transfer', async () => {
    await using before = openSqlite(':memory:');
    await using store = each.open();
    await fill(store);
    await transfer(store, before);
    await interrupted(store);
    expect(await all(store.sessions({ subject: 'person' }))).toHaveLength(1);
    // The report of the repeat names them, too; a later one does not.
    const report = await eraseSubject(store, 'person');
    expect(report).toMatchObject({ kinds: { conversation: { sessions: 3, records: 3 } }, orphans: [] });
    expect(report.deleted.toSorted()).toEqual(IDS);
    expect((await eraseSubject(store, 'person')).deleted).toEqual([]);
    expect(await all(store.sessions({ derived: 'all' }))).toEqual([]);
    expect(await transfer(before, store)).toMatchObject({ sessions: 0, erased: IDS });
    expect(await all(store.sessions())).toEqual([]);
  });

  test('has a tombstone as soon as the session is removed, by the transaction that removes it', async () => {
    await using store = each.open();
    const maintenance = store[MAINTENANCE]!;
    const { dekStore } = maintenance;
    await store.session('one', { subject: 'x' }).addItems([message('1')]);
    await announceErasure(dekStore, 'one', maintenance.now(), undefined);
    expect(await erasedAt(dekStore, 'one')).toBeUndefined();
    await maintenance.drop('one');
    expect(await erasedAt(dekStore, 'one')).toBeGreaterThan(0);
    // Also of one that a purge left without a row.
    await announceErasure(dekStore, 'none', maintenance.now(), undefined);
    await maintenance.drop('none');
    expect(await erasedAt(dekStore, 'none')).toBeGreaterThan(0);
  });
});

test('a restored backup shows all that an interrupted and repeated erasure removed', async () => {
  await using dekStore = sqliteDekStore(':memory:');
  await using store = openSqlite(':memory:');
  await using backup = openSqlite(':memory:');
  const layers = [encrypt({ keys, dekStore })];
  await fill(wrapStore(store, layers));
  await transfer(store, backup);
  await interrupted(wrapStore(store, layers));
  const { sessions } = await eraseSubject(wrapStore(store, layers), 'person');
  expect(sessions.map((session) => session.keys.length)).toEqual([1, 1, 1]);
  const back = await all(returnedSessions(wrapStore(backup, layers)));
  expect(back.map(({ id }) => id).toSorted()).toEqual(IDS);
});

const DEAD = new Error('the process died');

/** A driver whose process dies at one of its changes: before it, or after it. */
function dying(driver: KeyValueDriver, at: number, isAfter: boolean): KeyValueDriver {
  let changes = 0;
  const alive = (): void => {
    if (changes >= at) throw DEAD;
  };
  return {
    ...driver,
    get: async (...keysOf) => {
      alive();
      return driver.get(...keysOf);
    },
    list: async (...range) => {
      alive();
      return driver.list(...range);
    },
    commit: async (...change) => {
      alive();
      changes++;
      if (changes < at) return driver.commit(...change);
      if (isAfter) await driver.commit(...change);
      throw DEAD;
    },
  };
}

test.each([
  ['before', false],
  ['after', true],
])(
  'a process that dies %s any change leaves a tombstone of each removed session, and of no other',
  async (_when, isAfter) => {
    const ids = ['a', '~branch~x~a', 'b'];
    const reports: unknown[] = [];
    for (let at = 1; ; at++) {
      const table = new Map<string, Uint8Array>();
      const store = createStore(memoryDriver(table));
      await fill(store, ['a', 'b']);
      await branches(store, 'a').create('x');
      await store.session('~branch~x~a', { derived: true }).addItems([message('of the branch')]);
      let isDead = false;
      let report: ErasureReport | undefined;
      try {
        report = await eraseSubject(createStore(dying(memoryDriver(table), at, isAfter)), 'person');
      } catch {
        isDead = true;
      }
      const found = async (): Promise<string[]> => {
        const states: string[] = [];
        for (const id of ids) {
          const session = store.session(id, { derived: true });
          const isErased = (await erasedAt(session[DEK_STORE], id)) !== undefined;
          const isThere = (await session.getItems()).length > 0;
          if (isErased === isThere)
            states.push(`${id}: ${isErased ? 'a tombstone too early' : 'no tombstone'}`);
        }
        return states;
      };
      expect([at, ...(await found())]).toEqual([at]);
      report ??= await eraseSubject(store, 'person');
      expect(report.orphans).toEqual([]);
      reports.push(report.kinds);
      if (!isDead) break;
      await eraseSession(store, 'a');
      expect([at, ...(await found())]).toEqual([at]);
      for (const id of ids) expect(await store.session(id, { derived: true }).getItems()).toEqual([]);
    }
    const whole = reports.pop();
    expect(reports.length).toBeGreaterThan(6);
    // When the process died at its very end, nothing of the erasure is left to report.
    expect(isAfter ? reports.pop() : {}).toEqual({});
    for (const kinds of reports) expect(kinds).toEqual(whole);
  },
);

test('a session that a hold kept at the last moment does not count as erased', async () => {
  await using store = openSqlite(':memory:');
  await using other = openSqlite(':memory:');
  let isErasing = true;
  const late: SessionLayer = {
    name: 'counsel',
    async around({ sessionId }, next) {
      if (sessionId === 'a' && isErasing) await hold(store, { sessionId: 'a', id: 'case', reason: 'case 7' });
      return next();
    },
  };
  const layers = [encrypt({ keys })];
  await fill(wrapStore(store, layers), ['a']);
  expect(await eraseSubject(wrapStore(store, [late, ...layers]), 'person')).toMatchObject({
    deleted: [],
    held: ['a'],
    orphans: [],
  });
  isErasing = false;
  await release(store, 'case');
  expect(await all(returnedSessions(store))).toEqual([]);
  const sealed = wrapStore(store, layers);
  expect(await reencrypt(sealed, { grace: 0 })).toMatchObject({ sessions: 1 });
  await transfer(store, other);
  expect(await transfer(other, store)).toMatchObject({ erased: [] });
  expect(await sealed.session('a').getItems()).toEqual([message('of a')]);
  expect(await eraseSubject(sealed, 'person')).toMatchObject({ deleted: ['a'], orphans: [] });
  expect(await transfer(other, store)).toMatchObject({ erased: ['a'] });
});

test('what an erasure announced and did not remove is no data key to a purge, and no erasure', async () => {
  await using store = openSqlite(':memory:');
  await fill(store, ['a']);
  const drop = vi.spyOn(store[MAINTENANCE]!, 'drop').mockRejectedValue(DEAD);
  await expect(eraseSession(store, 'a')).rejects.toThrow('the process died');
  drop.mockRestore();
  const clock = (): number => Date.now() + 1_000;
  expect(await purgeDataKeys(store, { after: '1ms', clock })).toEqual({ destroyed: [], held: [] });
  expect(await all(returnedSessions(store))).toEqual([]);
});
