import { Agent, MemorySession, Runner, tool, type AgentInputItem, type Session } from '@openai/agents';
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { archiveHistory, repairHistory, summarizeHistory, trimHistory } from '../../src/history/index.ts';
import { encrypt, generateKey, keyring, wrapStore } from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { violations } from './support/provider-rules.ts';
import { assistant, call, reasoning, result, system, user } from './support/random-history.ts';

const keys = keyring({ current: await generateKey() });
const TRIM = { maxTurns: 2, keep: 0.5 };

type Shorten = (session: Session) => Promise<{ readonly outcome: string; readonly pending: number }>;

const ways: readonly (readonly [string, Shorten])[] = [
  [
    'archiveHistory() before an index',
    (session) => archiveHistory(session, { before: 100, to: new MemorySession() }),
  ],
  [
    'archiveHistory() before a cut',
    (session) => archiveHistory(session, { before: TRIM, to: new MemorySession() }),
  ],
  [
    'summarizeHistory()',
    (session) =>
      summarizeHistory(session, {
        trigger: { turns: 2 },
        keep: { turns: 1 },
        summarize: () => 'They talked.',
      }),
  ],
];

const sessions: readonly (readonly [string, () => Session])[] = [
  ['a sealed session', () => wrapStore(openSqlite(':memory:'), [encrypt({ keys })]).session('live')],
  ['MemorySession', () => new MemorySession()],
];

describe.each(ways)('%s', (_way, shorten) => {
  test.each(sessions)(
    'leaves a call that waits for an approval, until its result has come: %s',
    async (_name, open) => {
      const session = open();
      const pay = tool({
        name: 'pay',
        description: 'Pays.',
        parameters: z.object({}),
        needsApproval: true,
        execute: async () => 'paid',
      });
      const log = tool({
        name: 'log',
        description: 'Logs.',
        parameters: z.object({}),
        execute: async () => 'logged',
      });
      const model = new ScriptedModel([
        [assistantMessage('zero')],
        [functionCall('log', {}, { callId: 'call_0' }), functionCall('pay', {}, { callId: 'call_1' })],
        [assistantMessage('two')],
        [assistantMessage('three')],
        [assistantMessage('paid')],
        [assistantMessage('next')],
        [assistantMessage('and next')],
        [assistantMessage('and then')],
        [assistantMessage('last')],
      ]);
      const agent = new Agent({ name: 'Agent', tools: [pay, log], model });
      const runner = new Runner({ tracingDisabled: true });
      await runner.run(agent, 'first', { session });
      const waiting = await runner.run(agent, 'pay', { session });
      await runner.run(agent, 'second', { session });
      await runner.run(agent, 'third', { session });

      await shorten(session);
      expect(JSON.stringify(await session.getItems())).toContain('call_1');
      const [interruption] = waiting.interruptions;
      waiting.state.approve(interruption as NonNullable<typeof interruption>);
      await runner.run(agent, waiting.state, { session });
      await runner.run(agent, 'after', { session });
      await runner.run(agent, 'and after that', { session });
      await runner.run(agent, 'and then', { session });
      expect(violations(await session.getItems())).toEqual([]);
      expect(violations(model.lastCall?.request.input as AgentInputItem[])).toEqual([]);

      // The call has its result now: it can go.
      expect(await shorten(session)).toMatchObject({ pending: 0 });
      expect(JSON.stringify(await session.getItems())).not.toContain('call_1');
      await runner.run(agent, 'end', { session, sessionInputCallback: trimHistory(TRIM) });
      expect(violations(model.lastCall?.request.input as AgentInputItem[])).toEqual([]);
    },
  );

  const later = [3, 4, 5, 6].flatMap((turn) => [user(`question ${turn}`), assistant(`answer ${turn}`)]);
  const first = [system('rules'), user('question 1'), assistant('answer 1')];

  test.each<[string, AgentInputItem[], AgentInputItem[]]>([
    ['of a function', [call('c')], [result('c')]],
    ['one of two', [reasoning('rs'), call('a'), call('c'), result('a')], [result('c')]],
    [
      'of a shell',
      [{ type: 'shell_call', callId: 'c', action: { commands: ['ls'] } }],
      [{ type: 'shell_call_output', callId: 'c', output: [] }],
    ],
    [
      'of a hosted MCP server',
      [{ type: 'hosted_tool_call', id: 'c', name: 'mcp_approval_request', providerData: { id: 'c' } }],
      [
        {
          type: 'hosted_tool_call',
          name: 'mcp_approval_response',
          providerData: { approval_request_id: 'c', approve: true },
        },
      ],
    ],
  ])(
    'moves what stands before a call without a result, and not the call: %s',
    async (_name, calls, answers) => {
      const session = new MemorySession();
      const pending = [user('question 2'), ...calls];
      await session.addItems([...first, ...pending, ...later]);
      expect(await shorten(session)).toMatchObject({ pending: 1 });
      const items = await session.getItems();
      expect(items.slice(items.length - later.length - pending.length)).toEqual([...pending, ...later]);
      expect(JSON.stringify(items)).not.toContain('answer 1');

      await session.addItems([...answers, assistant('done'), ...later]);
      expect(violations(await session.getItems())).toEqual([]);
      expect(await shorten(session)).toMatchObject({ pending: 0 });
      expect(JSON.stringify(await session.getItems())).not.toContain('question 2');
    },
  );

  test('goes on behind a call that nothing answers any more, once it is repaired', async () => {
    const session = new MemorySession();
    await session.addItems([user('question 2'), call('c'), ...later]);
    expect(await shorten(session)).toMatchObject({ pending: 1 });
    expect(await session.getItems()).toEqual([user('question 2'), call('c'), ...later]);
    await repairHistory(session);
    expect(await shorten(session)).toMatchObject({ pending: 0 });
    expect(JSON.stringify(await session.getItems())).not.toContain('question 2');
  });
});

test('keepPending: false moves calls without a result, too', async () => {
  const items = [user('one'), call('c'), user('two'), assistant('b'), user('three'), assistant('c')];
  const session = new MemorySession();
  await session.addItems(items);
  const to = new MemorySession();
  expect(await archiveHistory(session, { before: 4, to, keepPending: false })).toMatchObject({
    outcome: 'archived',
    archived: 4,
    pending: 0,
  });
  expect(await to.getItems()).toEqual(items.slice(0, 4));
  await session.addItems(items);
  const options = { trigger: { turns: 2 }, summarize: () => 'They talked.', keepPending: false };
  expect(await summarizeHistory(session, options)).toMatchObject({ outcome: 'summarized', pending: 0 });
  expect(JSON.stringify(await session.getItems())).not.toContain('"function_call"');
});

test.each([
  ['archiveHistory()', (keepPending: unknown) => ({ before: 1, to: new MemorySession(), keepPending })],
  [
    'summarizeHistory()',
    (keepPending: unknown) => ({ trigger: { turns: 1 }, summarize: () => '', keepPending }),
  ],
])('%s refuses a keepPending that is neither true nor false', async (name, optionsWith) => {
  const session = new MemorySession();
  const options = optionsWith('no') as never;
  const called =
    name === 'archiveHistory()' ? archiveHistory(session, options) : summarizeHistory(session, options);
  await expect(called).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    message: `${name}: keepPending must be true or false, got a string.`,
  });
});
