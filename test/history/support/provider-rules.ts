import type { AgentInputItem } from '@openai/agents';

/**
 * The rules by which the Responses API refuses an input, written down a second time and on purpose without the code
 * under test: counted by hand, one kind after the other.
 */

type Loose = Readonly<Record<string, unknown>>;

/** Ids are texts; anything else would be a mistake of the generator. */
const idOf = (value: unknown, otherwise?: string): string => {
  if (typeof value === 'string') return value;
  if (value === undefined && otherwise !== undefined) return otherwise;
  throw new TypeError('an id that is no text');
};

const ANSWERS: readonly (readonly [call: string, result: string])[] = [
  ['function_call', 'function_call_result'],
  ['computer_call', 'computer_call_result'],
  ['shell_call', 'shell_call_output'],
  ['apply_patch_call', 'apply_patch_call_output'],
  ['program', 'program_output'],
];

/** Every violation in one line; an empty list means that the API takes the input. */
export function violations(input: readonly AgentInputItem[]): string[] {
  const items = input as unknown as readonly Loose[];
  const found: string[] = [];
  for (const [callType, resultType] of ANSWERS) {
    pair(
      items,
      (item) => (item['type'] === callType ? idOf(item['callId']) : undefined),
      (item) => (item['type'] === resultType ? idOf(item['callId']) : undefined),
      callType,
      found,
    );
  }
  pair(
    items,
    (item) =>
      isHosted(item, 'mcp_approval_request') ? idOf((item['providerData'] as Loose)['id']) : undefined,
    (item) =>
      isHosted(item, 'mcp_approval_response')
        ? idOf((item['providerData'] as Loose)['approval_request_id'])
        : undefined,
    'mcp_approval_request',
    found,
  );
  pair(
    items,
    (item) => (item['type'] === 'tool_search_call' ? idOf(item['call_id'], 'by order') : undefined),
    (item) => (item['type'] === 'tool_search_output' ? idOf(item['call_id'], 'by order') : undefined),
    'tool_search_call',
    found,
  );
  const programs = new Set<unknown>();
  for (const [index, item] of items.entries()) {
    if (item['type'] === 'program') programs.add(item['callId']);
    const caller = item['caller'] as Loose | undefined;
    if (caller?.['type'] === 'program' && !programs.has(caller['callerId'])) {
      found.push(`item ${index} is owned by a program that is not there`);
    }
    if (item['type'] === 'reasoning') {
      const next = items[index + 1];
      const written =
        next !== undefined &&
        (next['role'] === 'assistant' ||
          (next['role'] === undefined && !/(result|output|compaction)$/.test(idOf(next['type']))));
      if (!written)
        found.push(`Item ${index} of type 'reasoning' was provided without its required following item.`);
    }
    if (item['type'] === 'compaction' && index > 0) found.push(`compaction at ${index}, not first`);
  }
  return found;
}

function isHosted(item: Loose, name: string): boolean {
  return item['type'] === 'hosted_tool_call' && item['name'] === name;
}

function pair(
  items: readonly Loose[],
  callId: (item: Loose) => string | undefined,
  resultId: (item: Loose) => string | undefined,
  kind: string,
  found: string[],
): void {
  const open = new Map<string, number>();
  for (const item of items) {
    const call = callId(item);
    if (call !== undefined) open.set(call, (open.get(call) ?? 0) + 1);
    const result = resultId(item);
    if (result === undefined) continue;
    const waiting = open.get(result) ?? 0;
    if (waiting === 0) found.push(`No tool call found for ${kind} output with call_id ${result}.`);
    else open.set(result, waiting - 1);
  }
  for (const [id, count] of open) {
    if (count > 0) found.push(`No tool output found for ${kind} ${id}.`);
  }
}

/**
 * Reasoning and what follows it go together: in `sent`, an item that had reasoning before it in `all` still has it,
 * and a reasoning item stands before what it stood before.
 */
export function splitReasoning(all: readonly AgentInputItem[], sent: readonly AgentInputItem[]): string[] {
  const position = new Map(sent.map((item, index) => [item, index]));
  const found: string[] = [];
  for (const [index, item] of all.entries()) {
    const before = all[index - 1];
    if (before?.type !== 'reasoning') continue;
    const here = position.get(item);
    const reasoning = position.get(before);
    if (here !== undefined && reasoning !== here - 1 && !('role' in item && item.role !== 'assistant')) {
      if (!/(result|output|compaction)$/.test(item.type ?? 'message'))
        found.push(`item ${index} lost its reasoning`);
    }
    if (reasoning !== undefined && here !== reasoning + 1)
      found.push(`reasoning ${index - 1} lost its follower`);
  }
  return found;
}
