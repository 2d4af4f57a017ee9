import type { AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import {
  callKey,
  createLinkMatcher,
  isCall,
  isResult,
  ownerKey,
  resultKey,
} from '../../src/protocol/links.ts';

/** Items as stores hold them; some are older or looser than today's types. */
const item = (fields: object): AgentInputItem => fields as AgentInputItem;

const pairs: ReadonlyArray<readonly [string, object, object]> = [
  [
    'function',
    { type: 'function_call', callId: 'c', name: 'f', arguments: '{}' },
    { type: 'function_call_result', callId: 'c', name: 'f', status: 'completed', output: '' },
  ],
  [
    'computer',
    { type: 'computer_call', callId: 'c', status: 'completed' },
    {
      type: 'computer_call_result',
      callId: 'c',
      output: { type: 'computer_screenshot', data: '' },
    },
  ],
  [
    'shell',
    { type: 'shell_call', callId: 'c', action: { commands: [] } },
    { type: 'shell_call_output', callId: 'c', output: [] },
  ],
  [
    'apply-patch',
    {
      type: 'apply_patch_call',
      callId: 'c',
      status: 'completed',
      operation: { type: 'delete_file', path: 'a' },
    },
    { type: 'apply_patch_call_output', callId: 'c', status: 'completed' },
  ],
  [
    'program',
    { type: 'program', callId: 'c', code: '', fingerprint: '' },
    { type: 'program_output', callId: 'c', output: '', status: 'completed' },
  ],
  [
    'tool search by call_id',
    { type: 'tool_search_call', call_id: 'c', arguments: {} },
    { type: 'tool_search_output', call_id: 'c', tools: [] },
  ],
  [
    'tool search by callId against providerData',
    { type: 'tool_search_call', callId: 'c', arguments: {} },
    { type: 'tool_search_output', providerData: { call_id: 'c' }, tools: [] },
  ],
  [
    'tool search by the id of the call',
    { type: 'tool_search_call', id: 'c', arguments: {} },
    { type: 'tool_search_output', call_id: 'c', tools: [] },
  ],
  [
    'tool search of the server',
    { type: 'tool_search_call', execution: 'server', arguments: {} },
    { type: 'tool_search_output', execution: 'server', tools: [] },
  ],
  [
    'MCP approval by providerData.id',
    { type: 'hosted_tool_call', name: 'mcp_approval_request', id: 'x', providerData: { id: 'c' } },
    {
      type: 'hosted_tool_call',
      name: 'mcp_approval_response',
      providerData: { approval_request_id: 'c', approve: true },
    },
  ],
  [
    'MCP approval by id, named in providerData',
    { type: 'hosted_tool_call', name: 'delete', id: 'c', providerData: { type: 'mcp_approval_request' } },
    {
      type: 'hosted_tool_call',
      name: 'mcp_approval_response',
      providerData: { approval_request_id: 'c', approve: false },
    },
  ],
];

describe('link keys', () => {
  it.each(pairs)('a %s call and its result have the same key', (_kind, call, result) => {
    expect(callKey(item(call))).toBeTypeOf('string');
    expect(resultKey(item(result))).toBe(callKey(item(call)));
    expect(resultKey(item(call))).toBeUndefined();
    expect(callKey(item(result))).toBeUndefined();
  });

  it('gives different kinds of calls different keys although their callId is the same', () => {
    const keys = pairs.slice(0, 6).map(([, call]) => callKey(item(call)));
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('knows no link of messages, reasoning, compaction and self-contained hosted calls', () => {
    for (const unlinked of [
      { role: 'user', content: 'hi' },
      { type: 'message', role: 'assistant', status: 'completed', content: [] },
      { type: 'reasoning', content: [] },
      { type: 'compaction', encrypted_content: 'x' },
      { type: 'hosted_tool_call', name: 'web_search_call', id: 'ws_1' },
      { type: 'unknown' },
      { type: 'function_call', name: 'no call id', arguments: '' },
    ]) {
      expect(callKey(item(unlinked))).toBeUndefined();
      expect(resultKey(item(unlinked))).toBeUndefined();
    }
  });

  it('names the program that issued an item by the key of the program', () => {
    const program = item({ type: 'program', callId: 'p', code: '', fingerprint: '' });
    const owned = item({ type: 'function_call', callId: 'c', caller: { type: 'program', callerId: 'p' } });
    expect(ownerKey(owned)).toBe(callKey(program));
    expect(
      ownerKey(item({ type: 'function_call', callId: 'c', caller: { type: 'direct' } })),
    ).toBeUndefined();
  });
});

describe('createLinkMatcher', () => {
  const call = (callId: string): AgentInputItem => item({ type: 'function_call', callId });
  const result = (callId: string): AgentInputItem => item({ type: 'function_call_result', callId });
  const match = (items: readonly AgentInputItem[]): { closes: (number | undefined)[]; open: number[] } => {
    const matcher = createLinkMatcher();
    const closes = items.map((each, index) => matcher.add(each, index).closes);
    return { closes, open: [...matcher.open()] };
  };

  it('pairs a repeated callId first-in-first-out', () => {
    expect(match([call('a'), result('a'), call('a'), result('a')]).closes).toEqual([
      undefined,
      0,
      undefined,
      2,
    ]);
    expect(match([call('a'), call('a'), result('a'), result('a')]).closes).toEqual([
      undefined,
      undefined,
      0,
      1,
    ]);
  });

  it('reports a result without a call, and calls without a result', () => {
    expect(match([result('a'), call('a'), call('b'), result('b')])).toEqual({
      closes: [-1, undefined, undefined, 2],
      open: [1],
    });
  });

  it('gives a tool search output without an id to the oldest open search', () => {
    const search = (id?: string): AgentInputItem =>
      item({ type: 'tool_search_call', ...(id === undefined ? {} : { call_id: id }), arguments: {} });
    const output = (id?: string): AgentInputItem =>
      item({ type: 'tool_search_output', ...(id === undefined ? {} : { call_id: id }), tools: [] });
    expect(match([search('x'), search('y'), output('x'), output(), output()]).closes).toEqual([
      undefined,
      undefined,
      0,
      1,
      -1,
    ]);
  });

  it('finds the program that owns an item, or reports that it is missing', () => {
    const owned = item({ type: 'function_call', callId: 'c', caller: { type: 'program', callerId: 'p' } });
    const matcher = createLinkMatcher();
    expect(matcher.add(owned, 0).owner).toBe(-1);
    matcher.add(item({ type: 'program', callId: 'p', code: '', fingerprint: '' }), 1);
    expect(matcher.add(owned, 2).owner).toBe(1);
  });
});

describe('isCall() and isResult()', () => {
  const others: readonly object[] = [
    { role: 'user', content: 'text' },
    { type: 'message', callId: 'c' },
    { type: 'function_call' },
    { type: 'function_call_result', callId: 1 },
    { type: 'hosted_tool_call', name: 'web_search', id: 'c' },
    { type: 'constructor', callId: 'c' },
    { type: 1 },
  ];
  it.each([...pairs.flatMap(([, call, result]) => [call, result]), ...others])(
    'say of %j whether it has a key',
    (fields) => {
      expect(isCall(item(fields))).toBe(callKey(item(fields)) !== undefined);
      expect(isResult(item(fields))).toBe(resultKey(item(fields)) !== undefined);
    },
  );
});
