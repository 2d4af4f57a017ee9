import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { AgentInputItem } from '@openai/agents';
import { isStrongroomError } from '../errors.ts';
import { expire } from '../layers/expire.ts';
import { historyDigest } from '../protocol/digest.ts';
import { DEK_STORE, MAINTENANCE, OPERATIONS } from '../session-contract.ts';
import { wrapSession } from '../wrap-session.ts';
import { dek, envelope, fails, numbered, rejects, textOf, type Bench } from './store-bench.ts';

/** Calls that a store refuses before anything reaches the database. */
export const REFUSALS: ReadonlyMap<string, (bench: Bench) => Promise<void>> = new Map([
  ['refuses texts that not every database keeps as they are', badTexts],
  ['keeps the longest texts that it takes', longTexts],
  ['leaves a session with the subject that it was first written for', subjectStays],
  ['gives a session one subject when several are first', oneSubject],
  ['finishes what was called before it was closed, and refuses the rest at once', closesInOrder],
  ['removes nothing by any call under a legal hold', holdStopsRemoval],
  ['removes nothing after a legal hold was placed, however close they are', holdInTime],
] satisfies [string, (bench: Bench) => Promise<void>][]);

const LONG_AGO = Date.UTC(1990, 0);
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
  await rejects(
    'ERR_INVALID_ITEM',
    session.applyHistoryTransaction({ operationId: HALF, transaction: append }),
  );
  assert.deepEqual(await session.getItems(), numbered('item', 1));
  assert.deepEqual(await deks.holds?.list({ sessionId: name }), []);
  assert.equal(await session[OPERATIONS].has('a'), false);
}

async function longTexts({ store, id }: Bench): Promise<void> {
  const name = `${id()}${'é'.repeat(200)}`;
  const long = (start: string, bytes: number): string => start.padEnd(bytes, 'x');
  const session = store.session(name, { subject: long(randomUUID(), 512) });
  await session.addItems(numbered('item', 3));
  const twin = store.session(`${name}e`);
  await twin.addItems(numbered('twin', 2));
  assert.deepEqual(await session.getItems(), numbered('item', 3));
  assert.deepEqual(await twin.getItems(), numbered('twin', 2));
  await store.deleteSession(`${name}e`);
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

async function holdStopsRemoval({ store, other, id }: Bench): Promise<void> {
  const name = id();
  const session = store.session(name);
  const items = numbered('item', 4);
  await session.addItems(items);
  await session[DEK_STORE].put(dek(name, 'a'));
  const hold = { id: randomUUID(), sessionId: name, reason: 'case 7', placedAt: 1 };
  assert.equal(await other.session(name)[DEK_STORE].holds?.place(hold), true);
  const transact = (operationId: string, expected: AgentInputItem[], replacement: AgentInputItem[]) =>
    session.applyHistoryTransaction({
      operationId,
      transaction: { type: 'replace_suffix', expectedSuffix: expected, replacement },
    });
  const call: AgentInputItem = {
    type: 'function_call',
    callId: 'c',
    name: 'f',
    arguments: '{"a":1}',
    status: 'completed',
  };
  const prefix = { count: 2, digest: historyDigest(items.slice(0, 2)), replacement: numbered('summary', 1) };
  await session.addItems([call]);
  const whole = [...items, call];
  const maintenance = store[MAINTENANCE];
  for (const removal of [
    () => session.clearSession(),
    () => session.popItem(),
    () => session.replaceHistoryWithCompaction(numbered('summary', 1)),
    () => session.replaceHistoryWithCompaction([]),
    () => transact('drop', [call], []),
    () => transact('replace', [call], numbered('other', 1)),
    () => session.replacePrefix({ ...prefix, operationId: 'summary' }),
    () => session.replacePrefix({ ...prefix, operationId: 'archive', archiveTo: id() }),
    () =>
      session.applyHistoryMutations({
        mutations: [
          { type: 'replace_function_call', callId: 'c', replacement: { ...call, arguments: '{}' } },
        ],
      }),
    () => session[DEK_STORE].destroy(name),
    () => session[DEK_STORE].destroy(name, dek(name, 'a').did),
    () => store.deleteSession(name),
    async () => maintenance?.trim(name, 1),
    async () => maintenance?.dropIf(name, { lastBefore: Number.MAX_SAFE_INTEGER }),
  ]) {
    await rejects('ERR_HELD', removal(), `Session ${JSON.stringify(name)} is under the hold`);
  }
  for (const operation of ['drop', 'replace', 'summary', 'archive']) {
    assert.equal(await session[OPERATIONS].has(operation), false, 'a refused call was logged');
  }
  assert.deepEqual(await other.session(name).getItems(), whole);
  // Changes that only add, or put everything back, are still allowed.
  await session.addItems(numbered('more', 1));
  await transact('same and more', numbered('more', 1), [...numbered('more', 1), ...numbered('last', 1)]);
  await session.applyHistoryTransaction({
    operationId: 'append',
    transaction: { type: 'append_items', items: numbered('end', 1) },
  });
  const all = [...whole, ...numbered('more', 1), ...numbered('last', 1), ...numbered('end', 1)];
  assert.deepEqual(await other.session(name).getItems(), all);
  await session[DEK_STORE].holds?.release(hold.id, 2);
  await transact('drop', numbered('end', 1), []);
  assert.deepEqual(await session.popItem(), numbered('last', 1)[0]);
  await session.clearSession();
  assert.deepEqual(await other.session(name).getItems(), []);
}

async function holdInTime({ store, other, id }: Bench): Promise<void> {
  for (let round = 0; round < 12; round++) {
    const name = id();
    const session = store.session(name);
    const expired = envelope({ s: 'none', t: LONG_AGO, e: LONG_AGO + 1 });
    await session.addItems([expired, expired, expired]);
    const hold = { id: randomUUID(), sessionId: name, reason: 'case 7', placedAt: 1 };
    const removal = [
      () => session.clearSession(),
      () => session.popItem(),
      () => store.deleteSession(name),
      () => store.purgeExpired(),
    ][round % 4] as () => Promise<unknown>;
    const removing = removal().catch((error: unknown) => {
      assert.ok(isStrongroomError(error) && error.code === 'ERR_HELD', String(error));
    });
    await other.session(name)[DEK_STORE].holds?.place(hold);
    const seen = await other.session(name).getItems();
    await removing;
    assert.deepEqual(await other.session(name).getItems(), seen);
    await session[DEK_STORE].holds?.release(hold.id, 2);
  }
}

async function subjectStays({ store, other, id }: Bench): Promise<void> {
  const [name, mine, theirs] = [id(), `person-${randomUUID()}`, `person-${randomUUID()}`];
  await store.session(name).addItems(numbered('item', 2));
  const used = store.session(name, { subject: mine });
  await used.addItems(numbered('more', 1));
  const items = [...numbered('item', 2), ...numbered('more', 1)];
  const of = async (subject: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const summary of store.sessions({ subject })) found.push(summary.id);
    return found;
  };
  const key = dek(name, 'a');
  await store.session(name)[DEK_STORE].put(key);
  const sealed = envelope({ s: 'XC20P', d: key.did, t: 1 });
  // One process does not know the session yet; in the other it is in use.
  for (const session of [
    other.session(name, { subject: theirs }),
    store.session(name, { subject: theirs }),
  ]) {
    for (const call of [
      () => session.addItems(numbered('late', 1)),
      () => session.addItems([sealed]),
      () => session.addItems(numbered('many', 600)),
      () => session.popItem(),
      () => session.clearSession(),
      () => session.replaceHistoryWithCompaction(numbered('late', 1)),
      () =>
        session.applyHistoryTransaction({
          operationId: 'late',
          transaction: { type: 'append_items', items: numbered('late', 1) },
        }),
    ]) {
      await rejects('ERR_CONFLICT', call(), `Session ${JSON.stringify(name)} belongs to another subject`);
    }
  }
  for (const target of store === other ? [store] : [store, other]) {
    const append = target.appendMany?.([
      { id: name, items: numbered('late', 1), subject: theirs },
      { id: id(), items: numbered('own', 1), subject: theirs },
    ]);
    if (append !== undefined) await rejects('ERR_CONFLICT', append);
  }
  assert.deepEqual(await store.session(name).getItems(), items);
  assert.deepEqual(await of(mine), [name]);
  assert.equal((await of(theirs)).includes(name), false);
  // A refused call does not block later calls.
  await used.addItems(numbered('end', 1));
  await store.session(name).addItems(numbered('end', 1));
  await other.session(name, { subject: mine }).addItems(numbered('end', 1));
  await other.session(name).addItems(numbered('end', 1));
}

async function oneSubject({ store, other, id }: Bench): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const [name, mine, theirs] = [id(), `person-${randomUUID()}`, `person-${randomUUID()}`];
    const outcomes = await Promise.allSettled([
      store.session(name, { subject: mine }).addItems(numbered('mine', 1)),
      other.session(name, { subject: theirs }).addItems(numbered('theirs', 1)),
    ]);
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    const [won, lost] = outcomes[0].status === 'fulfilled' ? ['mine', theirs] : ['theirs', mine];
    assert.deepEqual(await store.session(name).getItems(), numbered(won, 1));
    for await (const summary of store.sessions({ subject: lost })) assert.notEqual(summary.id, name);
  }
}

async function closesInOrder({ store, other, id }: Bench): Promise<void> {
  if (store === other) return;
  const [bare, wrapped, neighbour] = [id(), id(), id()];
  const session = store.session(bare);
  const layered = wrapSession(store.session(wrapped), [expire({ after: '9d' })]);
  const expired = envelope({ s: 'none', t: LONG_AGO, e: LONG_AGO + 1 });
  await store.session(neighbour).addItems(Array<AgentInputItem>(20).fill(expired));
  const calls: Promise<unknown>[] = [];
  for (let call = 0; call < 30; call++) {
    calls.push(session.addItems(numbered(`${call}`, 1)), layered.addItems(numbered(`${call}`, 1)));
  }
  calls.push(session.getItems(), layered.getItems(), store.ping());
  const purging = store.purgeExpired({ batch: 1 });
  const closing = store.close();
  const late = [
    session.addItems(numbered('late', 1)),
    layered.addItems(numbered('late', 1)),
    layered.getItems(),
    layered.clearSession(),
    store.purgeExpired(),
    store.deleteSession(neighbour),
    store.ping(),
  ].map((call) => rejects('ERR_CLOSED', call));
  fails('ERR_CLOSED', () => store.session(bare));
  let isClosed = false;
  void closing.then(() => (isClosed = true));
  await Promise.all(late);
  assert.equal(isClosed, false, 'later calls are refused before those that wait are done');
  const outcomes = await Promise.allSettled([...calls, purging]);
  const [purged] = outcomes.splice(-1);
  assert.ok(purged?.status === 'fulfilled' || isClosedError(purged?.reason), 'the purge failed otherwise');
  assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set(['fulfilled']));
  await closing;
  const texts = Array.from({ length: 30 }, (_, call) => `${call} 0`);
  assert.deepEqual((await other.session(bare).getItems()).map(textOf), texts);
  const again = wrapSession(other.session(wrapped), [expire({ after: '9d' })]);
  assert.deepEqual((await again.getItems()).map(textOf), texts);
  for (const name of [bare, wrapped, neighbour]) await other.deleteSession(name);
}

function isClosedError(error: unknown): boolean {
  return isStrongroomError(error) && error.code === 'ERR_CLOSED';
}
