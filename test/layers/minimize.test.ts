import type { AgentInputItem } from '@openai/agents';
import { Agent, MemorySession, Runner, tool } from '@openai/agents';
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { minimize, wrapSession, type MinimizeOptions } from '../../src/index.ts';
import { itemsWith } from '../redaction/every-item.ts';
import { throughWrite } from '../redaction/layer-call.ts';

const ALL: MinimizeOptions = { toolOutputs: true, reasoning: true, images: true, files: true };

const result = (output: unknown, name = 'search'): AgentInputItem =>
  ({ type: 'function_call_result', callId: 'c', name, status: 'completed', output }) as AgentInputItem;

describe('minimize', () => {
  test.each<[string, MinimizeOptions, AgentInputItem, object]>([
    ['a result of text', { toolOutputs: true }, result('secret'), { output: '[tool output not kept]' }],
    [
      'a result of type text',
      { toolOutputs: true },
      result({ type: 'text', text: 'secret' }),
      { output: { type: 'text', text: '[tool output not kept]' } },
    ],
    [
      'a result of parts',
      { toolOutputs: true },
      result([
        { type: 'input_text', text: 'secret' },
        { type: 'input_image', image: 'secret' },
      ]),
      { output: [{ type: 'input_text', text: '[tool output not kept]' }] },
    ],
    [
      'a picture in a result',
      { images: true },
      result({ type: 'image', image: 'data:secret' }),
      { output: { type: 'text', text: '[image not kept]' } },
    ],
    [
      'a file in a result',
      { files: true },
      result([{ type: 'input_file', file: 'data:secret', filename: 'a.pdf' }]),
      { output: [{ type: 'input_text', text: '[file not kept] a.pdf' }] },
    ],
    [
      'a picture in a message',
      { images: true },
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'see' },
          { type: 'input_image', image: 'data:secret' },
        ],
      },
      {
        content: [
          { type: 'input_text', text: 'see' },
          { type: 'input_text', text: '[image not kept]' },
        ],
      },
    ],
    [
      'a sound, of which the words stay',
      { files: true },
      { role: 'user', content: [{ type: 'audio', audio: 'secret', transcript: 'hello' }] },
      { content: [{ type: 'input_text', text: 'hello' }] },
    ],
    [
      'reasoning',
      { reasoning: true },
      {
        type: 'reasoning',
        id: 'rs_1',
        content: [{ type: 'input_text', text: 'secret' }],
        rawContent: [{ type: 'reasoning_text', text: 'secret' }],
        providerData: { encrypted_content: 'kept' },
      },
      {
        id: 'rs_1',
        content: [{ type: 'input_text', text: '[reasoning not kept]' }],
        rawContent: [{ type: 'reasoning_text', text: '[reasoning not kept]' }],
        providerData: { encrypted_content: 'kept' },
      },
    ],
    [
      'shell output',
      { toolOutputs: true },
      {
        type: 'shell_call_output',
        callId: 'c',
        output: [{ stdout: 'secret', stderr: 'secret', outcome: { type: 'timeout' } }],
      },
      { output: [{ stdout: '[tool output not kept]', stderr: '', outcome: { type: 'timeout' } }] },
    ],
    [
      'what a hosted tool gave',
      { toolOutputs: true },
      {
        type: 'hosted_tool_call',
        name: 'file_search_call',
        output: 'secret',
        providerData: { queries: ['q'], results: ['secret'] },
      },
      { output: '[tool output not kept]', providerData: { queries: ['q'] } },
    ],
    [
      'a generated picture',
      { images: true },
      {
        type: 'hosted_tool_call',
        name: 'image_generation_call',
        output: 'secret',
        providerData: { result: 'secret' },
      },
      { output: '[image not kept]', providerData: {} },
    ],
  ])('%s', async (_name, options, item, expected) => {
    const layer = minimize(options);
    const stored = await throughWrite(layer, item);
    expect(stored).toEqual({ ...item, ...expected });
    expect(JSON.stringify(stored)).not.toContain('secret');
    expect(await throughWrite(layer, stored)).toEqual(stored);
    expect(layer.compare?.(item)).toEqual(stored);
  });

  test('a screenshot becomes one pixel', async () => {
    const item = {
      type: 'computer_call_result',
      callId: 'c',
      output: { type: 'computer_screenshot', data: 'data:secret' },
    } as const;
    const stored = await throughWrite(minimize({ images: true }), item);
    expect(stored).toMatchObject({
      callId: 'c',
      output: { data: expect.stringMatching(/^data:image.png;base64,/) as string },
    });
  });

  test('the tools in keep keep their results', async () => {
    const layer = minimize({ toolOutputs: { keep: ['get_order'] } });
    const kept = result('order 7', 'get_order');
    expect(await throughWrite(layer, kept)).toBe(kept);
    expect(await throughWrite(layer, result('secret'))).toMatchObject({ output: '[tool output not kept]' });
  });

  test('every item keeps its type, minimizing is idempotent, and unchanged items stay the same objects', async () => {
    const layer = minimize(ALL);
    for (const { item } of itemsWith('some text')) {
      const stored = await throughWrite(layer, item);
      expect(stored.type).toBe(item.type);
      expect(await throughWrite(layer, stored)).toEqual(stored);
    }
    const message: AgentInputItem = { role: 'user', content: [{ type: 'input_text', text: 'hi' }] };
    expect(await throughWrite(layer, message)).toBe(message);
  });

  test('the model of this run gets the whole content, the next run the placeholder', async () => {
    const model = new ScriptedModel([
      [functionCall('search', {}, { callId: 'call_1' })],
      [assistantMessage('found')],
      [assistantMessage('hello again')],
    ]);
    const search = tool({
      name: 'search',
      description: 's',
      parameters: z.object({}),
      execute: async () => 'the whole record',
    });
    const agent = new Agent({ name: 'A', model, tools: [search] });
    const runner = new Runner({ tracingDisabled: true });
    const session = wrapSession(new MemorySession(), [minimize({ toolOutputs: true })]);
    await runner.run(agent, 'search', { session });
    await runner.run(agent, 'hi', { session });
    const requests = model.calls.map((call) => JSON.stringify(call.request.input));
    expect(requests[1]).toContain('the whole record');
    expect(requests[2]).not.toContain('the whole record');
    expect(requests[2]).toContain('[tool output not kept]');
  });

  test.each([
    [{}, 'minimize: options must be one or more of toolOutputs, reasoning, images and files'],
    [
      { toolOutputs: 'all' },
      'minimize: toolOutputs must be true, false or { keep: [tool names] }, got a string.',
    ],
    [{ toolOutputs: { keep: 'x' } }, 'minimize: toolOutputs.keep must be an array of tool names'],
    [{ images: 1 }, 'minimize: images must be true or false, got a positive number.'],
    [{ audio: true }, 'minimize: unknown option "audio".'],
  ])('%j is refused', (options, message) => {
    expect(() => minimize(options as MinimizeOptions)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(message) as string,
      }),
    );
  });

  test("drops the provider's copies of the content, too", () => {
    const layer = minimize({ toolOutputs: true, reasoning: true, images: true });
    const kept = { encrypted_content: 'kept', raw: 'secret' };
    const items: AgentInputItem[] = [
      { ...result('secret'), providerData: { output: 'secret' } },
      {
        type: 'reasoning',
        content: [{ type: 'input_text', text: 'secret', providerData: { raw: 'secret' } }],
        providerData: kept,
      },
      {
        role: 'user',
        content: [{ type: 'input_image', image: 'secret', providerData: { raw: 'secret' } }],
        providerData: { raw: 'secret' },
      },
    ];
    const minimized = items.map((item) => layer.compare?.(item));
    expect(JSON.stringify(minimized)).not.toContain('secret');
    expect(minimized[1]).toMatchObject({ providerData: { encrypted_content: 'kept' } });
    expect(minimized.map((item) => layer.compare?.(item as AgentInputItem))).toEqual(minimized);
    const untouched: AgentInputItem = { role: 'user', content: 'hello', providerData: { raw: 'stays' } };
    expect(layer.compare?.(untouched)).toBe(untouched);
  });
});
