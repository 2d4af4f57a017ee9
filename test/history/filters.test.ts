import {
  Agent,
  MemorySession,
  Runner,
  tool,
  type AgentInputItem,
  type CallModelInputFilter,
  type CallModelInputFilterArgs,
  type ModelInputData,
} from '@openai/agents';
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { clearToolOutputs, composeFilters, limitImages } from '../../src/history/index.ts';
import { assistant, call, result, system, user } from './support/random-history.ts';

const agent = new Agent({ name: 'agent' }) as unknown as CallModelInputFilterArgs['agent'];

async function apply(filter: CallModelInputFilter, input: AgentInputItem[]): Promise<AgentInputItem[]> {
  const before = structuredClone(input);
  const data: ModelInputData = await filter({ modelData: { input }, agent, context: undefined });
  expect(input).toEqual(before);
  return data.input;
}

const steps = (count: number, output = 'x'.repeat(100)): AgentInputItem[] =>
  Array.from({ length: count }, (_, step) => [
    call(`c${step}`, `tool${step}`),
    result(`c${step}`, output, `tool${step}`),
  ]).flat();

const outputs = (items: readonly AgentInputItem[]): unknown[] =>
  items.flatMap((item) => (item.type === 'function_call_result' ? [item.output] : []));

describe('clearToolOutputs()', () => {
  it('empties all but the latest outputs and changes nothing else', async () => {
    const input = [user('a'), ...steps(5), assistant('done'), user('b')];
    const cleared = await apply(clearToolOutputs({ keep: 2 }), input);
    expect(outputs(cleared)).toEqual([
      '[cleared]',
      '[cleared]',
      '[cleared]',
      'x'.repeat(100),
      'x'.repeat(100),
    ]);
    expect(cleared.map(({ type }) => type)).toEqual(input.map(({ type }) => type));
    expect(cleared[0]).toBe(input[0]);
    expect(cleared[1]).toBe(input[1]);
  });

  it('works within one long turn, but never on outputs that the model has not seen', async () => {
    const input = [
      user('a'),
      ...steps(5),
      call('p1'),
      call('p2'),
      result('p1', 'new'.repeat(9)),
      result('p2', 'new'.repeat(9)),
    ];
    expect(outputs(await apply(clearToolOutputs({ keep: 0 }), input))).toEqual([
      ...Array<string>(5).fill('[cleared]'),
      'new'.repeat(9),
      'new'.repeat(9),
    ]);
  });

  it('skips excluded tools, and does not count them', async () => {
    const input = [user('a'), ...steps(4), assistant('done')];
    const cleared = await apply(clearToolOutputs({ keep: 1, excludeTools: ['tool0', 'tool3'] }), input);
    expect(outputs(cleared)).toEqual(['x'.repeat(100), '[cleared]', 'x'.repeat(100), 'x'.repeat(100)]);
  });

  it('leaves a preview that does not cut a character in half, and fills a placeholder in', async () => {
    const input = [user('a'), ...steps(1, `ab😀${'x'.repeat(90)}`), assistant('done')];
    const placeholder = ({
      toolName,
      callId,
      characters,
    }: {
      toolName: string;
      callId: string;
      characters: number;
    }): string => `[${toolName} ${callId}: ${characters} characters]`;
    expect(outputs(await apply(clearToolOutputs({ keep: 0, previewChars: 3, placeholder }), input))).toEqual([
      'ab… [tool0 c0: 94 characters]',
    ]);
  });

  it('clears the arguments too when asked, of the very calls whose outputs it cleared', async () => {
    const same = (text: string): AgentInputItem[] => [
      { ...call('same'), arguments: `{"q":"${text}"}` } as AgentInputItem,
      result('same', text.repeat(50)),
    ];
    const input = [user('a'), ...same('old'), ...same('new'), assistant('done')];
    const cleared = await apply(clearToolOutputs({ keep: 1, clearToolInputs: true }), input);
    expect(cleared.flatMap((item) => (item.type === 'function_call' ? [item.arguments] : []))).toEqual([
      '{}',
      '{"q":"new"}',
    ]);
  });

  it('clears in steps, so that a prompt cache misses only once in a while', async () => {
    const filter = clearToolOutputs({ keep: 2, clearAtLeast: 3 });
    const cleared = async (count: number): Promise<number> =>
      outputs(await apply(filter, [user('a'), ...steps(count), assistant('done')])).filter(
        (output) => output === '[cleared]',
      ).length;
    expect(await Promise.all([2, 4, 5, 7, 8, 11].map(cleared))).toEqual([0, 0, 3, 3, 6, 9]);
  });

  it('keeps the shape of structured, shell and patch outputs', async () => {
    const long = 'x'.repeat(100);
    const input: AgentInputItem[] = [
      call('a'),
      {
        type: 'function_call_result',
        callId: 'a',
        name: 'f',
        status: 'completed',
        output: { type: 'text', text: long },
      },
      call('b'),
      {
        type: 'function_call_result',
        callId: 'b',
        name: 'f',
        status: 'completed',
        output: [
          { type: 'input_text', text: long },
          { type: 'input_image', image: 'https://example.com/a.png' },
        ],
      },
      { type: 'shell_call', callId: 'c', action: { commands: ['ls'] } },
      {
        type: 'shell_call_output',
        callId: 'c',
        output: [
          { stdout: long, stderr: 'e', outcome: { type: 'exit', exitCode: 1 } },
          { stdout: long, stderr: '', outcome: { type: 'timeout' } },
        ],
      },
      {
        type: 'apply_patch_call',
        callId: 'd',
        status: 'completed',
        operation: { type: 'delete_file', path: 'a' },
      },
      { type: 'apply_patch_call_output', callId: 'd', status: 'completed', output: long },
      assistant('done'),
    ];
    const cleared = await apply(clearToolOutputs({ keep: 0 }), input);
    expect(cleared[1]).toEqual({ ...input[1], output: { type: 'text', text: '[cleared]' } });
    expect(cleared[3]).toEqual({ ...input[3], output: [{ type: 'input_text', text: '[cleared]' }] });
    expect(cleared[5]).toEqual({
      ...input[5],
      output: [
        { stdout: '[cleared]', stderr: '', outcome: { type: 'exit', exitCode: 1 } },
        { stdout: '', stderr: '', outcome: { type: 'timeout' } },
      ],
    });
    expect(cleared[7]).toEqual({ ...input[7], output: '[cleared]' });
  });

  it.each([
    ['[cleared]', {}],
    ['', { placeholder: '' }],
    ['[cut]', { placeholder: () => '[cut]' }],
  ])('clears an output that itself ends with the placeholder %j', async (mark, options) => {
    const input = [user('a'), ...steps(1, `${'x'.repeat(100)}${mark}`), assistant('done'), user('b')];
    const clear = clearToolOutputs({ keep: 0, ...options });
    const cleared = await apply(clear, input);
    expect(outputs(cleared)).toEqual([mark]);
    expect(await apply(clear, cleared)).toEqual(cleared);
  });

  it.each([undefined, 5, Promise.resolve('[cut]')])(
    'refuses a placeholder function that returns %o',
    async (mark) => {
      const clear = clearToolOutputs({ keep: 0, placeholder: () => mark as never });
      await expect(apply(clear, [user('a'), ...steps(1), assistant('done')])).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(
          'placeholder must be a string or a function that returns one at once',
        ),
      });
    },
  );

  it('is idempotent and does not change short outputs', async () => {
    const filter = clearToolOutputs({ keep: 0, previewChars: 5 });
    const input = [...steps(3), ...steps(1, 'short'), assistant('done')];
    const once = await apply(filter, input);
    expect(outputs(once)).toEqual([...Array<string>(3).fill('xxxxx… [cleared]'), 'short']);
    expect(await apply(filter, once)).toEqual(once);
  });

  it('changes the request of a run and nothing in the store', async () => {
    const session = new MemorySession();
    const search = tool({
      name: 'search',
      description: 'search',
      parameters: z.object({ step: z.number() }),
      execute: ({ step }) => `result ${step} ${'x'.repeat(200)}`,
    });
    const model = new ScriptedModel([
      ...[0, 1, 2, 3].map((step) => [functionCall('search', { step }, { callId: `c${step}` })]),
      [assistantMessage('done')],
      [assistantMessage('again')],
    ]);
    const runner = new Runner({ tracingDisabled: true });
    const options = { session, callModelInputFilter: clearToolOutputs({ keep: 1 }) };
    const searcher = new Agent({ name: 'searcher', model, tools: [search] });
    await runner.run(searcher, 'go', options);
    await runner.run(searcher, 'and now?', options);
    const seen = outputs(model.lastCall?.request.input as AgentInputItem[]).map((output) =>
      JSON.stringify(output),
    );
    expect(seen.filter((output) => output.includes('[cleared]'))).toHaveLength(3);
    const stored = JSON.stringify(await session.getItems());
    expect(stored).not.toContain('[cleared]');
    expect(stored.match(/result \d/g)).toEqual(['result 0', 'result 1', 'result 2', 'result 3']);
  });

  it.each([
    [{ keep: -1 }, 'keep must be a whole number of at least 0'],
    [{ keep: 1.5 }, 'keep must be a whole number of at least 0'],
    [{ clearAtLeast: 0 }, 'clearAtLeast must be a whole number of at least 1'],
    [{ previewChars: '8' }, 'previewChars must be a whole number of at least 0'],
    [{ excludeTools: 'search' }, 'excludeTools must be an array of tool names'],
    [{ placeholder: 1 }, 'placeholder must be a string or a function'],
    [{ clearToolInputs: 1 }, 'clearToolInputs must be a boolean'],
    [{ keepLast: 1 }, 'unknown option "keepLast"'],
  ])('refuses %j', (options, message) => {
    expect(() => clearToolOutputs(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringContaining(message) }),
    );
  });
});

describe('limitImages()', () => {
  const picture = (name: string): { type: 'input_image'; image: string } => ({
    type: 'input_image',
    image: `https://example.com/${name}.png`,
  });
  const withPictures = (...names: string[]): AgentInputItem => ({
    role: 'user',
    content: [{ type: 'input_text', text: 'look' }, ...names.map(picture)],
  });
  const screenshot = (callId: string): AgentInputItem => ({
    type: 'computer_call_result',
    callId,
    output: { type: 'computer_screenshot', data: 'https://example.com/screen.png' },
  });

  it('keeps the latest pictures, at any position', async () => {
    const input: AgentInputItem[] = [
      withPictures('a', 'b'),
      assistant('ok'),
      call('c'),
      {
        type: 'function_call_result',
        callId: 'c',
        name: 'f',
        status: 'completed',
        output: { type: 'image', image: 'https://example.com/c.png' },
      },
      assistant('ok'),
      withPictures('d'),
      assistant('ok'),
    ];
    const limited = await apply(limitImages({ max: 2 }), input);
    expect(JSON.stringify(limited).match(/example.com\/\w/g)).toEqual(['example.com/c', 'example.com/d']);
    expect(limited[0]).toEqual({
      role: 'user',
      content: [
        { type: 'input_text', text: 'look' },
        { type: 'input_text', text: '[image removed]' },
        { type: 'input_text', text: '[image removed]' },
      ],
    });
    const all = await apply(limitImages({ max: 0 }), input);
    expect(all[3]).toMatchObject({ output: { type: 'text', text: '[image removed]' } });
    expect(all[5]).toBe(input[5]);
  });

  it('replaces a screenshot by a pixel, because it must stay a picture', async () => {
    const input: AgentInputItem[] = [
      user('go'),
      { type: 'computer_call', callId: 'a', status: 'completed', action: { type: 'screenshot' } },
      screenshot('a'),
      { type: 'computer_call', callId: 'b', status: 'completed', action: { type: 'screenshot' } },
      screenshot('b'),
    ];
    const limited = await apply(limitImages({ max: 1 }), input);
    expect(limited[2]).toMatchObject({
      output: { type: 'computer_screenshot', data: expect.stringMatching(/^data:image\/png/) },
    });
    expect(limited[4]).toBe(input[4]);
  });

  it.each([
    ['user messages', []],
    ['a system message between user messages', [system('Compare them.')]],
    ['a result of a tool between user messages', [result('asked', 'answered')]],
  ])(
    'never changes what a run stores as new input (%s), although later calls of the run pass the filter too',
    async (_name, between) => {
      const session = new MemorySession();
      await session.addItems([withPictures('old'), assistant('seen'), call('asked')]);
      const look = tool({
        name: 'look',
        description: 'look',
        parameters: z.object({}),
        execute: () => 'looked',
      });
      const model = new ScriptedModel([
        [functionCall('look', {}, { callId: 'c' })],
        [assistantMessage('done')],
      ]);
      await new Runner({ tracingDisabled: true }).run(
        new Agent({ name: 'looker', model, tools: [look] }),
        [withPictures('one'), ...between, withPictures('two', 'three')],
        {
          session,
          sessionInputCallback: (history, input) => [...history, ...input],
          callModelInputFilter: limitImages({ max: 1 }),
        },
      );
      expect(JSON.stringify(await session.getItems()).match(/example.com\/\w+/g)).toEqual([
        'example.com/old',
        'example.com/one',
        'example.com/two',
        'example.com/three',
      ]);
      expect(JSON.stringify(model.lastCall?.request.input)).not.toContain('example.com/old');
    },
  );

  it.each([
    [{}, 'max must be a whole number of at least 0'],
    [{ max: -1 }, 'max must be a whole number of at least 0'],
    [{ max: 1, placeholder: '' }, 'placeholder must be a text'],
  ])('refuses %j', (options, message) => {
    expect(() => limitImages(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringContaining(message) }),
    );
  });
});

describe('composeFilters()', () => {
  it('runs the filters in order and keeps instructions that a filter leaves out', async () => {
    const append =
      (text: string): CallModelInputFilter =>
      ({ modelData }) => ({ input: [...modelData.input, user(text)] });
    const composed = composeFilters(append('one'), append('two'));
    const data = await composed({
      modelData: { input: [], instructions: 'be kind' },
      agent,
      context: undefined,
    });
    expect(data).toEqual({ input: [user('one'), user('two')], instructions: 'be kind' });
  });

  it('requests stable identities only when every filter does', () => {
    const pure: CallModelInputFilter = Object.assign(
      ({ modelData }: { modelData: ModelInputData }) => modelData,
      {
        preserveInputIdentity: true,
      },
    );
    expect(composeFilters(pure, pure).preserveInputIdentity).toBe(true);
    expect(composeFilters(pure, clearToolOutputs()).preserveInputIdentity).toBeUndefined();
    expect(composeFilters().preserveInputIdentity).toBeUndefined();
  });

  it('refuses a value that is not a function', () => {
    expect(() => composeFilters(clearToolOutputs(), 'x' as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
    );
  });
});
