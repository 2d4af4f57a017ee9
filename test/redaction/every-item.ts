import type { AgentInputItem } from '@openai/agents';

/** A picture of one pixel. */
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

interface Named {
  readonly name: string;
  readonly item: AgentInputItem;
}

/** One item for each text field of each item type of the protocol (0.20.0), with `text` in that field. */
export function itemsWith(text: string): readonly Named[] {
  const inJson = JSON.stringify({ to: text, deep: [{ note: `say "hi"\n${text}` }] });
  const named: Record<string, AgentInputItem> = {
    'a user message of one string': { role: 'user', content: text },
    input_text: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
    'the name of an input file': {
      role: 'user',
      content: [{ type: 'input_file', file: { id: 'file_1' }, filename: `${text}.pdf` }],
    },
    'the transcript of user audio': {
      role: 'user',
      content: [{ type: 'audio', audio: 'QUJD', transcript: text }],
    },
    'a system message': { role: 'system', content: text },
    output_text: assistant({ type: 'output_text', text }),
    'a refusal': assistant({ type: 'refusal', refusal: text }),
    'the transcript of assistant audio': assistant({ type: 'audio', audio: 'QUJD', transcript: text }),
    'an annotation': assistant({
      type: 'output_text',
      text: 'see there',
      providerData: { annotations: [{ type: 'url_citation', title: text, url: 'https://acme.com' }] },
    }),
    'the providerData of a message': { role: 'user', content: 'hi', providerData: { note: text } },
    'tool arguments': {
      type: 'function_call',
      callId: 'call_1',
      name: 'send',
      arguments: inJson,
    },
    'tool arguments that are no JSON': {
      type: 'function_call',
      callId: 'call_1',
      name: 'send',
      arguments: `{"to": "${text}`,
    },
    'a result of one string': result(text),
    'a result of JSON text': result(inJson),
    'a result of type text': result({ type: 'text', text }),
    'a result of parts': result([{ type: 'input_text', text }]),
    'the file name in a result of parts': result([
      { type: 'input_file', file: { id: 'file_1' }, filename: `${text}.csv` },
    ]),
    'the file name in a result of type file': result({
      type: 'file',
      file: { data: 'QUJD', mediaType: 'text/csv', filename: `${text}.csv` },
    }),
    'hosted tool arguments': { type: 'hosted_tool_call', name: 'mcp_call', arguments: inJson },
    'hosted tool output': { type: 'hosted_tool_call', name: 'mcp_call', output: text },
    'hosted tool results': {
      type: 'hosted_tool_call',
      name: 'file_search_call',
      providerData: { type: 'file_search_call', queries: [text], results: [{ file_id: 'file_1', text }] },
    },
    'the query of a web search': {
      type: 'hosted_tool_call',
      name: 'web_search_call',
      providerData: { type: 'web_search_call', action: { type: 'search', query: text } },
    },
    'the code and logs of an interpreter': {
      type: 'hosted_tool_call',
      name: 'code_interpreter_call',
      providerData: { code: `print("${text}")`, outputs: [{ type: 'logs', logs: text }] },
    },
    'the reason and error of an MCP call': {
      type: 'hosted_tool_call',
      name: 'mcp_call',
      providerData: { reason: text, error: text, arguments: inJson },
    },
    'what a computer types': {
      type: 'computer_call',
      callId: 'c',
      status: 'completed',
      action: { type: 'type', text },
    },
    'what a computer types in a batch': {
      type: 'computer_call',
      callId: 'c',
      status: 'completed',
      actions: [{ type: 'screenshot' }, { type: 'type', text }],
    },
    'a shell command': { type: 'shell_call', callId: 'c', action: { commands: ['ls', `mail ${text}`] } },
    'shell output': {
      type: 'shell_call_output',
      callId: 'c',
      output: [{ stdout: text, stderr: text, outcome: { type: 'exit', exitCode: 0 } }],
    },
    'a patch': {
      type: 'apply_patch_call',
      callId: 'c',
      status: 'completed',
      operation: { type: 'update_file', path: `${text}.md`, diff: `+${text}`, moveTo: `old/${text}.md` },
    },
    'the output of a patch': {
      type: 'apply_patch_call_output',
      callId: 'c',
      status: 'failed',
      output: text,
    },
    'the output of a program': { type: 'program_output', callId: 'c', output: text, status: 'completed' },
    'tool search arguments': { type: 'tool_search_call', arguments: { paths: ['mail'], query: text } },
    'a key of tool search arguments': { type: 'tool_search_call', arguments: { [text]: true } },
    reasoning: { type: 'reasoning', content: [{ type: 'input_text', text }] },
    'raw reasoning': {
      type: 'reasoning',
      content: [],
      rawContent: [{ type: 'reasoning_text', text }],
      providerData: { encrypted_content: 'QUJD' },
    },
    'an unknown item': { type: 'unknown', providerData: { type: 'novel', body: { lines: [text] } } },
  };
  return Object.entries(named).map(([name, item]) => ({ name, item }));
}

/** Items that hold `text` only where it must never be edited. */
export function protectedItemsWith(text: string): readonly Named[] {
  const named: Record<string, AgentInputItem> = {
    'an id': { id: text, role: 'user', content: 'hi' },
    'a callId and a name': { type: 'function_call', callId: text, name: text, arguments: '{}' },
    'an image': { role: 'user', content: [{ type: 'input_image', image: `https://x.test/?u=${text}` }] },
    'a file': { role: 'user', content: [{ type: 'input_file', file: { url: `https://x.test/?u=${text}` } }] },
    'a compaction item': { type: 'compaction', encrypted_content: text, created_by: text },
    'encrypted reasoning': { type: 'reasoning', content: [], providerData: { encrypted_content: text } },
    'the code of a program': { type: 'program', callId: 'c', code: `"${text}"`, fingerprint: text },
    'the tools of a tool search': {
      type: 'tool_search_output',
      tools: [{ name: 'mail', description: text }],
    },
    'a screenshot': {
      type: 'computer_call_result',
      callId: 'c',
      output: { type: 'computer_screenshot', data: `data:image/png;base64,${text}` },
    },
    'a data URL in a text': {
      role: 'user',
      content: `data:image/png;base64,${PIXEL}`,
    },
  };
  return Object.entries(named).map(([name, item]) => ({ name, item }));
}

function assistant(part: object): AgentInputItem {
  return { type: 'message', role: 'assistant', status: 'completed', content: [part] } as AgentInputItem;
}

function result(output: unknown): AgentInputItem {
  return {
    type: 'function_call_result',
    callId: 'call_1',
    name: 'send',
    status: 'completed',
    output,
  } as AgentInputItem;
}
