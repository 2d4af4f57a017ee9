import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { AgentInputItem } from '@openai/agents';
import { toBase64url, utf8 } from '../crypto/encoding.ts';
import type { DekStore } from '../keys/dek-store.ts';
import type { AppendStep, MaybePromise } from '../layer.ts';
import { historyDigest } from '../protocol/digest.ts';
import { cloneItem } from '../protocol/item.ts';
import { DEK_STORE, LEASES, MAINTENANCE, OPERATIONS, VERSION } from '../session-contract.ts';
import type { StoreSession } from '../stores/session.ts';
import type { SessionSummary, Store } from '../stores/store.ts';
import { sampleItems } from './sample-items.ts';
import { sessionChecks, userMessage, type TestApi } from './session-contract.ts';
import { dek, dekId, envelope, fails, numbered, rejects, textOf, type Bench } from './store-bench.ts';
import { BRANCHES } from './store-branches.ts';
import { LINEAGE } from './store-lineage.ts';
import { REFUSALS } from './store-refusals.ts';

/** Where {@link storeContract} gets its stores from. */
export interface StoreContractOptions {
  /**
   * Opens the database under test; the contract closes the stores that it opened. Two stores opened after each
   * other show the same data unless `shared` is `false`. The contract uses random session ids and deletes what it
   * wrote, so the database need not be empty.
   */
  readonly open: () => MaybePromise<Store<StoreSession>>;
  /** `false` when every store has a separate database, such as one in memory. Default `true`. */
  readonly shared?: boolean;
}

/**
 * Declares the tests that a store must pass: that its sessions keep {@link sessionContract}, that sessions are
 * isolated and ordered under concurrency, that every change is atomic and idempotent, that expired records and
 * deleted sessions are really removed, and that data keys are kept and destroyed as `encrypt()` requires.
 *
 * @param testApi - `describe` and `test` of the test runner.
 *
 * @example
 * ```ts
 * import { openSqlite } from 'strongroom/sqlite';
 * import { storeContract } from 'strongroom/testing';
 * import { describe, test } from 'vitest';
 *
 * storeContract({ describe, test }, { open: () => openSqlite(':memory:'), shared: false });
 * ```
 */
export function storeContract(testApi: TestApi, options: StoreContractOptions): void {
  const declare = (name: string, check: (bench: Bench) => Promise<void>): void => {
    testApi.test(name, () => onBench(options, check));
  };
  testApi.describe('gives sessions that the runner can rely on', () => {
    for (const [name, check] of sessionChecks(sampleItems())) {
      declare(name, ({ store, id }) => check(store.session(id())));
    }
  });
  testApi.describe('is a store of many sessions', () => {
    for (const [name, check] of [...CHECKS, ...LINEAGE, ...BRANCHES, ...REFUSALS]) declare(name, check);
  });
}

async function onBench(
  { open, shared = true }: StoreContractOptions,
  check: (bench: Bench) => Promise<void>,
): Promise<void> {
  const store = await open();
  const other = shared ? await open() : store;
  const ids: string[] = [];
  try {
    await check({
      store,
      other,
      id: (suffix = '') => {
        ids.push(`contract-${randomUUID()}${suffix}`);
        return ids.at(-1) as string;
      },
    });
    for (const id of ids) await other.deleteSession(id);
  } finally {
    await store.close();
    await other.close();
  }
}

const CHECKS: ReadonlyMap<string, (bench: Bench) => Promise<void>> = new Map([
  ['gives the same object for the same id', sameObject],
  ['refuses ids that are empty, too long or not text', badIds],
  ['keeps sessions apart, also when their ids look alike', isolation],
  ['shows at once to one store what another one wrote', twoStores],
  ['keeps the items of one call together under concurrent appends', contiguous],
  ['lets each item be popped once', popsOnce],
  ['applies a transaction once, whichever store repeats it', onceEverywhere],
  ['tells which operations it applied, until the session is cleared', operations],
  ['stores all items of a call or none', allOrNothing],
  ['replaces the whole history at once', replacesHistory],
  ['changes only the function call that is meant, in its place', mutatesInPlace],
  ['replaces the oldest items while others append', replacesPrefix],
  ['refuses to replace a prefix that is not there', prefixConflict],
  ['moves what it replaces to another session in the same step', archives],
  ['gives a history a version that it never had before', versions],
  ['tells what follows on a version by the appends that were made', ownAppends],
  ['renders envelopes again character by character', envelopes],
  ['lists its sessions with counts, bytes and times', lists],
  ['knows the oldest and the newest item wherever they stand, and drops a session by them', dropsByTimes],
  ['finds the sessions of a subject', subjects],
  ['purges by the clear header, without any key', purges],
  ['purges by the policy of today', purgesByPolicy],
  ['ends a purge when it is told to', abortsPurge],
  ['deletes a session with everything in it', deletes],
  ['keeps data keys, and a tombstone of each that was destroyed', dataKeys],
  ['refuses what was sealed under a destroyed data key', shredded],
  ['deletes nothing under a legal hold', holdsBlock],
  ['appends to many sessions at once, to each all or nothing', appendsMany],
  ['gives a lease to one owner at a time', leases],
  ['changes nothing for a run that lost the turn on a session', fences],
  ['changes nothing after another one has the turn, however close they are', fencesInTime],
  ['answers a ping, and nothing after it was closed', closes],
] satisfies [string, (bench: Bench) => Promise<void>][]);

async function sameObject({ store, id }: Bench): Promise<void> {
  const first = id();
  const session = store.session(first);
  assert.equal(store.session(first), session);
  assert.notEqual(store.session(id()), session);
  assert.equal(await session.getSessionId(), first);
}

async function badIds({ store }: Bench): Promise<void> {
  for (const id of [
    '',
    'nul \0',
    'half a pair \ud800',
    '~keys~~x',
    'x'.repeat(513),
    7,
    undefined,
    null,
  ] as string[]) {
    fails('ERR_INVALID_OPTION', () => store.session(id));
  }
  await rejects('ERR_INVALID_OPTION', store.deleteSession(''));
}

async function isolation({ store, id }: Bench): Promise<void> {
  const base = id();
  const alike = [
    base,
    base.toUpperCase(),
    `${base} `,
    ` ${base}`,
    `${base}\t`,
    `${base}é`,
    `${base}e\u0301`,
    `${base}ß`,
    `${base}ss`,
    `${base}%`,
    `${base}_`,
    `${base}:items`,
    `${base}{}`,
    `${base}0`,
    `${base}/`,
    `${base}/0`,
    `${base}🔐`,
  ];
  for (const name of alike) await store.session(name).addItems([userMessage(JSON.stringify(name))]);
  for (const name of alike) {
    assert.deepEqual(await store.session(name).getItems(), [userMessage(JSON.stringify(name))], name);
  }
  await store.session(base).clearSession();
  assert.deepEqual(await store.session(base).getItems(), []);
  for (const name of alike.slice(1)) {
    assert.equal((await store.session(name).getItems()).length, 1, name);
    await store.deleteSession(name);
    assert.deepEqual(await store.session(name).getItems(), []);
  }
}

async function twoStores({ store, other, id }: Bench): Promise<void> {
  const name = id();
  const [mine, theirs] = [store.session(name), other.session(name)];
  await mine.addItems(numbered('a', 2));
  assert.deepEqual(await theirs.getItems(), numbered('a', 2));
  await theirs.addItems(numbered('b', 1));
  assert.deepEqual(await mine.getItems(), [...numbered('a', 2), ...numbered('b', 1)]);
  assert.deepEqual(await mine.popItem(), numbered('b', 1)[0]);
  await theirs.clearSession();
  assert.deepEqual(await mine.getItems(), []);
}

async function contiguous({ store, other, id }: Bench): Promise<void> {
  const name = id();
  const writers = Array.from({ length: 8 }, (_, writer) => writer);
  await Promise.all(
    writers.map(async (writer) => {
      const session = (writer % 2 === 0 ? store : other).session(name);
      for (let call = 0; call < 5; call++) await session.addItems(numbered(`${writer}/${call}`, 4));
    }),
  );
  const texts = (await store.session(name).getItems()).map(textOf);
  assert.equal(texts.length, 160);
  const next = new Map<string, number>();
  for (let at = 0; at < texts.length; at += 4) {
    const [writer = '', call = ''] = (texts[at] as string).split(/[ /]/);
    assert.deepEqual(
      texts.slice(at, at + 4),
      numbered(`${writer}/${call}`, 4).map(textOf),
      'a call was torn',
    );
    assert.equal(Number(call), next.get(writer) ?? 0, 'the calls of one writer changed places');
    next.set(writer, Number(call) + 1);
  }
}

async function popsOnce({ store, other, id }: Bench): Promise<void> {
  const name = id();
  await store.session(name).addItems(numbered('item', 12));
  const popped = await Promise.all(
    Array.from({ length: 16 }, (_, index) => (index % 2 === 0 ? store : other).session(name).popItem()),
  );
  const texts = popped.flatMap((item) => (item === undefined ? [] : [textOf(item)]));
  assert.deepEqual(texts.sort(), numbered('item', 12).map(textOf).sort());
  assert.deepEqual(await store.session(name).getItems(), []);
}

async function onceEverywhere({ store, other, id }: Bench): Promise<void> {
  const name = id();
  const items = numbered('once', 2);
  const apply = (from: Store<StoreSession>): Promise<void> =>
    from
      .session(name)
      .applyHistoryTransaction({ operationId: 'operation', transaction: { type: 'append_items', items } });
  await Promise.all([apply(store), apply(other), apply(store), apply(other)]);
  assert.deepEqual(await store.session(name).getItems(), items);
  const another = other.session(name).applyHistoryTransaction({
    operationId: 'operation',
    transaction: { type: 'append_items', items: numbered('other', 1) },
  });
  await rejects(
    'ERR_CONFLICT',
    another,
    'Session history operation was already applied with a different transaction.',
  );
  const mismatch = other.session(name).applyHistoryTransaction({
    operationId: 'mismatch',
    transaction: { type: 'replace_suffix', expectedSuffix: numbered('never', 1), replacement: [] },
  });
  await rejects(
    'ERR_CONFLICT',
    mismatch,
    'Session history suffix no longer matches the transaction precondition.',
  );
  assert.deepEqual(await store.session(name).getItems(), items);
}

async function operations({ store, other, id }: Bench): Promise<void> {
  const name = id();
  const session = store.session(name);
  const log = other.session(name)[OPERATIONS];
  assert.equal(await log.has('one'), false);
  await session.applyHistoryTransaction({
    operationId: 'one',
    transaction: { type: 'append_items', items: [] },
  });
  assert.equal(await log.has('one'), true);
  assert.equal(await log.has('One'), false);
  assert.equal(await store.session(id())[OPERATIONS].has('one'), false);
  await session.clearSession();
  assert.equal(await log.has('one'), false);
}

async function allOrNothing({ store, id }: Bench): Promise<void> {
  const session = store.session(id());
  await session.addItems(numbered('before', 1));
  // An invalid item, which the store has to refuse.
  const broken = { type: 'message', role: 'user', content: Number.NaN } as unknown as AgentInputItem;
  await rejects('ERR_INVALID_ITEM', session.addItems([...numbered('never', 2), broken]));
  assert.deepEqual(await session.getItems(), numbered('before', 1));
}

async function replacesHistory({ store, other, id }: Bench): Promise<void> {
  const name = id();
  await store.session(name).addItems(numbered('old', 30));
  const next = [{ type: 'compaction', encrypted_content: 'opaque' } as AgentInputItem, ...numbered('new', 2)];
  const sizes = new Set<number>();
  const replaced = new AbortController();
  const watch = (async () => {
    while (!replaced.signal.aborted) sizes.add((await other.session(name).getItems()).length);
  })();
  await store.session(name).replaceHistoryWithCompaction(next);
  replaced.abort();
  await watch;
  assert.deepEqual(
    [...sizes].filter((size) => size !== 30 && size !== 3),
    [],
    'a reader saw half of a change',
  );
  assert.deepEqual(await other.session(name).getItems(), next);
}

async function mutatesInPlace({ store, id }: Bench): Promise<void> {
  const session = store.session(id());
  const call = (callId: string, value: number): AgentInputItem => ({
    type: 'function_call',
    callId,
    name: 'pay',
    status: 'completed',
    arguments: JSON.stringify({ value }),
  });
  const before = [...numbered('a', 2), call('x', 1), ...numbered('b', 2), call('x', 2), call('y', 3)];
  await session.addItems([...before, ...numbered('c', 1)]);
  await session.applyHistoryMutations({
    mutations: [{ type: 'replace_function_call', callId: 'x', replacement: call('x', 9) as never }],
  });
  assert.deepEqual(await session.getItems(), [
    ...numbered('a', 2),
    call('x', 9),
    ...numbered('b', 2),
    call('y', 3),
    ...numbered('c', 1),
  ]);
  await session.addItems(numbered('d', 1));
  assert.deepEqual((await session.getItems(2)).map(textOf), ['c 0', 'd 0']);
}

async function replacesPrefix({ store, other, id }: Bench): Promise<void> {
  const name = id();
  const session = store.session(name);
  const old = numbered('old', 6);
  await session.addItems(old);
  const digest = historyDigest(old.slice(0, 4));
  await other.session(name).addItems(numbered('late', 2));
  const replace = (): Promise<void> =>
    session.replacePrefix({
      count: 4,
      digest,
      replacement: [userMessage('summary')],
      operationId: 'summary-1',
    });
  await replace();
  const after = [userMessage('summary'), ...old.slice(4), ...numbered('late', 2)];
  assert.deepEqual(await other.session(name).getItems(), after);
  await replace();
  assert.deepEqual(await other.session(name).getItems(), after, 'a repeated operation changed the history');
  // More items than it replaces.
  await session.replacePrefix({
    count: 1,
    digest: historyDigest(after.slice(0, 1)),
    replacement: numbered('many', 5),
    operationId: 'summary-2',
  });
  assert.deepEqual(await session.getItems(), [...numbered('many', 5), ...after.slice(1)]);
  // All of it.
  await session.replacePrefix({
    count: 9,
    digest: historyDigest(await session.getItems()),
    replacement: numbered('all', 2),
    operationId: 'summary-3',
  });
  await session.addItems(numbered('end', 1));
  assert.deepEqual(await session.getItems(), [...numbered('all', 2), ...numbered('end', 1)]);
}

async function versions({ store, other, id }: Bench): Promise<void> {
  const [name, target] = [id(), id()];
  const session = store.session(name);
  const version = (of = name) => other.session(of)[VERSION].read();
  const none = await version();
  const seen = new Set([none]);
  const moves = async (what: string, change: () => Promise<unknown>, of = name): Promise<void> => {
    await change();
    const now = await version(of);
    assert.ok(!seen.has(now), `${what} did not move the version on`);
    assert.equal(await version(of), now, 'a read moved the version on');
    seen.add(now);
  };
  await moves('an append', () => session.addItems(numbered('item', 3)));
  await moves('another append', () => session.addItems(numbered('item', 3)));
  await moves('append_items', () =>
    session.applyHistoryTransaction({
      operationId: 'append',
      transaction: { type: 'append_items', items: numbered('transaction', 4) },
    }),
  );
  await moves('popItem', () => session.popItem());
  // The history is equal to the earlier one, but must have another version.
  await moves('an append of what was popped', () => session.addItems(numbered('transaction', 4).slice(-1)));
  const items = await session.getItems();
  const prefix = {
    count: 2,
    digest: historyDigest(items.slice(0, 2)),
    replacement: numbered('summary', 2),
    operationId: 'prefix',
    archiveTo: target,
  };
  await moves('replacePrefix', () => session.replacePrefix(prefix));
  await moves('an archive', () => Promise.resolve(), target);
  await moves('replace_suffix', () =>
    session.applyHistoryTransaction({
      operationId: 'suffix',
      transaction: {
        type: 'replace_suffix',
        expectedSuffix: items.slice(-1),
        replacement: numbered('other', 1),
      },
    }),
  );
  await moves('replaceHistoryWithCompaction', () =>
    session.replaceHistoryWithCompaction([envelope({ s: 'none', t: LONG_AGO, e: LONG_AGO + 1 }), ...items]),
  );
  await moves('a purge', () => store.purgeExpired());
  await moves('clearSession', () => session.clearSession());
  await session.addItems(numbered('again', 1));
  await store.deleteSession(name);
  assert.equal(await version(), none, 'a deleted session has a version');
  await moves('deletion', () => session.addItems(numbered('again', 1)));
}

async function ownAppends({ store, other, id }: Bench): Promise<void> {
  const name = id();
  const session = store.session(name);
  const source = session[VERSION];
  const foreign = other.session(name);
  const isShared = other !== store;
  // Appends are known from the first query on.
  await foreign[VERSION].read();
  const append = async (on: StoreSession, count: number): Promise<AppendStep> => {
    const items = numbered('item', count);
    await on.addItems(items);
    const step = on[VERSION].stepOf(items.at(-1) as AgentInputItem);
    assert.ok(step, 'an append is not known by its last item');
    assert.equal(step.records, count);
    assert.equal(on[VERSION].stepOf(items[0] as AgentInputItem), count === 1 ? step : undefined);
    return step;
  };
  for (const round of ['a session that is not there', 'a session']) {
    const before = await source.read();
    assert.deepEqual(await source.compare(before, []), { version: before, follows: true });
    const steps = [await append(session, 3), await append(session, 1), await append(session, 2)];
    const { version, follows } = await source.compare(before, steps);
    assert.ok(follows, `appends to ${round} do not follow on what was there`);
    assert.equal(version, await source.read());
    const isFollowed = async (by: readonly AppendStep[]): Promise<boolean> =>
      (await source.compare(before, by)).follows;
    assert.ok(!(await isFollowed([])), 'appends changed nothing');
    assert.ok(!(await isFollowed(steps.slice(1))), 'an append is missing');
    assert.ok(!(await isFollowed([...steps, ...steps])), 'appends were seen that were not made');
    assert.ok(
      !(await isFollowed([{ records: 6, mark: 1 }])),
      'appends were taken for others of their number',
    );
  }
  // Other writers append as many items before and after an append of this process.
  for (const [first, second] of [
    [foreign, session],
    [session, foreign],
  ] as const) {
    const before = await source.read();
    await append(first, 2);
    await append(second, 2);
    const marks = [
      { records: 2, mark: 5 },
      { records: 2, mark: 6 },
    ];
    assert.ok(!(await source.compare(before, marks)).follows, 'an append of others was taken for an own one');
  }
  const before = await source.read();
  const own = await append(session, 2);
  await session.popItem();
  await session.popItem();
  await append(isShared ? foreign : session, 2);
  assert.ok(!(await source.compare(before, [own])).follows, 'an append that is gone was seen');
}

async function prefixConflict({ store, id }: Bench): Promise<void> {
  const session = store.session(id());
  const items = numbered('item', 3);
  await session.addItems(items);
  const args = { replacement: [], operationId: 'prefix' };
  const conflict = 'Session history prefix no longer matches the transaction precondition.';
  await rejects(
    'ERR_CONFLICT',
    session.replacePrefix({ ...args, count: 2, digest: historyDigest(items.slice(1)) }),
    conflict,
  );
  await rejects(
    'ERR_CONFLICT',
    session.replacePrefix({ ...args, count: 4, digest: historyDigest(items) }),
    conflict,
  );
  await rejects('ERR_INVALID_OPTION', session.replacePrefix({ ...args, count: 0, digest: '' }));
  assert.deepEqual(await session.getItems(), items);
}

async function archives({ store, id }: Bench): Promise<void> {
  const session = store.session(id());
  const archive = store.session(id('-archive'));
  const items = numbered('item', 4);
  await session.addItems(items);
  const archiveTo = await archive.getSessionId();
  const args = { count: 3, digest: historyDigest(items.slice(0, 3)), replacement: [], operationId: 'move' };
  await session.replacePrefix({ ...args, archiveTo });
  await session.replacePrefix({ ...args, archiveTo });
  assert.deepEqual(await session.getItems(), items.slice(3));
  assert.deepEqual(await archive.getItems(), items.slice(0, 3));
}

async function envelopes({ store, id }: Bench): Promise<void> {
  const session = store.session(id());
  const jwe = `${toBase64url(utf8('{}'))}.a.b.c.d`;
  const items = [
    envelope({ s: 'none' }),
    envelope({ s: 'none', t: 5, o: toBase64url(new Uint8Array(16)), 'x-w': 'abc' }),
    envelope({ s: 'XC20P', d: dekId('one'), t: 1 }),
    envelope({ s: 'XC20P', d: dekId('two'), t: 2, e: Number.MAX_SAFE_INTEGER, g: 1 }),
    envelope({ s: 'XAES-256-GCM', d: dekId('three'), t: 3, 'x-a': null, 'x-b': 1.5, 'x-c': true }),
    envelope({ s: 'XC20P', d: dekId('four'), t: 4, o: toBase64url(new Uint8Array(16).fill(7)) }, jwe),
    envelope(
      { s: 'XC20P', d: dekId('five'), t: 5 },
      undefined,
      Uint8Array.from({ length: 256 }, (_, byte) => byte),
    ),
  ];
  const strange = [
    { ...cloneItem(items[0] as object), id: 'msg_1' },
    { role: 'user', type: 'message', content: (items[0] as { content: unknown }).content },
    { ...items[0], content: [{ text: 'sr1.e30.', type: 'input_text' }] },
    {
      ...items[0],
      content: [...(items[0] as { content: unknown[] }).content, { type: 'input_text', text: '' }],
    },
    userMessage('sr1.eyJzIjoibm9uZSJ9.e30='),
    userMessage('sr1.eyJzIjogIm5vbmUifQ.e30'),
  ] as AgentInputItem[];
  await session.addItems([...items, ...strange]);
  assert.equal(JSON.stringify(await session.getItems()), JSON.stringify([...items, ...strange]));
}

async function lists({ store, id }: Bench): Promise<void> {
  const [first, second, empty] = [id(), id(), id()];
  await store.session(first).addItems([envelope({ s: 'none', t: 1_000 }), envelope({ s: 'none', t: 3_000 })]);
  await store.session(second).addItems(numbered('item', 3));
  await store.session(empty).addItems(numbered('item', 1));
  await store.session(empty).clearSession();
  const found = await summariesOf(store, [first, second, empty]);
  assert.deepEqual([...found.keys()].sort(), [first, second].sort());
  const { bytes, ...rest } = found.get(first) as SessionSummary;
  assert.deepEqual(rest, { id: first, items: 2, firstAt: 1_000, lastAt: 3_000 });
  assert.ok(bytes >= 4 && bytes < 1_000, `${bytes} bytes`);
  const plain = found.get(second) as SessionSummary;
  assert.equal(plain.items, 3);
  assert.ok(plain.firstAt <= plain.lastAt && Math.abs(Date.now() - plain.lastAt) < 60_000);
}

async function dropsByTimes({ store, other, id }: Bench): Promise<void> {
  const maintenance = other[MAINTENANCE];
  // As after a summary of the first items and a replacement near the end.
  const written = [3_000, 1_000, 4_000, 2_000];
  const [oldest, newest] = [id(), id()];
  for (const each of [oldest, newest])
    await store.session(each).addItems(written.map((t) => envelope({ s: 'none', t })));
  const found = await summariesOf(other, [oldest]);
  assert.deepEqual([found.get(oldest)?.firstAt, found.get(oldest)?.lastAt], [1_000, 4_000]);
  assert.equal(await maintenance?.dropIf(oldest, { firstBefore: 999 }), false);
  assert.equal(await maintenance?.dropIf(oldest, { firstBefore: 1_000 }), true);
  assert.equal(await maintenance?.dropIf(newest, { lastBefore: 3_999 }), false);
  assert.equal(await maintenance?.dropIf(newest, { lastBefore: 4_000 }), true);
  assert.equal(await maintenance?.dropIf(newest, { lastBefore: 4_000 }), false);
  assert.equal((await summariesOf(store, [oldest, newest])).size, 0);
}

async function subjects({ store, other, id }: Bench): Promise<void> {
  const [a, b, c, person] = [id(), id(), id(), `person-${randomUUID()}`];
  await store.session(a, { subject: person }).addItems(numbered('a', 1));
  await store.session(b, { subject: person }).addItems(numbered('b', 1));
  await store.session(c, { subject: `${person}-2` }).addItems(numbered('c', 1));
  const of = async (subject: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const summary of other.sessions({ subject })) {
      assert.equal(summary.subject, subject);
      found.push(summary.id);
    }
    return found.sort();
  };
  assert.deepEqual(await of(person), [a, b].sort());
  assert.deepEqual(await of(`${person}-2`), [c]);
  assert.deepEqual(await of(`${person}-3`), []);
  await other.deleteSession(a);
  assert.deepEqual(await of(person), [b]);
}

const FAR = Date.UTC(2200, 0);
const LONG_AGO = Date.UTC(1980, 0);

async function purges({ store, other, id }: Bench): Promise<void> {
  const [mixed, gone, kept] = [id(), id(), id()];
  const expired = envelope({ s: 'none', t: LONG_AGO, e: LONG_AGO + 1 });
  const alive = envelope({ s: 'none', t: LONG_AGO, e: FAR });
  const sealed = envelope({ s: 'XC20P', d: dekId('purge'), t: LONG_AGO, e: LONG_AGO + 1 });
  await store.session(mixed).addItems([expired, alive, sealed, ...numbered('plain', 1), expired]);
  await store.session(gone).addItems([expired, expired]);
  await store.session(kept).addItems([alive]);
  const report = await other.purgeExpired({ batch: 2 });
  assert.ok(report.items >= 5 && report.sessions >= 2, JSON.stringify(report));
  assert.deepEqual(await store.session(mixed).getItems(), [alive, ...numbered('plain', 1)]);
  assert.deepEqual(await store.session(gone).getItems(), []);
  const left = await summariesOf(store, [mixed, gone, kept]);
  assert.deepEqual([...left.keys()].sort(), [mixed, kept].sort());
  await store.session(gone).addItems(numbered('again', 1));
  assert.deepEqual(await store.session(gone).getItems(), numbered('again', 1));
}

async function purgesByPolicy({ store, id }: Bench): Promise<void> {
  const name = id();
  const after = Date.now() - Date.UTC(1990, 0);
  const old = envelope({ s: 'none', t: LONG_AGO, e: FAR });
  const oldWithoutEnd = envelope({ s: 'none', t: LONG_AGO });
  const lateResult = envelope({ s: 'none', t: Date.UTC(2020, 0), e: FAR, g: LONG_AGO });
  const young = envelope({ s: 'none', t: Date.UTC(2020, 0), e: FAR });
  await store.session(name).addItems([old, young, oldWithoutEnd, lateResult, ...numbered('plain', 1)]);
  const report = await store.purgeExpired({ after });
  assert.ok(report.items >= 3);
  assert.deepEqual(await store.session(name).getItems(), [young, ...numbered('plain', 1)]);
  await rejects('ERR_INVALID_OPTION', store.purgeExpired({ after: 'soon' as never }));
  await rejects('ERR_INVALID_OPTION', store.purgeExpired({ batch: 0 }));
}

async function abortsPurge({ store, id }: Bench): Promise<void> {
  const name = id();
  await store.session(name).addItems([envelope({ s: 'none', t: LONG_AGO, e: LONG_AGO + 1 })]);
  const reason = new Error('enough');
  await assert.rejects(store.purgeExpired({ signal: AbortSignal.abort(reason) }), reason);
  assert.equal((await store.session(name).getItems()).length, 1);
}

async function deletes({ store, other, id }: Bench): Promise<void> {
  const [name, neighbour] = [id(), id()];
  await store.session(name).applyHistoryTransaction({
    operationId: 'one',
    transaction: { type: 'append_items', items: numbered('item', 3) },
  });
  await store.session(neighbour).addItems(numbered('other', 1));
  const deks = store.session(name)[DEK_STORE];
  await deks.put(dek(name, 'one'));
  await deks.put(dek(neighbour, 'two'));
  await other.deleteSession(name);
  assert.deepEqual(await store.session(name).getItems(), []);
  assert.equal(await store.session(name)[OPERATIONS].has('one'), false);
  assert.equal('destroyedAt' in ((await deks.get(name, dekId('one'))) ?? {}), true);
  assert.deepEqual(await deks.get(neighbour, dekId('two')), dek(neighbour, 'two'));
  assert.deepEqual(await store.session(neighbour).getItems(), numbered('other', 1));
  await other.deleteSession(name);
  await store.session(name).addItems(numbered('again', 1));
  assert.deepEqual(await other.session(name).getItems(), numbered('again', 1));
}

async function dataKeys({ store, other, id }: Bench): Promise<void> {
  const [name, neighbour] = [id(), id()];
  const deks: DekStore = store.session(name)[DEK_STORE];
  const theirs: DekStore = other.session(neighbour)[DEK_STORE];
  assert.equal(await deks.get(name, dekId('a')), undefined);
  assert.equal(await deks.put(dek(name, 'a')), true);
  assert.equal(await theirs.put({ ...dek(name, 'a'), wrapped: 'another' }), false);
  assert.equal(await deks.put(dek(name, 'b')), true);
  assert.equal(await deks.put({ ...dek(neighbour, 'a'), kid: `kid-${name}` }), true);
  assert.deepEqual(await theirs.get(name, dekId('a')), dek(name, 'a'));
  const listed = async (filter: Parameters<DekStore['list']>[0]): Promise<string[]> => {
    const found: string[] = [];
    for await (const record of theirs.list(filter)) found.push(record.did);
    return found.sort();
  };
  assert.deepEqual(await listed({ sessionId: name }), [dekId('a'), dekId('b')].sort());
  assert.deepEqual(await listed({ kid: `kid-${name}` }), [dekId('a')]);
  assert.deepEqual(await listed({ sessionId: name, kid: 'no such key' }), []);
  const next = { wrapped: 'wrapped again', kid: 'kid-2' };
  assert.equal(await theirs.replaceWrapped(name, dekId('a'), 'not what it was', next), false);
  assert.equal(await theirs.replaceWrapped(name, dekId('a'), dek(name, 'a').wrapped, next), true);
  assert.deepEqual(await deks.get(name, dekId('a')), { ...dek(name, 'a'), ...next });
  const [tombstone] = await deks.destroy(name, dekId('a'));
  assert.equal(tombstone?.did, dekId('a'));
  assert.deepEqual(await theirs.get(name, dekId('a')), tombstone);
  assert.equal(await deks.put(dek(name, 'a')), false, 'a destroyed key came back');
  assert.equal(await deks.replaceWrapped(name, dekId('a'), next.wrapped, next), false);
  assert.deepEqual(await listed({ sessionId: name }), [dekId('b')]);
  const all = await theirs.destroy(name);
  assert.deepEqual(all.map(({ did }) => did).sort(), [dekId('a'), dekId('b')].sort());
  assert.deepEqual(await listed({ sessionId: name }), []);
  assert.equal((await deks.get(neighbour, dekId('a')))?.sessionId, neighbour);
}

async function shredded({ store, other, id }: Bench): Promise<void> {
  const name = id();
  const session = store.session(name);
  await session[DEK_STORE].put(dek(name, 'live'));
  await session[DEK_STORE].put(dek(name, 'shredded'));
  const sealed = (key: string, text: string, wrapped?: string): AgentInputItem =>
    envelope({ s: 'XC20P', d: dekId(key), t: text.length }, wrapped);
  const stored = [sealed('live', 'a'), sealed('shredded', 'bb'), sealed('elsewhere', 'ccc')];
  await session.addItems(stored);
  await other.session(name)[DEK_STORE].destroy(name, dekId('shredded'));
  const late = sealed('shredded', 'dddd');
  await rejects('ERR_SHREDDED', session.addItems([sealed('live', 'eeeee'), late]));
  await rejects('ERR_SHREDDED', session.replaceHistoryWithCompaction([late]));
  await rejects(
    'ERR_SHREDDED',
    session.applyHistoryTransaction({
      operationId: 'late',
      transaction: { type: 'append_items', items: [late] },
    }),
  );
  assert.equal(await session[OPERATIONS].has('late'), false);
  assert.deepEqual(await session.getItems(), stored, 'records under a destroyed key keep their bytes');
  const inline = sealed('shredded', 'ffffff', `${toBase64url(utf8('{}'))}.a.b.c.d`);
  await session.addItems([inline]);
  assert.deepEqual(await session.getItems(1), [inline], 'a key in the envelope needs no row');
  await session.applyHistoryTransaction({
    operationId: 'keep',
    transaction: { type: 'replace_suffix', expectedSuffix: [...stored, inline], replacement: stored },
  });
  assert.deepEqual(await session.getItems(), stored);
}

async function holdsBlock({ store, other, id }: Bench): Promise<void> {
  const [name, hold] = [id(), `hold-${randomUUID()}`];
  const session = store.session(name);
  const { holds } = session[DEK_STORE];
  assert.ok(holds !== undefined, 'the DEK store of a store keeps holds');
  await session[DEK_STORE].put(dek(name, 'held'));
  const expired = envelope({ s: 'none', t: LONG_AGO, e: LONG_AGO + 1 });
  await session.addItems([expired]);
  const placed = { id: hold, sessionId: name, reason: 'case 7', placedAt: 5, placedBy: 'counsel' };
  assert.equal(await holds.place(placed), true);
  assert.equal(await holds.place({ ...placed, reason: 'another' }), false);
  await rejects('ERR_HELD', other.deleteSession(name));
  await rejects('ERR_HELD', other.session(name)[DEK_STORE].destroy(name));
  await store.purgeExpired({ after: Date.now() - Date.UTC(1990, 0) });
  assert.deepEqual(await session.getItems(), [expired]);
  assert.deepEqual(await holds.list({ sessionId: name }), [placed]);
  assert.deepEqual(await holds.list({ sessionId: name, open: false }), []);
  const released = { ...placed, releasedAt: 9, releasedBy: 'court' };
  assert.deepEqual(await holds.release(hold, 9, 'court'), released);
  assert.deepEqual(await holds.release(hold, 11, 'nobody'), released, 'the first release counts');
  assert.equal(await holds.release(`no-${hold}`, 11), undefined);
  assert.deepEqual(await holds.list({ sessionId: name, open: true }), []);
  await store.purgeExpired();
  assert.deepEqual(await session.getItems(), []);
}

async function appendsMany({ store, id }: Bench): Promise<void> {
  if (store.appendMany === undefined) return;
  const [a, b, c] = [id(), id(), id()];
  await store.session(a).addItems(numbered('a', 1));
  await store.session(c)[DEK_STORE].put(dek(c, 'gone'));
  await store.session(c)[DEK_STORE].destroy(c, dekId('gone'));
  await store.appendMany([
    { id: a, items: numbered('more', 3) },
    { id: b, items: numbered('b', 2) },
    { id: a, items: numbered('last', 1) },
  ]);
  assert.deepEqual((await store.session(a).getItems()).map(textOf), [
    'a 0',
    'more 0',
    'more 1',
    'more 2',
    'last 0',
  ]);
  const shreddedItem = envelope({ s: 'XC20P', d: dekId('gone'), t: 1 });
  await rejects(
    'ERR_SHREDDED',
    store.appendMany([
      { id: b, items: numbered('stored', 1) },
      { id: c, items: [shreddedItem, ...numbered('never', 1)] },
    ]),
  );
  assert.deepEqual((await store.session(b).getItems(1)).map(textOf), ['stored 0']);
  assert.deepEqual(await store.session(c).getItems(), []);
  await store.appendMany([]);
}

async function leases({ store, other, id }: Bench): Promise<void> {
  const [mine, theirs] = [store[MAINTENANCE]?.leases, other[MAINTENANCE]?.leases];
  if (mine === undefined || theirs === undefined) return;
  const name = `job ${id()}` as const;
  assert.equal(await mine.acquire(name, 'one', 60_000), true);
  assert.equal(await mine.acquire(name, 'one', 60_000), true);
  assert.equal(await theirs.acquire(name, 'two', 60_000), false);
  assert.equal(await theirs.renew(name, 'two', 60_000), false);
  assert.equal(await mine.renew(name, 'one', 60_000), true);
  await theirs.release(name, 'two');
  assert.equal(await theirs.acquire(name, 'two', 60_000), false);
  await mine.release(name, 'one');
  assert.equal(await mine.renew(name, 'one', 60_000), false);
  const race = await Promise.all(
    ['a', 'b', 'c', 'd'].map((owner, index) =>
      (index % 2 === 0 ? mine : theirs).acquire(name, owner, 60_000),
    ),
  );
  assert.equal(race.filter((won) => won).length, 1, 'not one owner has the lease');
  await mine.release(name, ['a', 'b', 'c', 'd'][race.indexOf(true)] as string);
}

async function fences({ store, other, id }: Bench): Promise<void> {
  const name = id();
  const lease = `session ${name}` as const;
  const session = store.session(name);
  const turns = session[LEASES];
  const items = numbered('item', 3);
  await session.addItems(items.slice(0, 2));
  await turns.acquire(lease, 'one', 60_000);
  turns.fence({ lease, owner: 'one' });
  const inTime = {
    operationId: 'in time',
    transaction: { type: 'append_items' as const, items: items.slice(2) },
  };
  await session.applyHistoryTransaction(inTime);
  await turns.release(lease, 'one');
  const digest = historyDigest(items.slice(0, 1));
  const refusesAll = async (): Promise<void> => {
    for (const change of [
      () => session.addItems(numbered('late', 1)),
      () => session.popItem(),
      () => session.clearSession(),
      () => session.replaceHistoryWithCompaction(numbered('late', 1)),
      () =>
        session.applyHistoryTransaction({
          operationId: 'late',
          transaction: { type: 'append_items', items: numbered('late', 1) },
        }),
      () => session.replacePrefix({ count: 1, digest, replacement: [], operationId: 'late prefix' }),
    ]) {
      await rejects('ERR_CONFLICT', change());
    }
    // Its answer was lost, so it is repeated; it had been applied.
    await session.applyHistoryTransaction(inTime);
    assert.deepEqual(await session.getItems(), items);
  };
  await refusesAll();
  await other.session(name)[LEASES].acquire(lease, 'two', 60_000);
  await refusesAll();
  assert.equal(await session[OPERATIONS].has('late'), false);
  turns.fence(undefined);
  await session.addItems(numbered('unfenced', 1));
  assert.deepEqual(await session.getItems(), [...items, ...numbered('unfenced', 1)]);
  await turns.release(lease, 'two');
}

async function fencesInTime({ store, other, id }: Bench): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const name = id();
    const lease = `session ${name}` as const;
    const session = store.session(name);
    const turns = session[LEASES];
    await turns.acquire(lease, 'one', 30);
    turns.fence({ lease, owner: 'one' });
    const over = new AbortController();
    const end = (): void => over.abort();
    const appending = (async () => {
      while (!over.signal.aborted) await session.addItems(numbered('late', 1)).catch(end);
      await rejects('ERR_CONFLICT', session.addItems(numbered('late', 1)));
    })();
    const theirs = other.session(name)[LEASES];
    while (!(await theirs.acquire(lease, 'two', 60_000)));
    const seen = (await other.session(name).getItems()).length;
    end();
    await appending;
    turns.fence(undefined);
    assert.equal((await other.session(name).getItems()).length, seen);
    await theirs.release(lease, 'two');
  }
}

async function closes({ store }: Bench): Promise<void> {
  const session = store.session(`contract-${randomUUID()}`);
  await session.addItems(numbered('item', 1));
  await store.ping();
  await store.deleteSession(await session.getSessionId());
  await store.close();
  await store.close();
  await store[Symbol.asyncDispose]();
  fails('ERR_CLOSED', () => store.session('x'));
  await rejects('ERR_CLOSED', session.getItems());
  await rejects('ERR_CLOSED', session.addItems(numbered('item', 1)));
  await rejects('ERR_CLOSED', session[DEK_STORE].get('a', 'b'));
  await rejects('ERR_CLOSED', store.purgeExpired());
  await rejects('ERR_CLOSED', store.ping());
  await rejects('ERR_CLOSED', store.deleteSession('x'));
  await rejects('ERR_CLOSED', summariesOf(store, []));
}

async function summariesOf(
  store: Store<StoreSession>,
  ids: readonly string[],
): Promise<Map<string, SessionSummary>> {
  const found = new Map<string, SessionSummary>();
  for await (const summary of store.sessions()) if (ids.includes(summary.id)) found.set(summary.id, summary);
  return found;
}
