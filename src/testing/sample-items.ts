import type { AgentInputItem } from '@openai/agents';

const DATA_URL = 'data:image/png;base64,iVBORw0KGgo=';

const MESSAGES: readonly AgentInputItem[] = [
  { role: 'user', content: 'A message without a type, and with plain text.' },
  { type: 'message', role: 'user', content: '' },
  {
    type: 'message',
    role: 'user',
    id: 'msg_user_1',
    providerData: { trace: { step: 1, flags: [true, null, 'x'] } },
    content: [
      {
        type: 'input_text',
        text: 'Several parts: ünïcödé 漢字 🚀 \u0000 "quoted" \\ back',
        promptCacheBreakpoint: { mode: 'explicit' },
      },
      { type: 'input_image', image: DATA_URL, detail: 'high' },
      { type: 'input_image', image: { id: 'file_image' } },
      { type: 'input_file', file: { url: 'https://files.example/report' }, filename: 'report.txt' },
      { type: 'input_file', file: { id: 'file_1' } },
      { type: 'audio', audio: 'UklGRg==', format: 'wav', transcript: null },
    ],
  },
  { type: 'message', role: 'system', content: 'Answer briefly.' },
  {
    type: 'message',
    role: 'assistant',
    id: 'msg_assistant_1',
    status: 'completed',
    phase: 'final_answer',
    providerData: { model: 'some-model' },
    content: [
      {
        type: 'output_text',
        text: 'An answer.',
        providerData: {
          annotations: [{ type: 'url_citation', url: 'https://example.test/', title: 'A source' }],
        },
      },
      { type: 'refusal', refusal: 'Not that part.' },
    ],
  },
  {
    type: 'message',
    role: 'assistant',
    status: 'incomplete',
    content: [
      { type: 'audio', audio: { id: 'audio_1' }, transcript: 'Spoken words.' },
      { type: 'image', image: 'iVBORw0KGgo=' },
    ],
  },
];

const REASONING: readonly AgentInputItem[] = [
  {
    type: 'reasoning',
    id: 'rs_1',
    content: [{ type: 'input_text', text: 'First look at the order.' }],
    rawContent: [{ type: 'reasoning_text', text: 'raw thought' }],
    providerData: { encrypted_content: 'gAAAAABopaque' },
  },
  { type: 'reasoning', content: [] },
];

const FUNCTION_CALLS: readonly AgentInputItem[] = [
  {
    type: 'function_call',
    id: 'fc_1',
    callId: 'call_f1',
    name: 'find_order',
    namespace: 'shop',
    status: 'completed',
    arguments: '{"order":"A-1","nested":{"deep":[1,2.5,-0]}}',
    caller: { type: 'direct' },
    providerData: { index: 0 },
  },
  {
    type: 'function_call_result',
    id: 'fco_1',
    callId: 'call_f1',
    name: 'find_order',
    namespace: 'shop',
    status: 'completed',
    output: { type: 'text', text: '{"state":"sent"}' },
    caller: { type: 'direct' },
  },
  { type: 'function_call', callId: 'call_f2', name: 'no_arguments', arguments: 'not json' },
  {
    type: 'function_call_result',
    callId: 'call_f2',
    name: 'no_arguments',
    status: 'incomplete',
    output: 'plain',
  },
  { type: 'function_call', callId: 'call_f3', name: 'draw', arguments: '{}' },
  {
    type: 'function_call_result',
    callId: 'call_f3',
    name: 'draw',
    status: 'completed',
    output: [
      { type: 'input_text', text: 'A picture and a file.' },
      { type: 'input_image', image: DATA_URL },
      { type: 'input_file', file: 'data:text/plain;base64,aGk=', filename: 'hi.txt' },
    ],
  },
  { type: 'function_call', callId: 'call_f4', name: 'photo', arguments: '{}' },
  {
    type: 'function_call_result',
    callId: 'call_f4',
    name: 'photo',
    status: 'completed',
    output: { type: 'image', image: { data: 'iVBORw0KGgo=', mediaType: 'image/png' }, detail: 'low' },
  },
  { type: 'function_call', callId: 'call_f5', name: 'export', arguments: '{}' },
  {
    type: 'function_call_result',
    callId: 'call_f5',
    name: 'export',
    status: 'completed',
    output: { type: 'file', file: { id: 'file_9', filename: 'export.csv' } },
  },
];

const HOSTED_TOOL_CALLS: readonly AgentInputItem[] = [
  {
    type: 'hosted_tool_call',
    id: 'ws_1',
    name: 'web_search_call',
    status: 'completed',
    providerData: { type: 'web_search_call', action: { type: 'search', query: 'tides' } },
  },
  {
    type: 'hosted_tool_call',
    id: 'fs_1',
    name: 'file_search_call',
    status: 'completed',
    output: 'found',
    providerData: {
      type: 'file_search_call',
      queries: ['tides'],
      results: [{ text: 'high at noon', score: 0.5 }],
    },
  },
  {
    type: 'hosted_tool_call',
    id: 'ci_1',
    name: 'code_interpreter_call',
    status: 'completed',
    providerData: {
      type: 'code_interpreter_call',
      code: 'print(1)',
      container_id: 'cntr_1',
      outputs: [{ type: 'logs', logs: '1' }],
    },
    caller: { type: 'program', callerId: 'call_p1' },
  },
  {
    type: 'hosted_tool_call',
    id: 'ig_1',
    name: 'image_generation_call',
    status: 'completed',
    output: 'iVBORw0KGgo=',
    providerData: { type: 'image_generation_call' },
  },
  {
    type: 'hosted_tool_call',
    id: 'mcpl_1',
    name: 'mcp_list_tools',
    status: 'completed',
    providerData: {
      type: 'mcp_list_tools',
      server_label: 'docs',
      tools: [{ name: 'read', input_schema: {} }],
    },
  },
  {
    type: 'hosted_tool_call',
    id: 'mcpr_1',
    name: 'mcp_approval_request',
    status: 'completed',
    providerData: {
      type: 'mcp_approval_request',
      id: 'mcpr_1',
      name: 'read',
      arguments: '{"page":1}',
      server_label: 'docs',
    },
  },
  {
    type: 'hosted_tool_call',
    name: 'mcp_approval_response',
    providerData: {
      type: 'mcp_approval_response',
      id: 'mcpa_1',
      approval_request_id: 'mcpr_1',
      approve: true,
    },
  },
  {
    type: 'hosted_tool_call',
    id: 'mcp_1',
    name: 'mcp_call',
    status: 'completed',
    output: 'page one',
    providerData: {
      type: 'mcp_call',
      id: 'mcp_1',
      name: 'read',
      arguments: '{"page":1}',
      server_label: 'docs',
    },
  },
];

const COMPUTER_AND_SHELL_CALLS: readonly AgentInputItem[] = [
  {
    type: 'computer_call',
    id: 'cu_1',
    callId: 'call_c1',
    status: 'completed',
    action: { type: 'click', x: 1, y: 2, button: 'left' },
    actions: [
      { type: 'click', x: 1, y: 2, button: 'left' },
      { type: 'type', text: 'hello' },
      { type: 'keypress', keys: ['CTRL', 'A'] },
      {
        type: 'drag',
        path: [
          { x: 0, y: 0 },
          { x: 5, y: 5 },
        ],
      },
    ],
    providerData: { pending_safety_checks: [] },
  },
  {
    type: 'computer_call_result',
    callId: 'call_c1',
    output: { type: 'computer_screenshot', data: DATA_URL },
    providerData: { acknowledgedSafetyChecks: [] },
  },
  {
    type: 'shell_call',
    callId: 'call_s1',
    status: 'completed',
    action: { commands: ['ls -la', 'true'], timeoutMs: 1_000, maxOutputLength: 100 },
  },
  {
    type: 'shell_call_output',
    callId: 'call_s1',
    maxOutputLength: 100,
    output: [
      { stdout: 'a\nb\n', stderr: '', outcome: { type: 'exit', exitCode: 0 } },
      { stdout: '', stderr: 'late', outcome: { type: 'timeout' } },
    ],
  },
  {
    type: 'apply_patch_call',
    callId: 'call_a1',
    status: 'completed',
    operation: { type: 'update_file', path: 'a.txt', diff: '@@\n-a\n+b\n', moveTo: 'b.txt' },
  },
  { type: 'apply_patch_call_output', callId: 'call_a1', status: 'completed', output: 'done' },
];

const TOOL_SEARCHES: readonly AgentInputItem[] = [
  {
    type: 'tool_search_call',
    id: 'ts_1',
    call_id: 'call_t1',
    execution: 'server',
    status: 'completed',
    arguments: { paths: ['shop'], query: 'orders' },
  },
  {
    type: 'tool_search_output',
    id: 'tso_1',
    call_id: 'call_t1',
    status: 'completed',
    toolSearchAgentName: 'Clerk',
    toolSearchMcpToolNames: ['docs.read'],
    tools: [
      {
        type: 'namespace',
        name: 'shop',
        tools: [{ type: 'function', name: 'find_order', parameters: {} }],
      },
    ],
  },
];

const OTHERS: readonly AgentInputItem[] = [
  { type: 'program', id: 'prog_1', callId: 'call_p1', code: 'await tools.find()', fingerprint: 'fp_1' },
  { type: 'program_output', id: 'progo_1', callId: 'call_p1', output: '42', status: 'completed' },
  { type: 'compaction', id: 'cmp_1', encrypted_content: 'opaque-compaction', created_by: 'model' },
  { type: 'unknown', id: 'x_1', providerData: { type: 'novel_item', value: 1, $bytes: 'kept' } },
];

/**
 * At least one valid item of every type of the SDK's protocol (0.20), with the optional fields that are easily lost:
 * namespaces, callers, provider data, several content parts, empty strings, ids of several kinds. Each call gives
 * fresh objects. Nothing in them looks like personal data, so a redacting stack does not change them.
 */
export function sampleItems(): AgentInputItem[] {
  return structuredClone([
    ...MESSAGES,
    ...REASONING,
    ...FUNCTION_CALLS,
    ...HOSTED_TOOL_CALLS,
    ...COMPUTER_AND_SHELL_CALLS,
    ...TOOL_SEARCHES,
    ...OTHERS,
  ]);
}
