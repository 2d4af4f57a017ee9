import {
  Agent,
  MemorySession,
  Runner,
  tool,
  type AgentInputItem,
  type Session,
  type SessionHistoryTransactionArgs,
} from '@openai/agents';
import { assistantMessage, functionCall, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { branches } from '../../src/history/branches.ts';
import { hold, release } from '../../src/operations/holds.ts';
import { memoryDekStore } from '../../src/keys/memory-dek-store.ts';
import { migrate } from '../../src/operations/migrate.ts';
import { purgeDataKeys } from '../../src/operations/purge-data-keys.ts';
import { reencrypt } from '../../src/operations/reencrypt.ts';
import { retention } from '../../src/operations/retention.ts';
import { rewrap } from '../../src/operations/rewrap.ts';
import type { Layers } from '../../src/layer.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { wrapSession, type Wrapped } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { everyStore } from '../stores/every-store.ts';
import { uniqueName } from '../stores/servers.ts';

// What a legal hold stops through the layers, and what a run does under one. What each store stops is in storeContract.

const keys = fixedKeyring();
const runner = new Runner({ tracingDisabled: true });

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const HELD: Error = expect.objectContaining({
  code: 'ERR_HELD',
  message: 'Session "s" is under the hold "case", so nothing of it may be destroyed. Release the hold first.',
}) as Error;

function typesOf(items: readonly AgentInputItem[]): (string | undefined)[] {
  return items.map((item) => ('role' in item ? item.role : item.type));
}

describe('under a legal hold', () => {
  test.each([
    ['a store of ours', (): Session => openSqlite(':memory:').session('s'), {}],
    [
      'a store of ours, data keys elsewhere',
      (): Session => openSqlite(':memory:').session('s'),
      memoryDekStore(),
    ],
    ['any session', (): Session => new MemorySession({ sessionId: 's' }), memoryDekStore()],
  ])('%s loses nothing by any call', async (_name, open, dekStore) => {
    const session = wrapSession(open(), [
      encrypt({ keys, ...('put' in dekStore && { dekStore }) }),
    ]) as Wrapped<MemorySession>;
    const items = ['1', '2', '3'].map(message);
    await session.addItems(items);
    await hold(session, { id: 'case', reason: 'case 7' });
    const transact = (replacement: AgentInputItem[]): Promise<void> =>
      session.applyHistoryTransaction?.({
        operationId: JSON.stringify(replacement),
        transaction: { type: 'replace_suffix', expectedSuffix: items.slice(1), replacement },
      });
    for (const removal of [
      () => session.popItem(),
      () => session.clearSession(),
      ...('replaceHistoryWithCompaction' in session
        ? [() => session.replaceHistoryWithCompaction?.([message('summary')])]
        : []),
      () => transact([]),
      () => transact(items.slice(1, 2)),
      () => transact([message('other'), message('3')]),
    ]) {
      await expect(removal()).rejects.toThrow(HELD);
    }
    expect(await session.getItems()).toEqual(items);
    await transact([...items.slice(1), message('4')]);
    await session.addItems([message('5')]);
    const all = [...items, message('4'), message('5')];
    expect(await session.getItems()).toEqual(all);
    await release(session, 'case');
    expect(await session.popItem()).toEqual(message('5'));
    await session.clearSession();
    expect(await session.getItems()).toEqual([]);
  });

  test('hidden records stay at their positions in a replaced suffix', async () => {
    let now = 1_000_000;
    const store = openSqlite(':memory:');
    const bare = store.session('s');
    const stackOf = (after: '1d' | '9d'): Wrapped<typeof bare> =>
      wrapSession(bare, [expire({ after, clock: () => now }), encrypt({ keys })]);
    const [long, short] = [stackOf('9d'), stackOf('1d')];
    await long.addItems([message('1')]);
    await short.addItems([message('hidden')]);
    await long.addItems([message('2')]);
    now += 2 * 86_400_000;
    const visible = [message('1'), message('2')];
    expect(await long.getItems()).toEqual(visible);
    const before = await bare.getItems();
    const replaceBy = (operationId: string, added: AgentInputItem): SessionHistoryTransactionArgs => ({
      operationId,
      transaction: { type: 'replace_suffix', expectedSuffix: visible, replacement: [...visible, added] },
    });
    await hold(long, { id: 'case', reason: 'case 7' });
    await long.applyHistoryTransaction(replaceBy('held', message('3')));
    expect(await long.getItems()).toEqual([...visible, message('3')]);
    expect((await bare.getItems()).slice(0, 3)).toEqual(before);
    await store.purgeExpired();
    expect(await bare.getItems()).toHaveLength(4);
    await expect(long.popItem()).rejects.toThrow(HELD);
    await store.close();
  });

  test('runs continue, and the stored items of a failed run stay', async () => {
    const store = wrapStore(openSqlite(':memory:'), [expire({ after: '30d' }), encrypt({ keys })]);
    const session = store.session('s');
    await hold(session, { id: 'case', reason: 'case 7' });
    const weather = tool({
      name: 'weather',
      description: 'The weather.',
      parameters: z.object({}),
      needsApproval: true,
      execute: () => 'sunny',
    });
    const model = new ScriptedModel([
      [functionCall('weather', {}, { callId: 'one' })],
      [assistantMessage('sunny')],
      [functionCall('weather', {}, { callId: 'two' })],
      modelResponder(() => {
        throw new Error('503');
      }),
      [assistantMessage('again')],
    ]);
    const agent = new Agent({ name: 'Agent', model, tools: [weather] });
    const approve = async (input: string): Promise<unknown> => {
      const { state } = await runner.run(agent, input, { session });
      for (const approval of state.getInterruptions()) state.approve(approval);
      return (await runner.run(agent, state, { session })).finalOutput;
    };
    expect(await approve('What is the weather?')).toBe('sunny');
    const whole = await session.getItems();
    expect(typesOf(whole)).toEqual(['user', 'function_call', 'function_call_result', 'assistant']);
    await expect(approve('And now?')).rejects.toThrow('503');
    const left = await session.getItems();
    expect(left.slice(0, 4)).toEqual(whole);
    expect(left.length).toBeGreaterThan(4);
    expect((await runner.run(agent, 'Still there?', { session })).finalOutput).toBe('again');
    expect((await session.getItems()).slice(0, left.length)).toEqual(left);
    await store.close();
  });

  test('has the times of the clock of its store, with and without layers', async () => {
    let now = 1_000;
    await using bare = openSqlite(':memory:', { clock: () => now });
    for (const [id, store] of [
      ['bare', bare],
      ['wrapped', wrapStore(bare, [encrypt({ keys })])],
    ] as const) {
      expect(await hold(store, { sessionId: 's', id, reason: 'case 7' })).toMatchObject({ placedAt: now });
      now += 500;
      expect(await release(store, id)).toMatchObject({ placedAt: now - 500, releasedAt: now });
    }
  });

  test('reencrypt skips the session, reports it, and continues with the others', async () => {
    const store = wrapStore(openSqlite(':memory:'), [encrypt({ keys })]);
    for (const id of ['s', 'other']) await store.session(id).addItems([message(id)]);
    await hold(store.session('s'), { id: 'case', reason: 'case 7' });
    expect(await reencrypt(store, { grace: 0 })).toMatchObject({ sessions: 1, entries: 1, held: ['s'] });
    expect(await store.session('s').getItems()).toEqual([message('s')]);
    await store.session('s').addItems([message('more')]);
    expect(await store.session('s').getItems()).toEqual([message('s'), message('more')]);
    await store.close();
  });

  test('rewrap reports inline keys of the session, and migrate the session; both continue with the others', async () => {
    const old = await generateKey();
    await using store = openSqlite(':memory:');
    const inline = wrapStore(store, [encrypt({ keys: keyring({ current: old }), dekStore: 'inline' })]);
    for (const id of ['a', 's', 'z']) await inline.session(id).addItems([message(id)]);
    await store.session('plain').addItems([message('plain')]);
    for (const sessionId of ['a', 'plain']) await hold(store, { sessionId, reason: 'case 7' });
    await store.session('zz plain').addItems([message('zz plain')]);

    const ring = keyring({ current: await generateKey(), previous: [old] });
    const until = new Date('2999-01-01');
    const later = wrapStore(store, [
      encrypt({ keys: ring, dekStore: 'inline', unsafeAllowPlaintext: { until } }),
    ]);
    const before = await store.session('a').getItems();
    expect(await rewrap(later)).toMatchObject({
      examined: 3,
      rewrapped: 2,
      failed: 1,
      failures: [{ sessionId: 'a', code: 'ERR_HELD' }],
    });
    expect(await store.session('a').getItems()).toEqual(before);
    expect(await migrate(later)).toMatchObject({ sealed: 1, held: ['plain'] });
    expect(await store.session('plain').getItems()).toEqual([message('plain')]);
    expect(await later.session('zz plain').getItems()).toEqual([message('zz plain')]);
  });
});

describe('a hold in one of two databases', () => {
  type Stack = ReturnType<typeof wrapStore>;
  const removals: Record<string, (store: Stack) => Promise<unknown>> = {
    'clearSession()': async (store: Stack) => store.session('s').clearSession(),
    'popItem()': async (store: Stack) => store.session('s').popItem(),
    'deleteSession()': async (store: Stack) => store.deleteSession('s'),
    'retention() by age': async (store: Stack) => retention(store, { maxIdle: '1d' }).run(),
    'retention() by length': async (store: Stack) => retention(store, { keepLast: 1 }).run(),
    'purgeDataKeys()': async (store: Stack) => purgeDataKeys(store, { after: '1d', maxAhead: 'any' }),
  };

  test.each(
    (['the data keys', 'the items'] as const).flatMap((where) =>
      Object.entries(removals).map(([what, remove]) => ({ where, what, remove })),
    ),
  )('with $where stops $what of the wrapped store', async ({ where, remove }) => {
    const clock = fakeClock(Date.now() - 3 * 86_400_000);
    await using bare = openSqlite(':memory:', { clock });
    const dekStore = memoryDekStore();
    const at = { name: 'clock', clock };
    const store = wrapStore(bare, [at, encrypt({ keys, dekStore, onUndecryptable: () => 'throw' })]);
    const items = [message('1'), message('2')];
    await store.session('s').addItems(items);
    await hold(where === 'the items' ? bare : dekStore, { sessionId: 's', id: 'case', reason: 'case 7' });
    clock.advance(2 * 86_400_000);
    const outcome: unknown = await remove(store).catch((error: unknown) => ({ error }));
    expect([{ error: HELD }, expect.objectContaining({ held: ['s'] })]).toContainEqual(outcome);
    const later = wrapStore(bare, [at, encrypt({ keys, dekStore, onUndecryptable: () => 'throw' })]);
    expect(await later.session('s').getItems()).toEqual(items);
  });

  test('is not left there when the other one refuses it', async () => {
    await using bare = openSqlite(':memory:');
    const dekStore = memoryDekStore();
    const session = wrapStore(bare, [encrypt({ keys, dekStore })]).session('s');
    await hold(bare, { sessionId: 'other', id: 'case', reason: 'case 6' });
    await expect(hold(session, { id: 'case', reason: 'case 7' })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: 'hold: a hold with the id "case" already exists. Choose another id.',
    });
    expect(await dekStore.holds?.list({ open: true })).toEqual([]);
  });
});

for (const { name, absent, open, clean } of await everyStore('holds on branches')) {
  describe.skipIf(absent)(`a hold on a branch in ${name}`, () => {
    afterAll(clean);

    test.each(['store', 'session', 'DEK store'] as const)(
      'keeps the data keys of its conversation, whose records it shares, from purgeDataKeys() of the %s',
      async (kind) => {
        await using bare = open();
        await using other = open();
        const dekStore = kind === 'DEK store' ? memoryDekStore() : undefined;
        const stack = (): Layers => [
          encrypt({ keys, ...(dekStore && { dekStore }), onUndecryptable: () => 'throw' }),
        ];
        const store = wrapStore(bare, stack());
        const id = uniqueName('u');
        const free = uniqueName('free');
        for (const each of [id, free]) await store.session(each).addItems([message('1'), message('2')]);
        const tree = branches(store, id);
        await tree.create('twin');
        const twin = tree.session('twin');
        await hold(twin, { id: uniqueName('case'), reason: 'case 7' });
        const options = { after: '1d', clock: () => Date.now() + 2 * 86_400_000, maxAhead: 'any' } as const;
        const target = dekStore ?? (kind === 'store' ? store : store.session(id));
        const report = await purgeDataKeys(target, options);
        expect(report.held).toContain(id);
        expect(report.destroyed.map(({ sessionId }) => sessionId)).not.toContain(id);
        // A run over one session reaches no other.
        expect(report.destroyed.some(({ sessionId }) => sessionId === free)).toBe(kind !== 'session');
        const later = wrapStore(kind === 'DEK store' || name === 'SQLite' ? bare : other, stack());
        const twinId = await twin.getSessionId();
        expect(await later.session(twinId, { derived: true }).getItems()).toEqual([
          message('1'),
          message('2'),
        ]);
      },
    );
  });
}
