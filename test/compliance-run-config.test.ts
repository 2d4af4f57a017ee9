import {
  Agent,
  OpenAIProvider,
  Runner,
  setTraceProcessors,
  setTracingDisabled,
  tool,
  type ModelSettings,
  type TracingProcessor,
} from '@openai/agents';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  complianceRunConfig,
  type ComplianceRunConfig,
  type ComplianceRunConfigOptions,
} from '../src/compliance-run-config.ts';

const CANARY = 'canary-7d1f';

/** What trace processors get: the fields that the SDK's own exporter keeps back too. */
const traced: string[] = [];
const recorder: TracingProcessor = {
  onTraceStart: async (trace) => void traced.push(JSON.stringify(trace.toJSON())),
  onTraceEnd: async (trace) => void traced.push(JSON.stringify(trace.toJSON())),
  onSpanStart: async () => undefined,
  onSpanEnd: async (span) => void traced.push(JSON.stringify(span.spanData)),
  shutdown: async () => undefined,
  forceFlush: async () => undefined,
};

beforeAll(() => {
  setTracingDisabled(false);
  setTraceProcessors([recorder]);
});
afterAll(() => {
  setTracingDisabled(true);
  setTraceProcessors([]);
});
beforeEach(() => {
  traced.length = 0;
});

type Body = Record<string, unknown>;

/** The SDK's own Responses model over a client whose network is this function: it sees the real requests. */
function provider(outputs: unknown[][]): { provider: OpenAIProvider; requests: Body[] } {
  const requests: Body[] = [];
  const openAIClient = new OpenAI({
    apiKey: 'none',
    fetch: async (_url, init) => {
      requests.push(JSON.parse(init?.body as string) as Body);
      const response = {
        id: `resp_${requests.length}`,
        object: 'response',
        status: 'completed',
        output: outputs[requests.length - 1] ?? [],
        usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
      };
      return new Response(JSON.stringify(response), { headers: { 'content-type': 'application/json' } });
    },
  });
  return { provider: new OpenAIProvider({ openAIClient, useResponses: true }), requests };
}

const call = (name: string, args: object): unknown => ({
  type: 'function_call',
  id: 'fc_1',
  call_id: 'call_1',
  name,
  arguments: JSON.stringify(args),
  status: 'completed',
});
const answer = (text: string): unknown => ({
  type: 'message',
  id: 'msg_1',
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text, annotations: [] }],
});

const lookup = tool({
  name: 'lookup',
  description: 'Looks something up.',
  parameters: z.object({ question: z.string() }),
  execute: async ({ question }) => `found ${question}`,
});

async function converse(
  config: Partial<ComplianceRunConfig>,
  modelSettings?: ModelSettings,
): Promise<Body[]> {
  const { provider: modelProvider, requests } = provider([
    [call('lookup', { question: CANARY })],
    [answer(`It is ${CANARY}.`)],
  ]);
  const runner = new Runner({ ...config, modelProvider });
  const agent = new Agent({
    name: 'Support',
    model: 'gpt-4.1',
    tools: [lookup],
    ...(modelSettings && { modelSettings }),
  });
  const result = await runner.run(agent, `What is ${CANARY}?`);
  expect(result.finalOutput).toBe(`It is ${CANARY}.`);
  expect(requests).toHaveLength(2);
  return requests;
}

describe('complianceRunConfig', () => {
  test('without it, the SDK traces content and lets the API store it', async () => {
    const requests = await converse({});
    expect(traced.join('\n')).toContain(CANARY);
    expect(requests.every((request) => request['store'] !== false)).toBe(true);
  });

  test('with it, nothing is traced and every request has store: false', async () => {
    const requests = await converse(complianceRunConfig());
    expect(traced).toEqual([]);
    expect(requests.map((request) => request['store'])).toEqual([false, false]);
  });

  test('tracing of metadata gives spans without content', async () => {
    await converse(complianceRunConfig({ tracing: 'metadata' }));
    expect(traced.length).toBeGreaterThan(3);
    expect(traced.join('\n')).toContain('lookup');
    expect(traced.join('\n')).not.toContain(CANARY);
  });

  test('an agent with settings of its own keeps store off, unless it turns it on itself', async () => {
    const own = await converse(complianceRunConfig(), { temperature: 0 });
    expect(own.map((request) => request['store'])).toEqual([false, false]);
    const loud = await converse(complianceRunConfig(), { store: true });
    expect(loud.map((request) => request['store'])).toEqual([true, true]);
  });

  test('encrypted reasoning is asked for when the option says so', async () => {
    const plain = await converse(complianceRunConfig());
    expect(JSON.stringify(plain)).not.toContain('reasoning.encrypted_content');
    const encrypted = await converse(complianceRunConfig({ encryptedReasoning: true }));
    expect(encrypted.map((request) => request['include'])).toEqual([
      ['reasoning.encrypted_content'],
      ['reasoning.encrypted_content'],
    ]);
  });

  test.each<['off' | 'metadata', boolean]>([
    ['off', false],
    // The limit that the documentation of `tracing` states: the SDK does not pass the setting on.
    ['metadata', true],
  ])('an agent as a tool of a run with tracing %s: its content is traced: %s', async (tracing, leaks) => {
    const { provider: modelProvider, requests } = provider([
      [call('expert', { input: 'a question' })],
      [answer(`expert says ${CANARY}`)],
      [answer('done')],
    ]);
    const expert = new Agent({ name: 'Expert', model: 'gpt-4.1' });
    const agent = new Agent({
      name: 'Support',
      model: 'gpt-4.1',
      tools: [expert.asTool({ toolName: 'expert', toolDescription: 'Knows.' })],
    });
    const runner = new Runner({ ...complianceRunConfig({ tracing }), modelProvider });
    await runner.run(agent, 'hello');
    expect(requests.map((request) => request['store'])).toEqual([false, false, false]);
    expect(traced.join('\n').includes(CANARY)).toBe(leaks);
  });

  test('an agent as a tool with the same settings of its own traces no content', async () => {
    const { provider: modelProvider } = provider([
      [call('expert', { input: 'a question' })],
      [answer(`expert says ${CANARY}`)],
      [answer('done')],
    ]);
    const config = complianceRunConfig({ tracing: 'metadata' });
    const expert = new Agent({ name: 'Expert', model: 'gpt-4.1' });
    const agent = new Agent({
      name: 'Support',
      model: 'gpt-4.1',
      tools: [expert.asTool({ toolName: 'expert', toolDescription: 'Knows.', runConfig: config })],
    });
    await new Runner({ ...config, modelProvider }).run(agent, 'hello');
    expect(traced.length).toBeGreaterThan(3);
    expect(traced.join('\n')).not.toContain(CANARY);
  });

  test.each<[unknown, RegExp]>([
    [null, /complianceRunConfig: options must be an object, got null/],
    [{ tracing: true }, /tracing must be 'off' or 'metadata', got a boolean/],
    [{ encryptedReasoning: 'yes' }, /encryptedReasoning must be true or false, got a string/],
    [{ store: true }, /unknown option "store"/],
  ])('bad options are refused: %#', (options, message) => {
    expect(() => complianceRunConfig(options as ComplianceRunConfigOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });
});
