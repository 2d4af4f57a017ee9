import { Agent, MemorySession, OpenAIResponsesCompactionSession, RunContext, Runner } from '@openai/agents';
import { assistantMessage, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, test } from 'vitest';
import { encrypt } from '../../src/layers/encrypt.ts';
import { exclusive } from '../../src/layers/exclusive.ts';
import { runExclusive } from '../../src/operations/run-exclusive.ts';
import { fixedKeyring } from '../../src/testing/index.ts';
import { wrapSession, type Wrapped } from '../../src/wrap-session.ts';

const runner = new Runner({ tracingDisabled: true });

function counting(during: () => unknown = () => undefined): Agent {
  const responder = modelResponder(async ({ request }) => {
    await during();
    return [assistantMessage(`saw ${request.input.length}`)];
  });
  return new Agent({ name: 'Counter', model: new ScriptedModel([responder, responder]) });
}

/** A compaction session over an encrypted one, below `exclusive()`. It compacts once, and calls `compact` then. */
function compacting(compact?: () => unknown): Wrapped<OpenAIResponsesCompactionSession> {
  let compactions = 0;
  const client = {
    responses: {
      async compact() {
        compactions++;
        compact?.();
        return {
          id: 'cmp',
          output: [{ type: 'compaction', id: 'cmp', encrypted_content: 'sealed' }],
          usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
        };
      },
    },
  };
  const compaction = new OpenAIResponsesCompactionSession({
    underlyingSession: wrapSession(new MemorySession(), [encrypt({ keys: fixedKeyring() })]),
    client: client as never,
    compactionMode: 'input',
    shouldTriggerCompaction: () => compact !== undefined && compactions === 0,
  });
  return wrapSession(compaction, [exclusive({ wait: 500 })]);
}

describe('exclusive() above a compaction session', () => {
  const ways = {
    'run()': async (agent: Agent, session: ReturnType<typeof compacting>, context = new RunContext()) =>
      (await runner.run(agent, 'hello', { session, context })).finalOutput,
    'runExclusive()': async (
      agent: Agent,
      session: ReturnType<typeof compacting>,
      context = new RunContext(),
    ) => (await runExclusive(runner, agent, 'hello', { session, context })).finalOutput,
  };
  const cases = Object.entries(ways);

  test.each(cases)(
    '%s: the next run has its turn, also while the last one is referenced',
    async (_how, ask) => {
      const session = compacting();
      const context = new RunContext();
      expect(await ask(counting(), session, context)).toBe('saw 1');
      expect(await ask(counting(), session)).toBe('saw 3');
      expect(context.usage.requests).toBe(1);
    },
  );

  test.each(cases)('%s: two runs at once follow each other', async (_how, ask) => {
    const session = compacting();
    let second: Promise<unknown> | undefined;
    const first = counting(() => void (second = ask(counting(), session)));
    expect(await ask(first, session)).toBe('saw 1');
    expect(await second).toBe('saw 3');
    expect(await session.getItems()).toHaveLength(4);
  });

  test.each(cases)('%s: a compaction loses no item of the run that follows', async (_how, ask) => {
    let second: Promise<unknown> | undefined;
    const session = compacting(() => (second ??= ask(counting(), session)));
    expect(await ask(counting(), session)).toBe('saw 1');
    expect(await second).toMatch('saw');
    expect(await session.getItems()).toMatchObject([
      { type: 'compaction' },
      { role: 'user' },
      { role: 'assistant' },
    ]);
  });

  test('runExclusive() keeps the turn while it compacts', async () => {
    let second: Promise<unknown> | undefined;
    const session = compacting(() => (second ??= ways['runExclusive()'](counting(), session)));
    await ways['runExclusive()'](counting(), session);
    expect(await second).toBe('saw 2');
  });

  test('a compaction that a run without a turn asks for stands in no way of the run that has it', async () => {
    const session = compacting();
    let compacted: Promise<unknown> | undefined;
    const first = counting(() => void (compacted = session.runCompaction?.({}, new RunContext(), null)));
    expect(await ways['run()'](first, session)).toBe('saw 1');
    expect(await compacted).toBe(null);
  });
});
