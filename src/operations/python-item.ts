import type { AgentInputItem } from '@openai/agents';

type Json = Record<string, unknown>;

/**
 * An item of the Python SDK (an input item of the Responses API) as an item of the JavaScript SDK, `undefined` when
 * it has no equivalent.
 *
 * @param names Names of the functions by call id: a result contains the name of its function in JavaScript, but not
 * in Python.
 */
export function pythonItem(item: Json, names: Map<string, string>): AgentInputItem | undefined {
  switch (item['type'] ?? 'message') {
    case 'message':
      return message(item);
    case 'function_call':
      return functionCall(item, names);
    case 'function_call_output':
      return functionResult(item, names);
    case 'reasoning':
      return reasoning(item);
    default:
      return undefined;
  }
}

/**
 * An item without an equivalent as an item of another kind, which the JavaScript SDK sends to the model as it is.
 * Nothing of it is lost.
 */
export function keptPythonItem({ id, ...rest }: Json): AgentInputItem {
  return { type: 'unknown', ...(typeof id === 'string' && { id }), providerData: rest };
}

function message(item: Json): AgentInputItem | undefined {
  const { role, content } = item;
  if (role === 'user') {
    const parts = typeof content === 'string' ? content : mapAll(content, userPart);
    return parts === undefined ? undefined : ({ type: 'message', role, content: parts } as AgentInputItem);
  }
  if (role === 'system' || role === 'developer') {
    const text = typeof content === 'string' ? content : joinedText(content);
    return text === undefined ? undefined : { type: 'message', role: 'system', content: text };
  }
  if (role !== 'assistant') return undefined;
  const parts =
    typeof content === 'string' ? [{ type: 'output_text', text: content }] : mapAll(content, assistantPart);
  if (parts === undefined) return undefined;
  return {
    ...(typeof item['id'] === 'string' && { id: item['id'] }),
    type: 'message',
    role,
    status: status(item),
    content: parts,
  } as AgentInputItem;
}

function userPart(part: Json): Json | undefined {
  switch (part['type']) {
    case 'input_text':
      return typeof part['text'] === 'string' ? { type: 'input_text', text: part['text'] } : undefined;
    case 'input_image': {
      const { image_url: url, file_id: id, detail } = part;
      const image = typeof url === 'string' ? url : typeof id === 'string' ? { id } : undefined;
      if (image === undefined) return undefined;
      return { type: 'input_image', image, ...(typeof detail === 'string' && { detail }) };
    }
    case 'input_file': {
      const { file_id: id, file_url: url, file_data: data, filename } = part;
      const file =
        typeof data === 'string'
          ? data
          : typeof url === 'string'
            ? { url }
            : typeof id === 'string'
              ? { id }
              : undefined;
      if (file === undefined) return undefined;
      return { type: 'input_file', file, ...(typeof filename === 'string' && { filename }) };
    }
    default:
      return undefined;
  }
}

function assistantPart(part: Json): Json | undefined {
  if (part['type'] === 'output_text' && typeof part['text'] === 'string') {
    const { annotations } = part;
    const known = Array.isArray(annotations) && annotations.length > 0;
    return { type: 'output_text', text: part['text'], ...(known && { providerData: { annotations } }) };
  }
  if (part['type'] === 'refusal' && typeof part['refusal'] === 'string') {
    return { type: 'refusal', refusal: part['refusal'] };
  }
  return undefined;
}

function functionCall(item: Json, names: Map<string, string>): AgentInputItem | undefined {
  const { call_id: callId, name, arguments: input, id, namespace } = item;
  if (typeof callId !== 'string' || typeof name !== 'string' || typeof input !== 'string') return undefined;
  names.set(callId, name);
  return {
    ...(typeof id === 'string' && { id }),
    type: 'function_call',
    callId,
    name,
    ...(typeof namespace === 'string' && { namespace }),
    arguments: input,
    status: status(item),
  };
}

function functionResult(item: Json, names: ReadonlyMap<string, string>): AgentInputItem | undefined {
  const { call_id: callId, output } = item;
  const result = typeof output === 'string' ? { type: 'text', text: output } : mapAll(output, userPart);
  if (typeof callId !== 'string' || result === undefined) return undefined;
  return {
    type: 'function_call_result',
    callId,
    name: names.get(callId) ?? '',
    status: status(item),
    output: result,
  } as AgentInputItem;
}

function reasoning(item: Json): AgentInputItem | undefined {
  const { id, summary, encrypted_content: encrypted } = item;
  const content = mapAll(summary, (part) =>
    typeof part['text'] === 'string' ? { type: 'input_text', text: part['text'] } : undefined,
  );
  if (content === undefined) return undefined;
  return {
    ...(typeof id === 'string' && { id }),
    type: 'reasoning',
    content,
    ...(typeof encrypted === 'string' && { providerData: { encrypted_content: encrypted } }),
  } as Json as AgentInputItem;
}

function status(item: Json): 'in_progress' | 'completed' | 'incomplete' {
  const given = item['status'];
  return given === 'in_progress' || given === 'incomplete' ? given : 'completed';
}

/**
 * All parts mapped, `undefined` when one of them has no counterpart: an item without a part would be a different
 * item.
 */
function mapAll(parts: unknown, map: (part: Json) => Json | undefined): Json[] | undefined {
  if (!Array.isArray(parts)) return undefined;
  const mapped = parts.map((part: unknown) =>
    typeof part === 'object' && part !== null ? map(part as Json) : undefined,
  );
  return mapped.every((part) => part !== undefined) ? mapped : undefined;
}

function joinedText(parts: unknown): string | undefined {
  const texts = mapAll(parts, (part) => (typeof part['text'] === 'string' ? part : undefined));
  return texts?.map((part) => part['text'] as string).join('\n');
}
