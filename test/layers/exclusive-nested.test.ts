import { Agent, MemorySession, Runner, type AgentInputItem, type Session } from '@openai/agents';
import { assistantMessage, functionCall, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { exclusive } from '../../src/layers/exclusive.ts';
import { runExclusive } from '../../src/operations/run-exclusive.ts';
import { wrapSession } from '../../src/wrap-session.ts';

const runner = new Runner({ tracingDisabled: true });

/** What was said, in the order in which it is stored. */
async function said(session: Session): Promise<string[]> {
  const texts = (item: AgentInputItem): string[] => {
    if (!('content' in item)) return [];
    const { content } = item;
    if (typeof content === 'string') return [content];
    return (content ?? []).flatMap((part) => ('text' in part ? [part.text] : []));
  };
  return (await session.getItems()).flatMap(texts);
}

interface Nested {
  readonly outer: Agent;
  /** Errors of the nested run's reads. */
  readonly errors: unknown[];
}

/** An agent that calls another agent as a tool, on the same session, and does `meanwhile` after that. */
function nesting(session: Session, ownInput: boolean, meanwhile: () => unknown): Nested {
  const nested = new Agent({
    name: 'Nested',
    model: new ScriptedModel([[assistantMessage('nested answer')]]),
  });
  const errors: unknown[] = [];
  // The model is only told that the tool failed.
  const heard = Object.create(session) as Session;
  heard.getItems = async (...args) => {
    try {
      return await session.getItems(...args);
    } catch (error) {
      errors.push(error);
      throw error;
    }
  };
  const options = {
    toolName: 'ask',
    toolDescription: 'Asks.',
    runOptions: { session: heard },
    runConfig: { tracingDisabled: true },
  };
  const ask = ownInput
    ? nested.asTool({ ...options, parameters: z.object({ input: z.string() }) })
    : nested.asTool(options);
  const model = new ScriptedModel([
    [functionCall('ask', { input: 'nested question' }, { callId: 'call_1' })],
    modelResponder(async () => {
      await meanwhile();
      return [assistantMessage('outer answer')];
    }),
  ]);
  return { outer: new Agent({ name: 'Outer', model, tools: [ask] }), errors };
}

const otherAgent = (): Agent =>
  new Agent({ name: 'Other', model: new ScriptedModel([[assistantMessage('other answer')]]) });

const NESTED = ['nested question', 'nested answer'];
const OUTER = ['outer question', 'outer answer'];
const OTHER = ['other question', 'other answer'];

describe('an agent as a tool on the session of the run that calls it', () => {
  test('runExclusive() keeps the turn of the outer run, whatever the nested one writes', async () => {
    const session = wrapSession(new MemorySession(), [exclusive()]);
    let other: Promise<unknown> | undefined;
    const { outer } = nesting(session, false, () => {
      other = runExclusive(runner, otherAgent(), 'other question', { session });
    });
    await runExclusive(runner, outer, 'outer question', { session });
    await other;
    expect(await said(session)).toEqual([...NESTED, ...OUTER, ...OTHER]);
  });

  test('plain run(): the first write of the nested run ends the turn of both', async () => {
    const session = wrapSession(new MemorySession(), [exclusive()]);
    const { outer } = nesting(session, false, () => runner.run(otherAgent(), 'other question', { session }));
    await runner.run(outer, 'outer question', { session });
    expect(await said(session)).toEqual([...NESTED, ...OTHER, ...OUTER]);
  });

  test.each(['run()', 'runExclusive()'])(
    '%s: a tool with parameters of its own has a run context of its own, and waits until ERR_TIMEOUT',
    async (how) => {
      const session = wrapSession(new MemorySession(), [exclusive({ wait: 20 })]);
      const { outer, errors } = nesting(session, true, () => undefined);
      if (how === 'run()') await runner.run(outer, 'outer question', { session });
      else await runExclusive(runner, outer, 'outer question', { session });
      expect(errors).toEqual([
        expect.objectContaining({
          code: 'ERR_TIMEOUT',
          message: expect.stringContaining('another run has held session') as string,
        }),
      ]);
      expect(await said(session)).toEqual(OUTER);
    },
  );
});
