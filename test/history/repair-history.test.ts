import { Agent, MemorySession, Runner, tool, type AgentInputItem, type Session } from '@openai/agents';
import { assistantMessage, modelResponse, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { cache, encrypt, expire, generateKey, keyring, redact, wrapSession } from '../../src/index.ts';
import { repairHistory } from '../../src/history/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { plainSession } from '../support/plain-session.ts';
import { violations } from './support/provider-rules.ts';
import { assistant, call, randomHistory, reasoning, result, seeded, user } from './support/random-history.ts';

const keys = keyring({ current: await generateKey() });
const layers = () => [
  redact(),
  expire({ after: '30d' }),
  cache({ maxItems: 10_000, maxBytes: 10_000_000 }),
  encrypt({ keys }),
];

const owned = (callId: string): AgentInputItem[] => {
  const caller = { type: 'program', callerId: 'gone' } as const;
  return [
    { type: 'function_call', callId, name: 'f', arguments: '{}', caller },
    { type: 'function_call_result', callId, name: 'f', status: 'completed', output: '', caller },
  ];
};

const broken = [
  user('one'),
  result('lost'),
  reasoning('r'),
  call('crashed'),
  ...owned('o'),
  call('c'),
  result('c'),
  assistant('first'),
  reasoning('last'),
];

const sessions: readonly (readonly [string, () => Session])[] = [
  ['MemorySession', () => new MemorySession()],
  ['a sealed session', () => wrapSession(new MemorySession(), layers())],
  ['a store of ours', () => openSqlite(':memory:').session('c')],
  ['a store of ours under the full stack', () => wrapSession(openSqlite(':memory:').session('c'), layers())],
];

describe.each(sessions)('repairHistory() on %s', (_name, open) => {
  it('removes items that providers refuse, and reports each with its reason', async () => {
    const session = open();
    await session.addItems(broken);
    const report = await repairHistory(session);
    expect(report.removed.map(({ index, reason }) => [index, reason])).toEqual([
      [1, 'result-without-call'],
      [2, 'reasoning-without-follower'],
      [3, 'call-without-result'],
      [4, 'owner-missing'],
      [5, 'owner-missing'],
      [9, 'reasoning-without-follower'],
    ]);
    expect(report.left).toBe(4);
    expect(report.removed.map(({ item }) => item)).toEqual(report.removed.map(({ index }) => broken[index]));
    expect(await session.getItems()).toEqual([user('one'), call('c'), result('c'), assistant('first')]);
    expect(await repairHistory(session)).toEqual({ removed: [], left: 4 });
  });

  it('only reports with dryRun', async () => {
    const session = open();
    await session.addItems(broken);
    const report = await repairHistory(session, { dryRun: true });
    expect(report.removed).toHaveLength(6);
    expect(await session.getItems()).toEqual(broken);
    expect(await repairHistory(session)).toEqual(report);
  });

  it('keeps calls that an approval may still answer with keepPending, and removes a result without its call', async () => {
    const session = open();
    const history = [
      user('a'),
      call('crashed'),
      user('b'),
      reasoning('r'),
      call('d'),
      result('d'),
      call('p'),
    ];
    await session.addItems([...history, result('lost')]);
    expect((await repairHistory(session, { keepPending: true })).removed.map(({ index }) => index)).toEqual([
      1, 7,
    ]);
    expect(await session.getItems()).toEqual([history[0], ...history.slice(2)]);
    expect((await repairHistory(session)).removed.map(({ item }) => item)).toEqual([call('p')]);
  });

  it('keeps with keepPending a call beside which the model ran a tool of the provider', async () => {
    const session = open();
    const search: AgentInputItem = { type: 'hosted_tool_call', name: 'web_search_call', status: 'completed' };
    const history = [user('a'), reasoning('r'), call('p'), search];
    await session.addItems(history);
    expect((await repairHistory(session, { keepPending: true })).removed).toEqual([]);
    expect((await repairHistory(session)).removed.map(({ index }) => index)).toEqual([1, 2]);
  });

  it('makes any broken history acceptable, and keeps the order of the rest', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const session = open();
      const history = randomHistory(seeded(seed), { turns: 6, broken: 0.3, untidyStart: 0.3 });
      await session.addItems(history);
      const { removed, left } = await repairHistory(session);
      const items = await session.getItems();
      expect(violations(items), `seed ${seed}`).toEqual([]);
      const gone = new Set(removed.map(({ index }) => index));
      expect(items).toEqual(history.filter((_item, index) => !gone.has(index)));
      expect(left).toBe(items.length);
    }
  });
});

describe('repairHistory()', () => {
  it('lets a session run again whose process died while a tool ran', async () => {
    const store = openSqlite(':memory:');
    const session = wrapSession(store.session('c'), layers());
    await session.addItems([user('look it up'), reasoning('r'), call('c1')]);
    await repairHistory(session);
    const model = new ScriptedModel([modelResponse([assistantMessage('hello again')])]);
    const look = tool({ name: 'f', description: 'f', parameters: z.object({}), execute: () => 'ok' });
    const agent = new Agent({ name: 'a', model, tools: [look] });
    await new Runner({ tracingDisabled: true }).run(agent, 'are you there?', { session });
    const input = model.firstCall?.request.input as AgentInputItem[];
    expect(violations(input)).toEqual([]);
    expect(input).toHaveLength(2);
  });

  it('does not extend the expiry of kept items', async () => {
    let now = Date.UTC(2026, 0, 1);
    const session = wrapSession(openSqlite(':memory:').session('c'), [
      expire({ after: '10d', clock: () => now }),
      encrypt({ keys }),
    ]);
    await session.addItems([result('lost'), user('old')]);
    now += 9 * 86_400_000;
    await repairHistory(session);
    expect(await session.getItems()).toEqual([user('old')]);
    now += 2 * 86_400_000;
    expect(await session.getItems()).toEqual([]);
  });

  it('changes nothing when another process appended at the same time', async () => {
    const session = new MemorySession();
    await session.addItems(broken);
    const getItems = session.getItems.bind(session);
    session.getItems = async (limit) => {
      const items = await getItems(limit);
      await session.addItems([user('late')]);
      return items;
    };
    await expect(repairHistory(session)).rejects.toThrow(/suffix/);
    session.getItems = getItems;
    expect(await session.getItems()).toEqual([...broken, user('late')]);
  });

  it('refuses a session that cannot change its history at once, unless there is nothing to change', async () => {
    const session = plainSession();
    await session.addItems([user('a'), assistant('b')]);
    expect(await repairHistory(session)).toEqual({ removed: [], left: 2 });
    await session.addItems([call('c')]);
    expect(await repairHistory(session, { dryRun: true })).toMatchObject({ left: 2 });
    await expect(repairHistory(session)).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringContaining('repairHistory(): this session has no transactions'),
    });
    expect(await session.getItems()).toHaveLength(3);
  });

  it.each([
    [{ dryRun: 'yes' }, 'dryRun must be true or false'],
    [{ keepPending: 1 }, 'keepPending must be true or false'],
    [{ dry: true }, 'unknown option "dry"'],
  ])('refuses the options %j', async (options, message) => {
    await expect(repairHistory(new MemorySession(), options as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message),
    });
  });
});
