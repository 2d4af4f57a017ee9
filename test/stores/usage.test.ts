import {
  Agent,
  handoff,
  MemorySession,
  run,
  RunContext,
  Runner,
  tool,
  Usage,
  type AgentInputItem,
} from '@openai/agents';
import {
  assistantMessage,
  functionCall,
  modelResponder,
  modelResponse,
  ScriptedModel,
} from '@openai/agents/testing';
import { afterAll, describe, expect, it } from 'vitest';
import {
  recordUsage,
  sessionUsage,
  subjectUsage,
  turns,
  undoTurn,
  usageByTurn,
} from '../../src/history/index.ts';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  redact,
  wrapStore,
  type Layers,
  type SessionLayer,
} from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { user } from '../history/support/random-history.ts';
import { rounds } from '../support/soak.ts';
import { everyStore } from './every-store.ts';
import { uniqueName } from './servers.ts';

const keys = keyring({ current: await generateKey() });
const stores = await everyStore('ledgers of usage');
const runner = new Runner({ tracingDisabled: true });

const full = (clock?: () => number): Layers => [
  redact(),
  expire({ after: '30d', ...(clock && { clock }) }),
  cache({ maxItems: 1_000 }),
  encrypt({ keys }),
];

const usageOf = (inputTokens: number): Usage =>
  new Usage({
    requests: 1,
    inputTokens,
    outputTokens: 5,
    totalTokens: inputTokens + 5,
    inputTokensDetails: { cached_tokens: 3, audio_tokens: 1 },
    outputTokensDetails: { reasoning_tokens: 2 },
  });

function response(inputTokens: number, model?: string, output = [assistantMessage('yes')]) {
  return modelResponse({
    output,
    usage: usageOf(inputTokens),
    ...(model !== undefined && { providerData: { model } }),
  });
}

/** What `recordUsage()` reads of a run with one model call. */
function runOf(inputTokens: number, model = 'm', agent = 'a') {
  const item = assistantMessage('yes');
  return {
    state: { usage: usageOf(inputTokens) },
    rawResponses: [{ usage: usageOf(inputTokens), output: [item], providerData: { model } }],
    newItems: [{ rawItem: item, agent: { name: agent } }],
  };
}

describe.each(stores.filter(({ absent }) => !absent))('usage on $name', ({ open, clean, shared }) => {
  const store = open();
  const stack = wrapStore(store, full());
  afterAll(async () => {
    await store.close();
    await clean();
  });

  it('is kept beside the conversation when it is given the conversation itself', async () => {
    const id = uniqueName('beside');
    const session = stack.session(id);
    const agent = new Agent({ name: 'writer', model: new ScriptedModel([response(10), response(20)]) });
    await recordUsage(session, await runner.run(agent, 'a', { session }));
    const second = await runner.run(agent, 'b', { session });
    await recordUsage(session, second);
    expect((await session.getItems()).map(({ type }) => type)).toEqual(Array(4).fill('message'));
    expect(await sessionUsage(session)).toMatchObject({
      runs: 2,
      requests: 2,
      inputTokens: 30,
      outputTokens: 10,
      totalTokens: 40,
      cachedInputTokens: 6,
      reasoningTokens: 4,
      inputDetails: { cached_tokens: 6, audio_tokens: 2 },
      outputDetails: { reasoning_tokens: 4 },
      agents: { writer: { totalTokens: 40 } },
    });
    const found = [];
    for await (const each of store.sessions({ derived: true })) if (each.root === id) found.push(each.kind);
    expect(found).toEqual(['usage']);
    expect(JSON.stringify(await store.session(`~usage~~${id}`, { derived: true }).getItems())).not.toContain(
      'Tokens',
    );
  });

  it('sums up by reading one record of a long ledger', async () => {
    const session = stack.session(uniqueName('long'));
    for (let count = 0; count < 12; count++)
      await recordUsage(session, runOf(1, count % 2 === 0 ? 'even' : 'odd'));
    let opened = 0;
    const counter: SessionLayer = {
      name: 'counter',
      reads: 'view',
      read(entries) {
        opened += entries.length;
        return entries;
      },
    };
    const counting = wrapStore(store, [counter, encrypt({ keys })]).session(await session.getSessionId());
    expect(await sessionUsage(counting)).toMatchObject({
      runs: 12,
      totalTokens: 72,
      models: { even: { totalTokens: 36 }, odd: { totalTokens: 36 } },
    });
    expect(opened).toBe(1);
  });

  it('loses no run of several processes at once', async () => {
    const id = uniqueName('many');
    const other = shared ? wrapStore(open(), full()) : undefined;
    const processes = [stack, other ?? stack];
    await Promise.all(
      Array.from({ length: 16 }, async (_, index) =>
        recordUsage((processes[index % 2] as typeof stack).session(id), runOf(index)),
      ),
    );
    expect(await sessionUsage(stack.session(id))).toMatchObject({ runs: 16, requests: 16, inputTokens: 120 });
    await other?.close();
  });

  it('goes with the conversation, and has its subject', async () => {
    const [one, two, subject] = [uniqueName('one'), uniqueName('two'), uniqueName('person')];
    for (const id of [one, two]) {
      const session = stack.session(id, { subject });
      await session.addItems([user('hello')]);
      await recordUsage(session, runOf(10));
    }
    expect(
      await subjectUsage(stack, subject, { price: ({ inputTokens }) => inputTokens / 10 }),
    ).toMatchObject({
      runs: 2,
      inputTokens: 20,
      cost: 2,
    });
    await stack.deleteSession(one);
    expect(await subjectUsage(stack, subject)).toMatchObject({ runs: 1, inputTokens: 10 });
    expect(await sessionUsage(stack.session(one))).toMatchObject({ runs: 0, totalTokens: 0, models: {} });
  });
});

/** Waits for an approval. */
const send = tool({
  name: 'send',
  description: 'sends',
  parameters: { type: 'object', properties: {}, required: [], additionalProperties: true },
  strict: false,
  needsApproval: true,
  execute: () => 'sent',
});

describe('recordUsage()', () => {
  it("counts by agent and model, and the rest of a run as nobody's", async () => {
    const store = wrapStore(openSqlite(':memory:'), full());
    const session = store.session('chat');
    const second = new Agent({ name: 'second', model: new ScriptedModel([response(200, 'large')]) });
    const lookUp = tool({
      name: 'look_up',
      description: 'looks up',
      parameters: { type: 'object', properties: {}, required: [], additionalProperties: true },
      strict: false,
      execute: (_input, context) => {
        context?.usage.add(usageOf(1_000));
        return 'found';
      },
    });
    const first = new Agent({
      name: 'first',
      tools: [lookUp],
      handoffs: [handoff(second)],
      model: new ScriptedModel([
        response(10, 'small', [functionCall('look_up', {}, { callId: 'c1' })] as never),
        response(20, 'small', [functionCall('transfer_to_second', {}, { callId: 'c2' })] as never),
      ]),
    });
    await recordUsage(session, await runner.run(first, 'go', { session }));
    const price = ({ inputTokens }: { readonly inputTokens: number }, model: string): number =>
      inputTokens * (model === 'large' ? 10 : 1);
    expect(await sessionUsage(session, { price })).toMatchObject({
      runs: 1,
      requests: 4,
      inputTokens: 1_230,
      cost: 3_030,
      models: {
        small: { inputTokens: 30, cost: 30 },
        large: { inputTokens: 200, cost: 2_000 },
        '': { inputTokens: 1_000 },
      },
      agents: { first: { inputTokens: 30 }, second: { inputTokens: 200 }, '': { inputTokens: 1_000 } },
    });
    await store.close();
  });

  it('counts a result once, and of a resumed run what is new', async () => {
    const store = openSqlite(':memory:');
    const session = store.session('chat');
    const agent = new Agent({
      name: 'sender',
      tools: [send],
      model: new ScriptedModel([
        response(10, 'm', [functionCall('send', {}, { callId: 'c1' })] as never),
        response(100, 'm'),
      ]),
    });
    const first = await runner.run(agent, 'go', { session });
    await recordUsage(session, first);
    await recordUsage(session, first);
    expect(await sessionUsage(session)).toMatchObject({ runs: 1, inputTokens: 10 });
    for (const interruption of first.interruptions) first.state.approve(interruption);
    await recordUsage(session, await run(agent, first.state, { session }));
    expect(await sessionUsage(session)).toMatchObject({ runs: 2, requests: 2, inputTokens: 110 });
    await store.close();
  });

  it('counts each run once when the application gives one run context to several, also a resumed one between them', async () => {
    const store = wrapStore(openSqlite(':memory:'), full());
    const [session, other] = [store.session('chat'), store.session('other')];
    const context = new RunContext({});
    const agent = new Agent({
      name: 'a',
      tools: [send],
      model: new ScriptedModel([
        response(1, 'm', [functionCall('send', {}, { callId: 'c1' })] as never),
        response(10, 'm'),
        response(100, 'm'),
        response(1_000, 'm'),
      ]),
    });
    const asks = await runner.run(agent, 'asks', { session, context });
    await recordUsage(session, asks);
    await recordUsage(session, await runner.run(agent, 'two', { session, context }));
    await recordUsage(other, await runner.run(agent, 'elsewhere', { session: other, context }));
    for (const interruption of asks.interruptions) asks.state.approve(interruption);
    await recordUsage(session, await runner.run(agent, asks.state, { session }));
    expect(await sessionUsage(session)).toMatchObject({
      runs: 3,
      requests: 3,
      inputTokens: 1_011,
      agents: { a: { requests: 3, inputTokens: 1_011 } },
    });
    expect(await sessionUsage(other)).toMatchObject({ runs: 1, requests: 1, inputTokens: 100 });
    await store.close();
  });

  it('gives each turn what its runs used, and says what is left of turns that are gone', async () => {
    const store = wrapStore(openSqlite(':memory:'), full());
    const session = store.session('chat');
    for (const tokens of [1, 10, 100]) {
      const agent = new Agent({ name: 'a', model: new ScriptedModel([response(tokens)]) });
      await recordUsage(session, await runner.run(agent, `turn of ${tokens}`, { session }));
    }
    expect((await usageByTurn(session)).map(({ turn, inputTokens }) => [turn, inputTokens])).toEqual([
      [1, 1],
      [2, 10],
      [3, 100],
    ]);
    await undoTurn(session);
    const agent = new Agent({ name: 'a', model: new ScriptedModel([response(1_000)]) });
    await recordUsage(session, await runner.run(agent, 'again', { session }));
    expect(
      (await usageByTurn(session)).map(({ turn, inputTokens, runs }) => [turn, inputTokens, runs]),
    ).toEqual([
      [1, 1, 1],
      [2, 10, 1],
      [3, 1_000, 1],
      [undefined, 100, 1],
    ]);
    expect(await turns(session)).toHaveLength(3);
    await store.close();
  });

  it('counts branches of a conversation apart, in one ledger', async () => {
    const store = wrapStore(openSqlite(':memory:'), [encrypt({ keys })]);
    const session = store.session('chat');
    const branch = store.session('~branch~retry~chat', { derived: true });
    await recordUsage(session, runOf(1));
    await recordUsage(branch, runOf(10));
    for (const each of [session, branch]) {
      expect(await sessionUsage(each)).toMatchObject({
        runs: 2,
        branches: { '': { inputTokens: 1 }, retry: { inputTokens: 10 } },
      });
    }
    await store.close();
  });

  it('keeps sums that are older than what expired', async () => {
    let now = Date.now();
    const store = openSqlite(':memory:', { clock: () => now });
    const session = wrapStore(
      store,
      full(() => now),
    ).session('chat');
    await recordUsage(session, runOf(1));
    now += 20 * 86_400_000;
    await recordUsage(session, runOf(10));
    now += 20 * 86_400_000;
    expect(await store.purgeExpired()).toMatchObject({ items: 2 });
    expect(await sessionUsage(session)).toMatchObject({ runs: 2, inputTokens: 11 });
    now += 20 * 86_400_000;
    await store.purgeExpired();
    expect(await sessionUsage(session)).toMatchObject({ runs: 0, inputTokens: 0 });
    await recordUsage(session, runOf(100));
    expect(await sessionUsage(session)).toMatchObject({ runs: 1, inputTokens: 100 });
    await store.close();
  });

  it('keeps it in a store that is named, for a session of no store', async () => {
    const store = wrapStore(openSqlite(':memory:'), [encrypt({ keys })]);
    const session = new MemorySession();
    await expect(recordUsage(session, runOf(1))).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringContaining('Pass a store for it'),
    });
    await recordUsage(session, runOf(1), { store });
    expect(await session.getItems()).toEqual([]);
    expect(await sessionUsage(session, { store })).toMatchObject({ runs: 1, inputTokens: 1 });
    await store.close();
  });

  it('reads one record of a long ledger for a sum, and a few for its next record', async () => {
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
    const sessions = wrapStore(store, [counter, encrypt({ keys })]);
    const session = sessions.session('chat', { subject: 'person-7' });
    await session.addItems([user('Hello')]);
    await recordUsage(session, runOf(7));
    const ledger = sessions.session('~usage~~chat', { derived: true });
    const [record] = await ledger.getItems(1);
    const many = Array.from({ length: 1_000 }, () => structuredClone(record as AgentInputItem));
    for (let batch = 0; batch < rounds(1, 100); batch++) await ledger.addItems(many);
    opened = 0;
    expect(await sessionUsage(session)).toMatchObject({ inputTokens: 7 });
    expect(opened).toBe(1);
    expect(await subjectUsage(sessions, 'person-7')).toMatchObject({ inputTokens: 7 });
    expect(opened).toBe(2);
    opened = 0;
    await recordUsage(session, runOf(5));
    expect(opened).toBeLessThan(5);
    expect(await sessionUsage(session)).toMatchObject({ inputTokens: 12 });
    await store.close();
  });

  it.each([
    ['bare', false, []],
    ['bare', true, []],
    ['under observers', true, [{ name: 'observer' }]],
    ['under every layer', false, full()],
    ['under every layer', true, full()],
  ] as const)(
    'a run on a ledger %s (with records: %s) fails, stores nothing and shows a model nothing',
    async (_how, hasRecords, layers) => {
      const store = openSqlite(':memory:');
      const sessions = wrapStore(store, layers);
      if (hasRecords) await recordUsage(sessions.session('chat'), runOf(7));
      const ledger =
        layers.length === 0
          ? store.session('~usage~~chat', { derived: true })
          : sessions.session('~usage~~chat', { derived: true });
      const before = await ledger.getItems();
      const inputs: unknown[] = [];
      const model = new ScriptedModel([
        modelResponder(({ request }) => {
          inputs.push(request.input);
          return [assistantMessage('yes')];
        }),
      ]);
      const refusal = {
        code: 'ERR_UNSUPPORTED',
        written: 'no',
        message: expect.stringMatching(/^Session "~usage~~chat" is the usage ledger of a conversation/),
      };
      await expect(
        runner.run(new Agent({ name: 'A', model }), 'Hello', { session: ledger }),
      ).rejects.toMatchObject(refusal);
      expect(JSON.stringify(inputs)).not.toContain('strongroom.usage');
      expect(hasRecords ? inputs : []).toEqual([]);
      await expect(ledger.addItems([user('Hello')])).rejects.toMatchObject(refusal);
      await expect(ledger.replaceHistoryWithCompaction([user('Hello')])).rejects.toMatchObject(refusal);
      const transaction = { type: 'append_items' as const, items: [user('Hello')] };
      await expect(ledger.applyHistoryTransaction({ operationId: 'one', transaction })).rejects.toMatchObject(
        refusal,
      );
      expect(await ledger.getItems()).toEqual(before);
      await recordUsage(sessions.session('chat'), runOf(3));
      expect(await sessionUsage(sessions.session('chat'))).toMatchObject({
        inputTokens: hasRecords ? 10 : 3,
      });
      await store.close();
    },
  );

  it.each([
    ['bare', []],
    ['under observers', [{ name: 'observer' }]],
    ['under every layer', full()],
  ] as const)('a ledger %s in a closed store is closed, whatever it is given', async (_how, layers) => {
    const store = openSqlite(':memory:');
    const sessions = layers.length === 0 ? store : wrapStore(store, layers);
    const ledger = sessions.session('~usage~~chat', { derived: true });
    await store.close();
    const closed = {
      code: 'ERR_CLOSED',
      message: expect.stringMatching(/^This store \(openSqlite\) was closed/),
    };
    for (const items of [[], [user('Hello')]]) {
      await expect(ledger.addItems(items)).rejects.toMatchObject(closed);
      await expect(ledger.replaceHistoryWithCompaction(items)).rejects.toMatchObject(closed);
      const transaction = { type: 'append_items' as const, items };
      await expect(ledger.applyHistoryTransaction({ operationId: 'one', transaction })).rejects.toMatchObject(
        closed,
      );
    }
  });

  it('refuses what is no result of a run, and a ledger', async () => {
    const store = openSqlite(':memory:');
    await expect(recordUsage(store.session('chat'), {} as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('result must be a run result with usage'),
    });
    await expect(
      recordUsage(store.session('~usage~~chat', { derived: true }), runOf(1)),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await expect(
      recordUsage(store.session('chat'), runOf(1), { store: new MemorySession() as never }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await store.close();
  });
});
