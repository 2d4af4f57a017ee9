import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Agent, MemorySession, RunContext, Runner, tool, type RunContextAwareSession } from '@openai/agents';
import { assistantMessage, functionCall, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { exclusive } from '../../src/layers/exclusive.ts';
import { runExclusive } from '../../src/operations/run-exclusive.ts';
import { wrapSession } from '../../src/wrap-session.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** A run that ends in one way. */
interface Ending {
  readonly agent: Agent;
  readonly signal?: AbortSignal;
  readonly maxTurns?: number;
  /** What it is rejected with; it succeeds without. */
  readonly rejects?: RegExp;
}

function failing(message: string): ScriptedModel {
  return new ScriptedModel([modelResponder(() => Promise.reject(new Error(message)))]);
}

type Steps = NonNullable<ConstructorParameters<typeof ScriptedModel>[0]>;

function answering(...steps: Steps extends Iterable<infer Step> ? Step[] : never): ScriptedModel {
  return new ScriptedModel([...steps, [assistantMessage('hello')]]);
}

const brokenTool = tool({
  name: 'look',
  description: 'Fails.',
  parameters: z.object({}),
  execute: () => Promise.reject(new Error('no disk')),
  errorFunction: null,
});
const tripped = {
  name: 'never',
  execute: async () => ({ tripwireTriggered: true, outputInfo: undefined }),
};
const callOfTool = [functionCall('look', {}, { callId: 'call-1' })];

const ENDINGS: Readonly<Record<string, () => Ending>> = {
  'an answer': () => ({ agent: new Agent({ name: 'Well', model: answering() }) }),
  'a provider that is down': () => ({
    agent: new Agent({ name: 'Failing', model: failing('503') }),
    rejects: /503/,
  }),
  'a provider that goes down after a tool': () => ({
    agent: new Agent({
      name: 'Failing',
      tools: [tool({ name: 'look', description: 'Looks.', parameters: z.object({}), execute: () => 'seen' })],
      model: new ScriptedModel([callOfTool, modelResponder(() => Promise.reject(new Error('503')))]),
    }),
    rejects: /503/,
  }),
  'an abort': () => {
    const controller = new AbortController();
    const model = new ScriptedModel([
      modelResponder(() => {
        controller.abort(new Error('stopped'));
        return Promise.reject(new Error('aborted'));
      }),
    ]);
    return {
      agent: new Agent({ name: 'Aborted', model }),
      signal: controller.signal,
      rejects: /abort|stopped/,
    };
  },
  'a tool that throws': () => ({
    agent: new Agent({ name: 'Broken', model: answering(callOfTool), tools: [brokenTool] }),
    rejects: /no disk/,
  }),
  'an input guardrail': () => ({
    agent: new Agent({ name: 'Guarded', model: answering(), inputGuardrails: [tripped] }),
    rejects: /guardrail/i,
  }),
  'an output guardrail': () => ({
    agent: new Agent({ name: 'Guarded', model: answering(), outputGuardrails: [tripped] }),
    rejects: /guardrail/i,
  }),
  'too many turns': () => ({
    agent: new Agent({
      name: 'Restless',
      model: answering(callOfTool),
      tools: [
        tool({
          name: 'look',
          description: 'Looks.',
          parameters: z.object({}),
          execute: () => 'seen',
        }),
      ],
    }),
    maxTurns: 1,
    rejects: /turns/i,
  }),
  'an agent inside of it that fails': () => {
    const inner = new Agent({ name: 'Inner', model: failing('503 inside') });
    const look = inner.asTool({ toolName: 'look', toolDescription: 'Asks.' });
    // The SDK turns the failure of an agent that is a tool into the tool's answer.
    return {
      agent: new Agent({
        name: 'Outer',
        model: answering([functionCall('look', { input: 'x' }, { callId: 'c' })]),
        tools: [look],
      }),
    };
  },
};

const cases = Object.entries(ENDINGS).flatMap(([name, make]) =>
  [false, true].map((stream) => ({ name, make, stream, how: stream ? 'streamed' : 'not streamed' })),
);

const EVENTS = ['agent_start', 'agent_end', 'agent_handoff', 'agent_tool_start', 'agent_tool_end'] as const;

type Ran = Promise<{ readonly completed?: Promise<void>; [Symbol.asyncIterator]?: unknown }>;

/** Resolves when the run is over, with what it was rejected with. */
async function outcome(running: Ran): Promise<unknown> {
  try {
    const result = await running;
    await result.completed;
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Whether the run ended as it is said to. */
function isAsSaid(error: unknown, { rejects }: Ending): boolean {
  return rejects === undefined ? error === undefined : rejects.test(String(error));
}

/** Reads as the runner does in a run of its own: resolves when it has its turn. */
function nextRun(session: object): Promise<unknown> {
  return (session as RunContextAwareSession).getItems(undefined, new RunContext());
}

describe('the turn of exclusive() after a run that ended', () => {
  const runner = new Runner({ tracingDisabled: true });

  test.each(cases)('by $name, $how: runExclusive() ends it with the run', async ({ make, stream }) => {
    const session = wrapSession(new MemorySession(), [exclusive({ wait: 2_000, hold: '1h' })]);
    const ending = make();
    const { agent, rejects: _, ...options } = ending;
    // It stays in memory: nothing is left to the collector.
    const context = new RunContext();
    const running = stream
      ? runExclusive(runner, agent, 'hello', { session, context, ...options, stream: true })
      : runExclusive(runner, agent, 'hello', { session, context, ...options });
    expect(isAsSaid(await outcome(running as Ran), ending)).toBe(true);
    expect(await nextRun(session)).toBeInstanceOf(Array);
    expect(context).toBeInstanceOf(RunContext);
  });

  test.each(cases)('by $name, $how: plain run() ends it with the run context', async ({ make, stream }) => {
    const session = wrapSession(new MemorySession(), [exclusive({ wait: '30s', hold: '1h' })]);
    await (async () => {
      const ending = make();
      const { agent, rejects: _, ...options } = ending;
      const running = stream
        ? runner.run(agent, 'hello', { session, ...options, stream: true })
        : runner.run(agent, 'hello', { session, ...options });
      expect(isAsSaid(await outcome(running as Ran), ending)).toBe(true);
    })();
    const next = nextRun(session);
    const collecting = setInterval(collect, 10);
    expect(await next.finally(() => clearInterval(collecting))).toBeInstanceOf(Array);
  });

  test.each(cases)(
    'by $name, $how: plain run() gives it to the next run after hold, even if the run context is still referenced',
    async ({ make, stream }) => {
      const session = wrapSession(new MemorySession(), [exclusive({ wait: '30s', hold: 30 })]);
      const ending = make();
      const { agent, rejects: _, ...options } = ending;
      const context = new RunContext();
      const running = stream
        ? runner.run(agent, 'hello', { session, context, ...options, stream: true })
        : runner.run(agent, 'hello', { session, context, ...options });
      const error = await outcome(running as Ran);
      expect(isAsSaid(error, ending)).toBe(true);
      expect(await nextRun(session)).toBeInstanceOf(Array);
      expect(context).toBeInstanceOf(RunContext);
    },
  );

  test.each(cases.filter(({ make }) => make().rejects !== undefined))(
    'by $name, $how: no event of the runner or the agent reports it, so the layer listens to none',
    async ({ make, stream }) => {
      const loud = new Runner({ tracingDisabled: true });
      const { agent, rejects: _, ...options } = make();
      const heard: string[] = [];
      for (const event of EVENTS) {
        for (const hooks of [loud, agent]) hooks.on(event, () => heard.push(event));
      }
      const running = stream
        ? loud.run(agent, 'hello', { ...options, stream: true })
        : loud.run(agent, 'hello', options);
      expect(await outcome(running as Ran)).toBeDefined();
      expect(heard).not.toContain('agent_end');
    },
  );
});
