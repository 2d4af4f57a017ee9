import {
  Agent,
  MemorySession,
  OpenAIResponsesCompactionSession,
  RunContext,
  Runner,
  tool,
  type AgentInputItem,
  type RunState,
  type Session,
} from '@openai/agents';
import { assistantMessage, functionCall, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { branches } from '../../src/history/index.ts';
import { audit } from '../../src/layers/audit.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { exclusive } from '../../src/layers/exclusive.ts';
import type { SessionLayer } from '../../src/layer.ts';
import { runExclusive } from '../../src/operations/run-exclusive.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { fixedKeyring } from '../../src/testing/index.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';

const runner = new Runner({ tracingDisabled: true });
const keys = fixedKeyring();

function answering(...answers: string[]): Agent {
  return new Agent({
    name: 'Answering',
    model: new ScriptedModel(answers.map((answer) => [assistantMessage(answer)])),
  });
}

function failing(): Agent {
  const model = new ScriptedModel([modelResponder(() => Promise.reject(new Error('503')))]);
  return new Agent({ name: 'Failing', model });
}

/** Reads as a run does: resolves when it has its turn. */
function nextRun(session: Session): Promise<AgentInputItem[]> {
  const inRun = session as unknown as {
    getItems(limit: undefined, run: RunContext): Promise<AgentInputItem[]>;
  };
  return inRun.getItems(undefined, new RunContext());
}

describe('runExclusive() runs on the session that it is given', () => {
  test('with the same layers in every run: state that a layer keeps by them lasts', async () => {
    const lists = new Set<unknown>();
    const seeing: SessionLayer = {
      name: 'seeing',
      async around(call, next) {
        lists.add(call.layers);
        return next();
      },
    };
    const session = wrapSession(new MemorySession(), [exclusive(), seeing]);
    const agent = answering('one', 'two');
    for (const input of ['a', 'b']) await runExclusive(runner, agent, input, { session });
    await session.getItems();
    expect(lists.size).toBe(1);
  });

  test("so a turn that was moved is found by encrypt({ integrity: 'sequence' })", async () => {
    const layers = [exclusive(), encrypt({ keys, integrity: 'sequence' })];
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrapSession(inner, layers);
    const agent = answering('one', 'two');
    for (const input of ['a', 'b']) await runExclusive(runner, agent, input, { session });
    const records = await inner.getItems();
    const moved = new MemorySession({ sessionId: 's' });
    await moved.addItems([...records.slice(2), ...records.slice(0, 2)]);
    await expect(wrapSession(moved, layers).getItems()).rejects.toMatchObject({
      code: 'ERR_AUTHENTICATION',
      message: expect.stringContaining('out of sequence (reorder)') as string,
    });
  });

  describe('so the SDK compacts the history of a run that is resumed', () => {
    type Ask = (
      agent: Agent,
      input: string | RunState<undefined, Agent>,
      session: Session,
    ) => Promise<{
      state: RunState<undefined, Agent>;
      interruptions: ReturnType<RunState<undefined, Agent>['getInterruptions']>;
    }>;
    const plain: Ask = async (agent, input, session) => await runner.run(agent, input, { session });
    const whole: Ask = async (agent, input, session) => await runExclusive(runner, agent, input, { session });

    test.each([
      ['runExclusive()', whole],
      ['run()', plain],
    ])('after %s began it', async (_how, begin) => {
      let compactions = 0;
      const client = {
        responses: {
          async compact() {
            compactions++;
            return {
              id: 'cmp',
              output: [{ type: 'compaction', id: 'cmp', encrypted_content: 'sealed' }],
              usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
            };
          },
        },
      };
      const compaction = new OpenAIResponsesCompactionSession({
        underlyingSession: wrapSession(new MemorySession(), [encrypt({ keys })]),
        client: client as never,
        compactionMode: 'input',
        shouldTriggerCompaction: ({ sessionItems }) => sessionItems.length >= 4,
      });
      const session = wrapSession(compaction, [exclusive()]);
      const look = tool({
        name: 'look',
        description: 'Looks.',
        parameters: z.object({}),
        needsApproval: true,
        execute: () => 'seen',
      });
      const agent = new Agent({
        name: 'Careful',
        tools: [look],
        model: new ScriptedModel([[functionCall('look', {}, { callId: 'c' })], [assistantMessage('seen')]]),
      });
      const { state, interruptions } = await begin(agent, 'look', session);
      for (const interruption of interruptions) state.approve(interruption);
      expect(compactions).toBe(0);
      await whole(agent, state, session);
      expect(compactions).toBe(1);
      expect(await session.getItems()).toMatchObject([{ type: 'compaction' }]);
    });
  });

  test('also on one that follows branches, whose turn ends with the run', async () => {
    await using base = openSqlite(':memory:');
    const store = wrapStore(base, [exclusive({ wait: 200 }), encrypt({ keys })]);
    await store.session('c').addItems([{ role: 'user', content: 'hello' }]);
    const tree = branches(store, 'c');
    await tree.create('trial', { items: 1 });
    await tree.switch('trial');
    for (const session of [tree.follow(), wrapSession(tree.follow(), [audit({ sink: () => undefined })])]) {
      const context = new RunContext();
      await expect(runExclusive(runner, failing(), 'a', { session, context })).rejects.toThrow('503');
      const next = await runner.run(answering('two'), 'b', { session: tree.session('trial') });
      expect(next.finalOutput).toBe('two');
      expect(context.usage.requests).toBe(0);
    }
  });
});

describe('runExclusive() refuses', () => {
  test('a session that compacts itself above exclusive(), and says how to put it below', async () => {
    const session = new OpenAIResponsesCompactionSession({
      underlyingSession: wrapSession(new MemorySession(), [exclusive(), encrypt({ keys })]),
      client: {} as never,
    });
    await expect(runExclusive(runner, answering(), 'a', { session })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('wrapSession(compactionSession, [exclusive()])') as string,
    });
  });

  test('a session that follows branches of a store without exclusive()', async () => {
    await using base = openSqlite(':memory:');
    const session = branches(wrapStore(base, [encrypt({ keys })]), 'c').follow();
    await expect(runExclusive(runner, answering(), 'a', { session })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('a session wrapped with exclusive()') as string,
    });
  });
});

describe('runExclusive() ends the turn', () => {
  afterEach(() => void vi.useRealTimers());

  test.each(['broken off', 'never read'])('of a streamed run whose stream is %s', async (how) => {
    const session = wrapSession(new MemorySession(), [exclusive({ wait: 5_000 })]);
    const context = new RunContext();
    const stream = await runExclusive(runner, answering('one'), 'a', { session, context, stream: true });
    if (how === 'broken off') for await (const _event of stream) break;
    expect(await nextRun(session)).toBeInstanceOf(Array);
    expect(context).toBeInstanceOf(RunContext);
  });

  test('on this session only, when runs on several share a run context', async () => {
    const [one, two] = [1, 2].map(() => wrapSession(new MemorySession(), [exclusive({ wait: 1_000 })]));
    const context = new RunContext();
    const inRun = two as unknown as { getItems(limit: undefined, run: RunContext): Promise<unknown> };
    await inRun.getItems(undefined, context);
    await runExclusive(runner, answering('one'), 'a', { session: one as Session, context });
    vi.useFakeTimers();
    const asked = nextRun(two as Session).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(1_001);
    expect(await asked).toMatchObject({ code: 'ERR_TIMEOUT' });
  });
});
