import {
  Agent,
  handoff,
  RunContext,
  Runner,
  RunState,
  tool,
  Usage,
  type ModelResponse,
  type Session,
} from '@openai/agents';
import { assistantMessage, functionCall, modelResponse, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, it } from 'vitest';
import { branches, recordUsage, sessionUsage, usageByTurn } from '../../src/history/index.ts';
import { encrypt, generateKey, keyring, wrapStore, type SessionLayer } from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';

const runner = new Runner({ tracingDisabled: true });

type Step = ReturnType<typeof modelResponse>;

function answer(
  inputTokens: number,
  output: ModelResponse['output'] = [assistantMessage('yes')],
  responseId?: string,
): Step {
  return modelResponse({
    output,
    usage: new Usage({ requests: 1, inputTokens, outputTokens: 0, totalTokens: inputTokens }),
    ...(responseId !== undefined && { responseId }),
  });
}

const calls = (name: string, callId = 'c1'): ModelResponse['output'] => [
  functionCall(name, { input: 'q' }, { callId }),
];

const anything = {
  parameters: {
    type: 'object' as const,
    properties: {},
    required: [],
    additionalProperties: true as const,
  },
  strict: false as const,
};

/** Waits for an approval. */
const pay = tool({
  name: 'pay',
  description: 'pays',
  ...anything,
  needsApproval: true,
  execute: () => 'paid',
});

/** Uses a model by itself. */
const adding = (inputTokens: number) =>
  tool({
    name: 'look_up',
    description: 'looks up',
    ...anything,
    execute: (_input: unknown, context?: RunContext<unknown>) => {
      context?.usage.add(new Usage({ requests: 1, inputTokens, outputTokens: 0, totalTokens: inputTokens }));
      return 'found';
    },
  });

type Run = Awaited<ReturnType<typeof runOn>>;
type State = RunState<undefined, Agent>;

async function runOn(agent: Agent, input: string | State, session: Session, stream = false) {
  if (!stream) return runner.run(agent, input, { session });
  const result = await runner.run(agent, input, { session, stream: true });
  await result.completed;
  return result;
}

/** The state of the run as another process gets it, with everything approved. */
async function resumed(agent: Agent, { state }: Run): Promise<State> {
  const copy = await RunState.fromString<undefined, Agent>(agent, state.toString());
  for (const interruption of copy.getInterruptions()) copy.approve(interruption);
  return copy;
}

const payer = (responses: Step[], name = 'payer'): Agent =>
  new Agent({ name, tools: [pay], model: new ScriptedModel(responses) });

/** An agent as a tool, whose runs are recorded for their own session. */
const recorded = (agent: Agent, toolName: string, session: Session, options: object = {}) =>
  agent.asTool({
    toolName,
    toolDescription: 'asks',
    runOptions: { session },
    runConfig: { tracingDisabled: true },
    ...options,
    customOutputExtractor: async (result) => {
      await recordUsage(session, result);
      return 'ok';
    },
  });

describe('recordUsage() with response ids that repeat', () => {
  it.each([
    ['FAKE_ID', false],
    ['FAKE_ID', true],
    [undefined, true],
  ])('counts every run of a conversation (%s, streamed: %s)', async (id, stream) => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    for (const question of ['one', 'one', 'two']) {
      const model = new ScriptedModel([answer(100, undefined, id)]);
      await recordUsage(session, await runOn(new Agent({ name: 'a', model }), question, session, stream));
    }
    expect(await sessionUsage(session)).toMatchObject({ runs: 3, requests: 3, inputTokens: 300 });
    expect((await usageByTurn(session)).map(({ turn, runs }) => [turn, runs])).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
    await store.close();
  });

  it.each([false, true])('counts runs that are alike in everything (streamed: %s)', async (stream) => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    for (let run = 0; run < 3; run++) {
      const model = new ScriptedModel([answer(100, undefined, 'FAKE_ID')]);
      const result = await runOn(
        new Agent({ name: 'a', model }),
        'one',
        store.session(`other ${run}`),
        stream,
      );
      await recordUsage(session, result);
    }
    expect(await sessionUsage(session)).toMatchObject({ runs: 3, requests: 3, inputTokens: 300 });
    await store.close();
  });

  it('counts results without items', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const usage = { requests: 1, inputTokens: 7, outputTokens: 1, totalTokens: 8 };
    for (const responseId of ['FAKE_ID', 'FAKE_ID'])
      await recordUsage(session, {
        state: { usage: { ...usage } },
        rawResponses: [{ usage, output: [], responseId }],
        newItems: [],
      });
    expect(await sessionUsage(session)).toMatchObject({ runs: 2, inputTokens: 14 });
    await store.close();
  });

  it('counts every run that is recorded after it was serialized, and each run once', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    for (const [question, isRecordedFirst] of [
      ['one', false],
      ['two', true],
      ['three', false],
      ['four', true],
    ] as const) {
      const agent = payer([answer(100, calls('pay'), 'FAKE_ID'), answer(1, undefined, 'FAKE_ID')]);
      const first = await runOn(agent, question, session);
      if (isRecordedFirst) await recordUsage(session, first);
      await recordUsage(session, await runOn(agent, await resumed(agent, first), session));
    }
    expect(await sessionUsage(session)).toMatchObject({ requests: 8, inputTokens: 404 });
    await store.close();
  });

  it('counts a run of another question with the same script that was recorded at its end only', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const waiting = payer([answer(100, calls('pay'), 'FAKE_ID')]);
    await recordUsage(session, await runOn(waiting, 'one', session));
    await session.clearSession();
    const agent = payer([answer(100, calls('pay'), 'FAKE_ID'), answer(1, undefined, 'FAKE_ID')]);
    const first = await runOn(agent, 'two', session);
    await recordUsage(session, await runOn(agent, await resumed(agent, first), session));
    expect(await sessionUsage(session)).toMatchObject({ requests: 3, inputTokens: 201 });
    await store.close();
  });
});

describe('recordUsage() of a run that was resumed from its serialized state', () => {
  it.each([
    ['a run on a branch', 'branch', 1],
    ['a run of the same conversation', 'same', 1],
    ['many runs', 'same', 40],
  ])('counts what is new when something was recorded in between (%s)', async (_what, where, count) => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const agent = payer([answer(1_000, calls('pay')), answer(10)]);
    const first = await runOn(agent, 'pay', session);
    await recordUsage(session, first);
    const between = where === 'branch' ? await branches(store, 'chat').create('other', {}) : session;
    for (let run = 0; run < count; run++) {
      const model = new ScriptedModel([answer(5)]);
      const result = await runOn(new Agent({ name: 'b', model }), `other ${run}`, between);
      await recordUsage(between, result);
    }
    await recordUsage(session, await runOn(agent, await resumed(agent, first), session));
    expect(await sessionUsage(session)).toMatchObject({
      runs: count + 2,
      requests: count + 2,
      inputTokens: 1_010 + 5 * count,
      agents: { payer: { inputTokens: 1_010 }, b: { inputTokens: 5 * count } },
    });
    await store.close();
  });

  it('counts what is new in each of two continuations of one state, and nothing twice', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const agent = payer([answer(1_000, calls('pay')), answer(10), answer(20)]);
    const first = await runOn(agent, 'pay', session);
    await recordUsage(session, first);
    const states = [await resumed(agent, first), await resumed(agent, first)];
    for (const state of states) {
      const result = await runner.run(agent, state);
      await recordUsage(session, result);
      await recordUsage(session, result);
    }
    const again = await RunState.fromString(agent, first.state.toString());
    const { _modelResponses: rawResponses, _generatedItems: newItems } = again;
    await recordUsage(session, { state: again, rawResponses, newItems });
    expect(await sessionUsage(session)).toMatchObject({ runs: 3, requests: 3, inputTokens: 1_030 });
    await store.close();
  });

  it('counts usage that its tools added once', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const lookUp = adding(7);
    const agent = new Agent({
      name: 'payer',
      tools: [pay, lookUp],
      model: new ScriptedModel([
        answer(1_000, calls('look_up')),
        answer(100, calls('pay', 'c2')),
        answer(10, calls('look_up', 'c3')),
        answer(1),
      ]),
    });
    const first = await runOn(agent, 'pay', session);
    await recordUsage(session, first);
    await recordUsage(session, await runOn(agent, await resumed(agent, first), session));
    expect(await sessionUsage(session)).toMatchObject({
      requests: 6,
      inputTokens: 1_125,
      agents: { payer: { inputTokens: 1_111 }, '': { inputTokens: 14 } },
    });
    await store.close();
  });

  it.each([false, true])('names the agent and the model of each answer (streamed: %s)', async (stream) => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const second = payer([answer(100, calls('pay')), answer(10)], 'second');
    const first = new Agent({
      name: 'first',
      handoffs: [second],
      model: new ScriptedModel([answer(1_000, calls('transfer_to_second'))]),
    });
    const waiting = await runOn(first, 'pay', session, stream);
    await recordUsage(session, await runOn(first, await resumed(first, waiting), session, stream));
    expect(await sessionUsage(session)).toMatchObject({
      inputTokens: 1_110,
      agents: { first: { inputTokens: 1_000 }, second: { inputTokens: 110 } },
    });
    expect(Object.keys((await sessionUsage(session)).agents)).toEqual(['first', 'second']);
    await store.close();
  });

  it('names the agents of answers that are alike', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const text = () => assistantMessage('One moment.', { id: 'FAKE_ID' });
    const second = payer([answer(100, [text(), ...calls('pay', 'c1')]), answer(10, [text()])], 'second');
    const first = new Agent({
      name: 'first',
      handoffs: [second],
      model: new ScriptedModel([answer(1_000, [text(), ...calls('transfer_to_second', 'c1')])]),
    });
    const waiting = await runOn(first, 'pay', session);
    await recordUsage(session, await runOn(first, await resumed(first, waiting), session));
    expect(await sessionUsage(session)).toMatchObject({
      agents: { first: { inputTokens: 1_000 }, second: { inputTokens: 110 } },
    });
    await store.close();
  });

  it('counts it once when a handoff after it gives the run another input and takes its items', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const second = new Agent({ name: 'second', model: new ScriptedModel([answer(10)]) });
    const first = new Agent({
      name: 'first',
      tools: [pay],
      handoffs: [
        handoff(second, {
          inputFilter: (data) => ({
            ...data,
            inputHistory: [{ role: 'user', content: 'other' }],
            preHandoffItems: [],
            newItems: [],
          }),
        }),
      ],
      model: new ScriptedModel([answer(1_000, calls('pay')), answer(100, calls('transfer_to_second', 'c2'))]),
    });
    const waiting = await runOn(first, 'pay', session);
    await recordUsage(session, waiting);
    await recordUsage(session, await runOn(first, await resumed(first, waiting), session));
    expect(await sessionUsage(session)).toMatchObject({ requests: 3, inputTokens: 1_110 });
    await store.close();
  });

  it('counts what is new when the application gives it a run context, which has no usage yet', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const lookUp = adding(7);
    const agent = new Agent({
      name: 'payer',
      tools: [pay, lookUp],
      model: new ScriptedModel([
        answer(1_000, calls('pay')),
        answer(100, calls('look_up', 'c2')),
        answer(10),
      ]),
    });
    const first = await runOn(agent, 'pay', session);
    await recordUsage(session, first);
    const context = new RunContext<undefined>();
    const state = await RunState.fromStringWithContext<undefined, Agent>(
      agent,
      first.state.toString(),
      context,
    );
    for (const interruption of state.getInterruptions()) state.approve(interruption);
    await recordUsage(session, await runOn(agent, state, session));
    expect(await sessionUsage(session)).toMatchObject({ requests: 4, inputTokens: 1_117 });
    await store.close();
  });

  it('names the agent of a call of which its item says something else', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const [first, second] = [{ name: 'first' }, { name: 'second' }];
    await recordUsage(session, {
      state: { usage: new Usage({ requests: 2, inputTokens: 101, outputTokens: 0, totalTokens: 101 }) },
      rawResponses: [100, 1].map((tokens) => ({
        usage: new Usage({ requests: 1, inputTokens: tokens, outputTokens: 0, totalTokens: tokens }),
        output: [functionCall('pay', { to: 'x' }, { callId: `c${tokens}` })],
      })),
      newItems: [
        { rawItem: functionCall('pay', {}, { callId: 'c100' }), agent: first },
        { rawItem: functionCall('pay', {}, { callId: 'c1' }), agent: second },
      ],
    });
    expect(await sessionUsage(session)).toMatchObject({
      agents: { first: { inputTokens: 100 }, second: { inputTokens: 1 } },
    });
    await store.close();
  });

  it('opens a bounded number of records of a long ledger', async () => {
    const store = openSqlite(':memory:');
    let opened = 0;
    const counter: SessionLayer = {
      name: 'counter',
      reads: 'view',
      read(entries) {
        opened += entries.length;
        return entries;
      },
    };
    const keys = keyring({ current: await generateKey() });
    const stack = wrapStore(store, [counter, encrypt({ keys })]);
    const session = stack.session('chat');
    const agent = payer([answer(1_000, calls('pay')), answer(10)]);
    const first = await runner.run(agent, 'pay');
    await recordUsage(session, first);
    const ledger = stack.session('~usage~~chat', { derived: true });
    const [record] = await ledger.getItems(1);
    const other = structuredClone(record) as { providerData: Record<string, unknown> };
    delete other.providerData['run'];
    delete other.providerData['response'];
    await ledger.addItems(Array.from({ length: 1_000 }, () => structuredClone(other) as never));
    const last = await runner.run(agent, await resumed(agent, first));
    opened = 0;
    await recordUsage(session, last);
    expect(opened).toBeLessThan(300);
    await store.close();
  });

  it('continues a ledger of an earlier version', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const agent = payer([answer(1_000, calls('pay'), 'r1'), answer(10, undefined, 'r2')]);
    const first = await runOn(agent, 'pay', session);
    await recordUsage(session, first);
    const ledger = store.session('~usage~~chat', { derived: true });
    const [record] = await ledger.getItems(1);
    const earlier = structuredClone(record) as { providerData: Record<string, unknown> };
    delete earlier.providerData['run'];
    await ledger.popItem();
    await ledger.addItems([earlier as never]);
    await recordUsage(session, await runOn(agent, await resumed(agent, first), session));
    expect(await sessionUsage(session)).toMatchObject({ runs: 2, requests: 2, inputTokens: 1_010 });
    await store.close();
  });

  it('keeps no text of the conversation in the ledger', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const agent = new Agent({
      name: 'a',
      model: new ScriptedModel([answer(1, [assistantMessage('a very private answer')])]),
    });
    await recordUsage(session, await runOn(agent, 'a very private question', session));
    const items = await store.session('~usage~~chat', { derived: true }).getItems();
    expect(items.at(-1)).toMatchObject({ providerData: { run: { responses: 1 } } });
    expect(JSON.stringify(items)).not.toContain('private');
    await store.close();
  });
});

describe('recordUsage() of a run within a run', () => {
  it.each([
    ['of other sizes', 1_000, 2_000, 7],
    ['of the same size', 5, 5, 5],
  ])('counts each answer once, for the run that got it (%s)', async (_how, one, two, inner) => {
    const store = openSqlite(':memory:');
    const [outer, nested] = [store.session('outer'), store.session('nested')];
    const expert = new Agent({ name: 'expert', model: new ScriptedModel([answer(inner)]) });
    const agent = new Agent({
      name: 'agent',
      tools: [recorded(expert, 'ask', nested)],
      model: new ScriptedModel([answer(one, calls('ask')), answer(two)]),
    });
    const result = await runOn(agent, 'go', outer);
    await recordUsage(outer, result);
    await recordUsage(outer, result);
    expect(await sessionUsage(nested)).toMatchObject({ requests: 1, inputTokens: inner });
    expect(Object.keys((await sessionUsage(nested)).agents)).toEqual(['expert']);
    expect(await sessionUsage(outer)).toMatchObject({ runs: 1, requests: 2, inputTokens: one + two });
    expect(Object.keys((await sessionUsage(outer)).agents)).toEqual(['agent']);
    await store.close();
  });

  it('counts agents as tools that run at once, in each other and without a record', async () => {
    const store = openSqlite(':memory:');
    const [outer, left, right, deep] = [
      store.session('outer'),
      store.session('left'),
      store.session('right'),
      store.session('deep'),
    ];
    const make = (name: string, responses: Step[], tools: Agent['tools'] = []): Agent =>
      new Agent({ name, tools, model: new ScriptedModel(responses) });
    const silent = make('silent', [answer(4)]).asTool({
      toolName: 'silent',
      toolDescription: 'asks',
      runConfig: { tracingDisabled: true },
    });
    const inner = recorded(make('deep', [answer(1)]), 'deep', deep);
    const agent = make(
      'agent',
      [
        answer(10_000, [...calls('left', 'c1'), ...calls('right', 'c2'), ...calls('silent', 'c3')]),
        answer(20_000),
      ],
      [
        recorded(make('left', [answer(100, calls('deep')), answer(200)], [inner]), 'left', left),
        recorded(make('right', [answer(1_000)]), 'right', right),
        silent,
      ],
    );
    const result = await runOn(agent, 'go', outer);
    await recordUsage(outer, result);
    const sums = await Promise.all(
      [outer, left, right, deep].map(async (session) => (await sessionUsage(session)).inputTokens),
    );
    expect(sums).toEqual([30_004, 300, 1_000, 1]);
    expect(result.state.usage.inputTokens).toBe(31_305);
    expect((await sessionUsage(outer)).agents).toMatchObject({ '': { inputTokens: 4 } });
    await store.close();
  });

  it('counts what tools of an agent as a tool add to a run context of its own', async () => {
    const store = openSqlite(':memory:');
    const [outer, nested] = [store.session('outer'), store.session('nested')];
    const lookUp = adding(7);
    const expert = new Agent({
      name: 'expert',
      tools: [lookUp],
      model: new ScriptedModel([answer(100, calls('look_up')), answer(200)]),
    });
    const ask = recorded(expert, 'ask', nested, {
      runOptions: { session: nested, context: new RunContext({}) },
    });
    const agent = new Agent({
      name: 'agent',
      tools: [ask],
      model: new ScriptedModel([answer(1_000, calls('ask')), answer(2_000)]),
    });
    await recordUsage(outer, await runOn(agent, 'go', outer));
    expect(await sessionUsage(nested)).toMatchObject({ requests: 3, inputTokens: 307 });
    expect(await sessionUsage(outer)).toMatchObject({ requests: 2, inputTokens: 3_000 });
    await store.close();
  });

  it("counts what was used for it before its first answer as nobody's", async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const judge = new Agent({ name: 'judge', model: new ScriptedModel([answer(7)]) });
    const agent = new Agent({
      name: 'agent',
      instructions: ({ usage }) => {
        usage.add(new Usage({ requests: 1, inputTokens: 50, outputTokens: 0, totalTokens: 50 }));
        return 'Answer.';
      },
      model: new ScriptedModel([answer(1_000)]),
      inputGuardrails: [
        {
          name: 'judge',
          runInParallel: false,
          execute: async ({ context }) => {
            await runner.run(judge, 'q', { context });
            return { tripwireTriggered: false, outputInfo: {} };
          },
        },
      ],
    });
    await recordUsage(session, await runOn(agent, 'go', session));
    expect(await sessionUsage(session)).toMatchObject({
      inputTokens: 1_057,
      agents: { agent: { inputTokens: 1_000 }, '': { inputTokens: 57 } },
    });
    await store.close();
  });

  it.each([false, true])(
    'counts an agent as a tool that waits for an approval once (outer run recorded while it waits: %s)',
    async (isRecordedFirst) => {
      const store = openSqlite(':memory:');
      const [outer, nested] = [store.session('outer'), store.session('nested')];
      const expert = payer([answer(7, calls('pay', 'n1')), answer(9)], 'expert');
      const lookUp = adding(50);
      const agent = new Agent({
        name: 'agent',
        tools: [recorded(expert, 'ask', nested), lookUp],
        model: new ScriptedModel([
          answer(1_000, calls('ask')),
          answer(2_000, calls('look_up', 'c2')),
          answer(4_000),
        ]),
      });
      const first = await runOn(agent, 'go', outer);
      expect(first.interruptions).toHaveLength(1);
      if (isRecordedFirst) await recordUsage(outer, first);
      await recordUsage(outer, await runOn(agent, await resumed(agent, first), outer));
      expect(await sessionUsage(nested)).toMatchObject({ requests: 2, inputTokens: 16 });
      expect(await sessionUsage(outer)).toMatchObject({
        requests: 4,
        inputTokens: 7_050,
        agents: { agent: { inputTokens: 7_000 }, '': { inputTokens: 50 } },
      });
      await store.close();
    },
  );
});
