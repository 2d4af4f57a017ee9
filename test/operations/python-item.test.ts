import { describe, expect, it } from 'vitest';
import { pythonItem } from '../../src/operations/python-item.ts';

type Json = Record<string, unknown>;
const mapped = (item: Json, names: Record<string, string> = {}): unknown =>
  pythonItem(item, new Map(Object.entries(names)));

const text = { type: 'input_text', text: 'a' };
const user = (content: unknown): Json => ({ role: 'user', content });

describe('an item of the Python SDK', () => {
  it.each<[string, Json, Json]>([
    [
      'a result of parts',
      { type: 'function_call_output', call_id: 'c', output: [text] },
      {
        type: 'function_call_result',
        callId: 'c',
        name: '',
        status: 'completed',
        output: [text],
      },
    ],
    [
      'a call of a function in a namespace',
      { type: 'function_call', call_id: 'c', name: 'n', arguments: '{}', namespace: 's' },
      {
        type: 'function_call',
        callId: 'c',
        name: 'n',
        namespace: 's',
        arguments: '{}',
        status: 'completed',
      },
    ],
    ['a user message of text', user('a'), { type: 'message', role: 'user', content: 'a' }],
    ['a user message of parts', user([text]), { type: 'message', role: 'user', content: [text] }],
    [
      'an image by address',
      user([{ type: 'input_image', image_url: 'https://a/b.png', file_id: 'f' }]),
      { type: 'message', role: 'user', content: [{ type: 'input_image', image: 'https://a/b.png' }] },
    ],
    [
      'an image by file, with its detail',
      user([{ type: 'input_image', file_id: 'f', detail: 'low' }]),
      {
        type: 'message',
        role: 'user',
        content: [{ type: 'input_image', image: { id: 'f' }, detail: 'low' }],
      },
    ],
    [
      'a file by its data',
      user([{ type: 'input_file', file_data: 'data:x', file_url: 'u', file_id: 'f' }]),
      { type: 'message', role: 'user', content: [{ type: 'input_file', file: 'data:x' }] },
    ],
    [
      'a file by address, with its name',
      user([{ type: 'input_file', file_url: 'u', file_id: 'f', filename: 'a.pdf' }]),
      {
        type: 'message',
        role: 'user',
        content: [{ type: 'input_file', file: { url: 'u' }, filename: 'a.pdf' }],
      },
    ],
    [
      'a file by id',
      user([{ type: 'input_file', file_id: 'f' }]),
      { type: 'message', role: 'user', content: [{ type: 'input_file', file: { id: 'f' } }] },
    ],
    [
      'a system message of text',
      { role: 'system', content: 'a' },
      { type: 'message', role: 'system', content: 'a' },
    ],
    [
      'a developer message of parts',
      { role: 'developer', content: [text, { text: 'b' }] },
      { type: 'message', role: 'system', content: 'a\nb' },
    ],
    [
      'an assistant message of text',
      { role: 'assistant', content: 'a' },
      {
        type: 'message',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'a' }],
      },
    ],
    [
      'an assistant message of parts',
      {
        type: 'message',
        id: 'msg',
        role: 'assistant',
        status: 'incomplete',
        content: [
          { type: 'output_text', text: 'a', annotations: [] },
          { type: 'output_text', text: 'b', annotations: [{ type: 'url_citation' }] },
          { type: 'refusal', refusal: 'no' },
        ],
      },
      {
        id: 'msg',
        type: 'message',
        role: 'assistant',
        status: 'incomplete',
        content: [
          { type: 'output_text', text: 'a' },
          { type: 'output_text', text: 'b', providerData: { annotations: [{ type: 'url_citation' }] } },
          { type: 'refusal', refusal: 'no' },
        ],
      },
    ],
    [
      'a function call',
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}', id: 'fc', status: 'in_progress' },
      { id: 'fc', type: 'function_call', callId: 'c', name: 'f', arguments: '{}', status: 'in_progress' },
    ],
    [
      'a function call without id',
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}', status: 'other' },
      { type: 'function_call', callId: 'c', name: 'f', arguments: '{}', status: 'completed' },
    ],
    [
      'a result whose call is not there',
      { type: 'function_call_output', call_id: 'c', output: 'x' },
      {
        type: 'function_call_result',
        callId: 'c',
        name: '',
        status: 'completed',
        output: { type: 'text', text: 'x' },
      },
    ],
    [
      'reasoning',
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'hm' }] },
      { type: 'reasoning', content: [{ type: 'input_text', text: 'hm' }] },
    ],
    [
      'encrypted reasoning',
      { type: 'reasoning', id: 'rs', summary: [], encrypted_content: 'e' },
      { id: 'rs', type: 'reasoning', content: [], providerData: { encrypted_content: 'e' } },
    ],
  ])('is %s', (_, item, expected) => {
    expect(mapped(item)).toStrictEqual(expected);
  });

  it('that is a result gets the name of its call', () => {
    const names = new Map<string, string>();
    pythonItem({ type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' }, names);
    expect(pythonItem({ type: 'function_call_output', call_id: 'c', output: 'x' }, names)).toMatchObject({
      name: 'f',
    });
  });

  it.each<[string, Json]>([
    ['another type', { type: 'web_search_call' }],
    ['no role', { content: 'a' }],
    ['another role', { role: 'tool', content: 'a' }],
    ['a user message without content', { role: 'user' }],
    ['a part that is no object', user([text, 'a'])],
    ['a part that is null', user([null])],
    ['a part of another type', user([text, { type: 'input_audio' }])],
    ['a text part without text', user([{ type: 'input_text' }])],
    ['an image that is nowhere', user([{ type: 'input_image', detail: 'low' }])],
    ['a file that is nowhere', user([{ type: 'input_file', filename: 'a' }])],
    ['a system message of something else', { role: 'system', content: [{ type: 'input_image' }] }],
    ['a system message without content', { role: 'system' }],
    ['an assistant message without content', { role: 'assistant' }],
    [
      'an assistant part of another type',
      { role: 'assistant', content: [{ type: 'x', text: 'a', refusal: 'b' }] },
    ],
    ['an answer without text', { role: 'assistant', content: [{ type: 'output_text' }] }],
    ['a refusal without text', { role: 'assistant', content: [{ type: 'refusal' }] }],
    ['a call without id', { type: 'function_call', name: 'f', arguments: '{}' }],
    ['a call without name', { type: 'function_call', call_id: 'c', arguments: '{}' }],
    ['a call without arguments', { type: 'function_call', call_id: 'c', name: 'f' }],
    ['a result without id', { type: 'function_call_output', output: 'x' }],
    [
      'a result with a part of another type',
      { type: 'function_call_output', call_id: 'c', output: [{ type: 'x' }] },
    ],
    ['reasoning without summary', { type: 'reasoning' }],
    ['a summary without text', { type: 'reasoning', summary: [{}] }],
  ])('has no counterpart when it is %s', (_, item) => {
    expect(mapped(item)).toBeUndefined();
  });
});
