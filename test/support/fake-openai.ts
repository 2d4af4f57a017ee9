import { OpenAI } from 'openai';
import type {
  Conversation,
  ConversationItem,
  ConversationItemList,
} from 'openai/resources/conversations/index';
import type { ResponseCompactParams, ResponseInputItem } from 'openai/resources/responses/responses';

/** A request that reached the fake service. */
export interface ServiceRequest {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** OpenAI's Conversations and `responses.compact` endpoints, as far as their documentation goes. */
export interface FakeOpenAI {
  /** The real client of the `openai` package; only its `fetch` is ours. */
  readonly client: OpenAI;
  readonly requests: readonly ServiceRequest[];
  /** What the service holds of a conversation, oldest first; `undefined` after its deletion. */
  records(conversationId: string): readonly ConversationItem[] | undefined;
  /** All text that ever reached the service. */
  received(): string;
  /** Makes `responses.compact` answer with these; by default one compaction item and the user messages. */
  compactWith(respond: (params: ResponseCompactParams) => readonly unknown[]): void;
}

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Items in one create call (`ItemCreateParams` of the `openai` package: "up to 20 items at a time"). */
const MAX_ITEMS = 20;
/** Page sizes of the list call: 20 by default, 1 to 100. */
const DEFAULT_PAGE = 20;
const MAX_PAGE = 100;

/** The top-level fields of each input item type; anything else is refused as an unknown parameter. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  message: ['role', 'content', 'status', 'phase'],
  function_call: ['call_id', 'name', 'arguments', 'status', 'namespace', 'caller'],
  function_call_output: ['call_id', 'output', 'status', 'caller'],
  reasoning: ['summary', 'content', 'encrypted_content', 'status'],
  computer_call: ['call_id', 'action', 'actions', 'status', 'pending_safety_checks'],
  computer_call_output: ['call_id', 'output', 'status', 'acknowledged_safety_checks'],
  shell_call: ['call_id', 'action', 'status', 'environment', 'caller'],
  shell_call_output: ['call_id', 'output', 'status', 'max_output_length', 'caller'],
  apply_patch_call: ['call_id', 'operation', 'status', 'caller'],
  apply_patch_call_output: ['call_id', 'output', 'status', 'caller'],
  program: ['call_id', 'code', 'fingerprint'],
  program_output: ['call_id', 'result', 'status'],
  tool_search_call: ['call_id', 'arguments', 'execution', 'status'],
  tool_search_output: ['call_id', 'tools', 'execution', 'status'],
  web_search_call: ['action', 'status'],
  file_search_call: ['queries', 'results', 'status'],
  code_interpreter_call: ['code', 'container_id', 'outputs', 'status', 'caller'],
  image_generation_call: ['result', 'status'],
  mcp_list_tools: ['server_label', 'tools', 'error'],
  mcp_approval_request: ['name', 'arguments', 'server_label'],
  mcp_approval_response: ['approval_request_id', 'approve', 'reason'],
  mcp_call: ['name', 'arguments', 'server_label', 'output', 'error', 'status', 'approval_request_id'],
  compaction: ['encrypted_content'],
};

const PREFIXES: Readonly<Record<string, string>> = { message: 'msg', function_call: 'fc', reasoning: 'rs' };

/**
 * A client whose service lives in this process: it gives ids, drops what the service drops (the `name` of a tool
 * result, the `detail` of an image), pages, and refuses what the service refuses. A call is all or nothing.
 */
export function fakeOpenAI(): FakeOpenAI {
  const conversations = new Map<string, ConversationItem[]>();
  const requests: ServiceRequest[] = [];
  let lastId = 0;
  const newId = (prefix: string): string => `${prefix}_${String(++lastId).padStart(8, '0')}`;
  let compactOutput: (params: ResponseCompactParams) => readonly unknown[] = (params) => [
    ...(Array.isArray(params.input) ? params.input : [])
      .filter((item) => 'role' in item && item.role === 'user')
      .map((item) => acceptItem(item, 0, newId)),
    { type: 'compaction', id: newId('cmp'), encrypted_content: `compacted-${lastId}` },
  ];

  const conversation = (id: string): Conversation => ({
    id,
    object: 'conversation',
    created_at: 0,
    metadata: {},
  });
  const itemsOf = (id: string): ConversationItem[] => {
    const items = conversations.get(id);
    if (items === undefined) throw new Refusal(404, `Conversation with id '${id}' not found.`);
    return items;
  };
  const accept = (inputs: readonly ResponseInputItem[]): ConversationItem[] => {
    if (inputs.length > MAX_ITEMS) {
      throw new Refusal(400, `Invalid 'items': array too long. Expected at most ${MAX_ITEMS} items.`);
    }
    return inputs.map((input, index) => acceptItem(input, index, newId));
  };

  const handle = (method: string, url: URL, body: unknown): unknown => {
    const path = url.pathname.replace(/^\/v1/, '');
    requests.push({ method, path, body });
    const [, resource, id, sub, itemId] = path.split('/');
    if (method === 'POST' && path === '/responses/compact') {
      const params = body as ResponseCompactParams;
      return {
        id: newId('resp'),
        object: 'response.compaction',
        created_at: 0,
        output: compactOutput(params),
        usage: {
          input_tokens: 1,
          output_tokens: 1,
          total_tokens: 2,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens_details: { reasoning_tokens: 0 },
        },
      };
    }
    if (resource !== 'conversations') throw new Refusal(404, `No such path: ${path}`);
    if (id === undefined) {
      const created = newId('conv');
      conversations.set(created, accept((body as { items?: ResponseInputItem[] }).items ?? []));
      return conversation(created);
    }
    const items = itemsOf(id);
    if (sub === undefined) {
      if (method !== 'DELETE') return conversation(id);
      conversations.delete(id);
      return { id, deleted: true, object: 'conversation.deleted' };
    }
    if (method === 'POST') {
      const created = accept((body as { items: ResponseInputItem[] }).items);
      items.push(...created);
      return list(created, false);
    }
    if (method === 'DELETE') {
      const at = items.findIndex((item) => item.id === itemId);
      if (at < 0) throw new Refusal(404, `Item with id '${itemId ?? ''}' not found.`);
      items.splice(at, 1);
      return conversation(id);
    }
    return page(items, url.searchParams);
  };

  const client = new OpenAI({
    apiKey: 'not-a-key',
    baseURL: 'http://service.invalid/v1',
    maxRetries: 0,
    fetch: async (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input);
      const body: unknown = typeof init?.body === 'string' ? JSON.parse(init.body) : undefined;
      try {
        return Response.json(await Promise.resolve(handle(init?.method ?? 'GET', url, body)));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return Response.json(
          { error: { message: error.message, type: 'invalid_request_error', code: null, param: null } },
          { status: error.status },
        );
      }
    },
  });

  return {
    client,
    requests,
    records: (id) => conversations.get(id),
    received: () => JSON.stringify(requests),
    compactWith: (respond) => {
      compactOutput = respond;
    },
  };
}

function page(items: readonly ConversationItem[], query: URLSearchParams): ConversationItemList {
  const limit = Number(query.get('limit') ?? DEFAULT_PAGE);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new Refusal(400, `Invalid 'limit': must be between 1 and ${MAX_PAGE}.`);
  }
  const ordered = query.get('order') === 'asc' ? [...items] : [...items].reverse();
  const after = query.get('after');
  const start = after === null ? 0 : ordered.findIndex((item) => item.id === after) + 1;
  return list(ordered.slice(start, start + limit), start + limit < ordered.length);
}

function list(data: ConversationItem[], hasMore: boolean): ConversationItemList {
  return {
    object: 'list',
    data,
    has_more: hasMore,
    first_id: data[0]?.id ?? '',
    last_id: data.at(-1)?.id ?? '',
  };
}

function acceptItem(
  input: ResponseInputItem,
  index: number,
  newId: (prefix: string) => string,
): ConversationItem {
  const where = `items[${index}]`;
  const record = structuredClone(input) as unknown as Record<string, unknown>;
  const type = typeof record['type'] === 'string' ? record['type'] : 'role' in record ? 'message' : '';
  const fields = FIELDS[type];
  if (fields === undefined) throw new Refusal(400, `Invalid value: '${type}' for ${where}.type.`);
  for (const name of Object.keys(record)) {
    if (name !== 'type' && name !== 'id' && !fields.includes(name)) {
      throw new Refusal(400, `Unknown parameter: '${where}.${name}'.`);
    }
  }
  if (type === 'reasoning' && typeof record['id'] !== 'string') {
    throw new Refusal(400, `Missing required parameter: '${where}.id'.`);
  }
  if ('call_id' in record && (typeof record['call_id'] !== 'string' || record['call_id'] === '')) {
    throw new Refusal(400, `Invalid '${where}.call_id'.`);
  }
  const keepsId =
    typeof record['id'] === 'string' && ['reasoning', 'program', 'program_output'].includes(type);
  const stored = {
    ...record,
    id: keepsId ? (record['id'] as string) : newId(PREFIXES[type] ?? type.slice(0, 4)),
    type,
  };
  return (type === 'message' ? storedMessage(stored, where) : stored) as unknown as ConversationItem;
}

function storedMessage(message: Record<string, unknown>, where: string): Record<string, unknown> {
  const { role, content } = message;
  const assistant = role === 'assistant';
  if (!assistant && role !== 'user' && role !== 'system' && role !== 'developer') {
    throw new Refusal(400, `Invalid value for '${where}.role'.`);
  }
  const parts =
    typeof content === 'string'
      ? [{ type: assistant ? 'output_text' : 'input_text', text: content }]
      : content;
  if (!Array.isArray(parts)) throw new Refusal(400, `Invalid type for '${where}.content'.`);
  return {
    ...message,
    status: message['status'] ?? 'completed',
    content: (parts as Record<string, unknown>[]).map((part, index) =>
      storedPart(part, assistant, `${where}.content[${index}]`),
    ),
  };
}

function storedPart(
  part: Record<string, unknown>,
  assistant: boolean,
  where: string,
): Record<string, unknown> {
  const allowed = assistant ? ['output_text', 'refusal'] : ['input_text', 'input_image', 'input_file'];
  if (!allowed.includes(String(part['type']))) {
    throw new Refusal(400, `Invalid value: '${String(part['type'])}' for ${where}.type.`);
  }
  if (part['type'] === 'output_text') return { annotations: [], logprobs: [], ...part };
  // The service chooses the detail itself.
  return part['type'] === 'input_image' ? { ...part, detail: 'auto' } : part;
}
