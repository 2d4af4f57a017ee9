import { createRequire } from 'node:module';
import type * as agents from '@openai/agents';
import { Agent, MemorySession, Runner, tool, type FunctionTool } from '@openai/agents';
import type * as agentsTesting from '@openai/agents/testing';
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createRedactor, restoreToolArguments, type Redactor } from '../../src/redaction/index.ts';

function vaulted(): Redactor {
  return createRedactor({
    operators: { DEFAULT: { type: 'pseudonymize', key: new Uint8Array(32).fill(7) } },
    vault: new MemorySession(),
  });
}

type AnyTool = FunctionTool<never, never, unknown>;

/** Runs an agent whose model calls the tool once. Returns how many approvals the run waits for. */
async function callOnce(given: AnyTool, input: object): Promise<number> {
  const model = new ScriptedModel([
    [functionCall(given.name, { ...input }, { callId: 'call_1' })],
    [assistantMessage('done')],
  ]);
  // A list of tools has no type for tools of any parameters.
  const agent = new Agent({ name: 'Agent', model, tools: [given as unknown as FunctionTool] });
  const { interruptions } = await new Runner({ tracingDisabled: true }).run(agent, 'Go.');
  return interruptions.length;
}

interface StandardSchema<Input, Output> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (input: unknown) => { readonly value: Output };
    readonly jsonSchema: Record<'input' | 'output', () => Record<string, unknown>>;
    readonly types?: { readonly input: Input; readonly output: Output };
  };
}

interface Judge {
  readonly judged: unknown[];
  readonly executed: unknown[];
  readonly needsApproval: (context: unknown, input: unknown) => Promise<boolean>;
  readonly execute: (input: unknown) => Promise<string>;
}

/** Asks for an approval above 100, and notes what it saw. */
function judge(): Judge {
  const judged: unknown[] = [];
  const executed: unknown[] = [];
  return {
    judged,
    executed,
    needsApproval: async (_context, input) => {
      judged.push(input);
      return (input as { amount: number }).amount > 100;
    },
    execute: async (input) => {
      executed.push(input);
      return 'paid';
    },
  };
}

const REFUND = { name: 'refund', description: 'Refunds.' };
const JSON_SCHEMA = {
  type: 'object' as const,
  properties: { amount: { type: 'number' as const } },
  required: ['amount' as const],
  additionalProperties: false as const,
};

/** A Standard Schema of no library, which changes the amount. */
function amountOf<T>(convert: (text: string) => T): StandardSchema<{ amount: string }, { amount: T }> {
  const schema = (): Record<string, unknown> => ({
    ...JSON_SCHEMA,
    properties: { amount: { type: 'string' } },
  });
  return {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (input) => ({ value: { amount: convert((input as { amount: string }).amount) } }),
      jsonSchema: { input: schema, output: schema },
    },
  };
}

/** Tools whose parameters are not what the model wrote. */
const TOOLS: Record<string, [(judge: Judge) => AnyTool, input: object]> = {
  'a default': [
    (j) => tool({ ...REFUND, ...j, parameters: z.object({ amount: z.number().default(5000) }) }),
    {},
  ],
  'a default below the limit': [
    (j) => tool({ ...REFUND, ...j, parameters: z.object({ amount: z.number().default(5) }) }),
    {},
  ],
  'a coercion': [
    (j) => tool({ ...REFUND, ...j, parameters: z.object({ amount: z.coerce.number() }) }),
    { amount: ['5000'] },
  ],
  'a fallback': [
    (j) => tool({ ...REFUND, ...j, parameters: z.object({ amount: z.number().catch(5000) }) }),
    { amount: 'all' },
  ],
  'a transformation': [
    (j) => tool({ ...REFUND, ...j, parameters: amountOf((text) => parseFloat(text)) }),
    { amount: '5000 EUR' },
  ],
  'a field that the schema does not know': [
    (j) => tool({ ...REFUND, ...j, parameters: z.object({ amount: z.number() }) }),
    { amount: 5, other: 1 },
  ],
  'arguments that the schema refuses': [
    (j) => tool({ ...REFUND, ...j, parameters: z.object({ amount: z.number() }) }),
    { amount: 'all' },
  ],
  'a JSON schema': [(j) => tool({ ...REFUND, ...j, parameters: JSON_SCHEMA }), { amount: 5000 }],
  'a JSON schema that is not strict': [
    (j) =>
      tool({
        ...REFUND,
        ...j,
        strict: false,
        parameters: { ...JSON_SCHEMA, additionalProperties: true as const },
      }),
    { amount: 5000, other: null },
  ],
};

describe('the approval policy of a tool with restored arguments', () => {
  test.each(Object.entries(TOOLS))(
    '%s: judges what the tool itself would be judged by',
    async (_name, row) => {
      const [make, input] = row;
      const bare = judge();
      const wrapped = judge();
      const before = await callOnce(make(bare), input);
      const after = await callOnce(restoreToolArguments(make(wrapped), vaulted()), input);
      expect(wrapped.judged).toEqual(bare.judged);
      expect(wrapped.judged).toHaveLength(1);
      expect(wrapped.executed).toEqual(bare.executed);
      expect(after).toBe(before);
    },
  );

  test('judges restored values, after the schema has changed them', async () => {
    const redactor = vaulted();
    const token = await redactor.redactText('Jane@acme.com');
    const judged: unknown[] = [];
    const executed: unknown[] = [];
    const mail = tool({
      name: 'mail',
      description: 'Mails.',
      parameters: z.object({ to: z.email().toLowerCase() }),
      needsApproval: async (_context, { to }) => {
        judged.push(to);
        return !to.endsWith('@acme.com');
      },
      execute: async ({ to }) => {
        executed.push(to);
        return 'sent';
      },
    });
    expect(await callOnce(restoreToolArguments(mail, redactor), { to: token })).toBe(0);
    expect({ judged, executed }).toEqual({ judged: ['jane@acme.com'], executed: ['jane@acme.com'] });
  });

  test.each<[string, (judge: Judge) => (...rest: never[]) => Promise<boolean>]>([
    [
      'rest parameters',
      (j) =>
        async (...rest: [unknown, { amount?: unknown }]) =>
          j.needsApproval(...rest),
    ],
    [
      'default parameters',
      (j) =>
        async (context: unknown = {}, input: unknown = {}) =>
          j.needsApproval(context, input),
    ],
  ])('a policy with %s gets them too', async (_name, policy) => {
    const redactor = vaulted();
    const token = await redactor.redactText('jane@acme.com');
    const j = judge();
    const given = tool({
      ...REFUND,
      parameters: z.object({ to: z.string(), amount: z.number().default(5000) }),
      needsApproval: policy(j) as never,
      execute: j.execute,
    });
    expect(await callOnce(restoreToolArguments(given, redactor), { to: token })).toBe(1);
    expect(j.judged).toEqual([{ to: 'jane@acme.com', amount: 5000 }]);
    expect(j.executed).toEqual([]);
  });

  test('a tool that is wrapped twice is judged as one that is wrapped once', async () => {
    const j = judge();
    const given = tool({ ...REFUND, ...j, parameters: z.object({ amount: z.number().default(5000) }) });
    const twice = restoreToolArguments(restoreToolArguments(given, vaulted()), vaulted());
    expect(await callOnce(twice, {})).toBe(1);
    expect(j.judged).toEqual([{ amount: 5000 }]);
  });

  test('a tool whose arguments the SDK cannot parse needs an approval, unasked', async () => {
    const j = judge();
    const handMade = {
      ...tool({ ...REFUND, ...j, parameters: z.object({ amount: z.number().default(5) }) }),
      invoke: async (_context: unknown, input: string) => j.execute(JSON.parse(input)),
    };
    expect(await callOnce(restoreToolArguments(handMade as never, vaulted()), { amount: 5 })).toBe(1);
    expect(j).toMatchObject({ judged: [], executed: [] });
  });

  test('an amount that JSON cannot write back needs an approval', async () => {
    const j = judge();
    const given = restoreToolArguments(tool({ ...REFUND, ...j, parameters: JSON_SCHEMA }), vaulted());
    const call = functionCall('refund', {}, { callId: 'call_1' });
    const model = new ScriptedModel([
      [{ ...call, arguments: '{"amount":1e400}' }],
      [assistantMessage('done')],
    ]);
    const agent = new Agent({ name: 'Agent', model, tools: [given] });
    const { interruptions } = await new Runner({ tracingDisabled: true }).run(agent, 'Go.');
    expect(interruptions).toHaveLength(1);
    expect(j.executed).toEqual([]);
  });

  test('an output of the schema that is not plain data needs an approval', async () => {
    const j = judge();
    const given = tool({
      ...REFUND,
      ...j,
      parameters: amountOf((text) => new Date(text)),
    });
    const restored = restoreToolArguments(given, vaulted());
    expect(await callOnce(restored, { amount: '2026-01-01' })).toBe(1);
    expect(j).toMatchObject({ judged: [], executed: [] });
  });

  test('nothing of the tool is called to find out what the policy judges', async () => {
    const called: string[] = [];
    const note = (name: string) => async () => {
      called.push(name);
      return { behavior: { type: 'allow' as const } };
    };
    const given = tool({
      ...REFUND,
      parameters: z.object({ amount: z.number().default(5) }),
      needsApproval: async (_context, { amount }) => amount > 100,
      isEnabled: async () => {
        called.push('isEnabled');
        return true;
      },
      inputGuardrails: [{ name: 'in', run: note('inputGuardrail') }],
      outputGuardrails: [{ name: 'out', run: note('outputGuardrail') }],
      timeoutMs: 60_000,
      execute: async () => {
        called.push('execute');
        return 'paid';
      },
    });
    await callOnce(given, {});
    const bare = called.splice(0);
    await callOnce(restoreToolArguments(given, vaulted()), {});
    expect(called).toEqual(bare);
    expect(called).toContain('execute');
  });
});

describe('a tool of the CommonJS build of the SDK', () => {
  test('is judged as one of the ES modules', async () => {
    const require = createRequire(import.meta.url);
    const sdk = require('@openai/agents') as typeof agents;
    const testing = require('@openai/agents/testing') as typeof agentsTesting;
    expect(sdk.tool).not.toBe(tool);
    const j = judge();
    const given = sdk.tool({ ...REFUND, ...j, parameters: z.object({ amount: z.number().default(5) }) });
    const model = new testing.ScriptedModel([
      [testing.functionCall('refund', {}, { callId: 'call_1' })],
      [testing.functionCall('refund', { amount: 5000 }, { callId: 'call_2' })],
    ]);
    const agent = new sdk.Agent({
      name: 'Agent',
      model,
      tools: [restoreToolArguments(given, vaulted())],
    });
    const { interruptions } = await new sdk.Runner({ tracingDisabled: true }).run(agent, 'Go.');
    expect(j.judged).toEqual([{ amount: 5 }, { amount: 5000 }]);
    expect(j.executed).toEqual([{ amount: 5 }]);
    expect(interruptions).toHaveLength(1);
  });
});
