import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { DEK_STORE } from '../keys/dek-store.ts';
import { MAINTENANCE } from '../stores/maintenance.ts';
import { OPERATIONS } from '../stores/session.ts';
import { dek, fails, numbered, rejects, type Bench } from './store-bench.ts';

/** What a store refuses at the door: nothing of it reaches the database. */
export const REFUSALS: ReadonlyMap<string, (bench: Bench) => Promise<void>> = new Map([
  ['refuses texts that not every database keeps as they are', badTexts],
  ['keeps the longest texts that it takes', longTexts],
] satisfies [string, (bench: Bench) => Promise<void>][]);

const HALF = 'half a pair \ud800';

async function badTexts({ store, id }: Bench): Promise<void> {
  const name = id();
  const session = store.session(name);
  const deks = session[DEK_STORE];
  const hold = { id: randomUUID(), sessionId: name, reason: 'case 7', placedAt: 1 };
  const refused = async (...works: (() => Promise<unknown>)[]): Promise<void> => {
    for (const work of works) await rejects('ERR_INVALID_OPTION', work());
  };
  for (const bad of ['', HALF, 'nul \0', 'x'.repeat(70_000)]) {
    await refused(
      ...['id', 'sessionId', 'reason', 'placedBy'].map(
        (field) => async () => deks.holds?.place({ ...hold, [field]: bad }),
      ),
      ...['sessionId', 'did', 'kid', 'wrapped'].map(
        (field) => () => deks.put({ ...dek(name, 'a'), [field]: bad }),
      ),
      async () => store[MAINTENANCE]?.leases.acquire(`job ${bad || HALF}`, 'one', 1_000),
      () => store.sessions({ subject: bad })[Symbol.asyncIterator]().next(),
    );
    fails('ERR_INVALID_OPTION', () => store.session(id(), { subject: bad }));
  }
  await session.addItems(numbered('item', 1));
  for (const archiveTo of [HALF, 'x'.repeat(513)]) {
    await refused(() =>
      session.replacePrefix({ count: 1, digest: 'x', replacement: [], operationId: 'a', archiveTo }),
    );
  }
  const append = { type: 'append_items' as const, items: numbered('late', 1) };
  await refused(() => session.applyHistoryTransaction({ operationId: HALF, transaction: append }));
  assert.deepEqual(await session.getItems(), numbered('item', 1));
  assert.deepEqual(await deks.holds?.list({ sessionId: name }), []);
  assert.equal(await session[OPERATIONS].has('a'), false);
}

async function longTexts({ store, id }: Bench): Promise<void> {
  const name = `${id()}${'é'.repeat(200)}`;
  const long = (start: string, bytes: number): string => start.padEnd(bytes, 'x');
  const session = store.session(name, { subject: long(randomUUID(), 512) });
  await session.addItems(numbered('item', 1));
  const { holds } = session[DEK_STORE];
  const hold = {
    id: long(randomUUID(), 512),
    sessionId: name,
    reason: long('case 7', 65_535),
    placedAt: 1,
    placedBy: long('counsel', 512),
  };
  assert.equal(await holds?.place(hold), true);
  assert.deepEqual(await holds?.list({ sessionId: name }), [hold]);
  const released = { ...hold, releasedAt: 2, releasedBy: long('court', 512) };
  assert.deepEqual(await holds?.release(hold.id, 2, released.releasedBy), released);
  const key = { ...dek(name, 'a'), kid: long('kid', 255), wrapped: long('wrapped', 65_535) };
  assert.equal(await session[DEK_STORE].put(key), true);
  assert.deepEqual(await session[DEK_STORE].get(name, key.did), key);
  const lease = `session ${name}` as const;
  assert.equal(await store[MAINTENANCE]?.leases.acquire(lease, long('', 64), 60_000), true);
  assert.equal(await store[MAINTENANCE]?.leases.acquire(lease, 'another', 60_000), false);
  await store.deleteSession(name);
}
