import type { AgentInputItem } from '@openai/agents';

/**
 * Which items of a history need each other. A provider refuses a result without its call ("No tool call found for
 * function call output with call_id …") and a call without its result ("No tool output found for function call
 * …"), so code that drops, expires or moves items has to know these links. They are the ones of the runner of
 * `@openai/agents` 0.20 (`runner/toolResultCorrelation`), plus program ownership.
 */

/** The result type that answers a call type; both carry the same `callId`. */
const RESULT_OF: ReadonlyMap<string, string> = new Map([
  ['function_call', 'function_call_result'],
  ['computer_call', 'computer_call_result'],
  ['shell_call', 'shell_call_output'],
  ['apply_patch_call', 'apply_patch_call_output'],
  ['program', 'program_output'],
]);

const RESULT_TYPES: ReadonlySet<string> = new Set(RESULT_OF.values());

const APPROVAL_REQUEST = 'mcp_approval_request';
const APPROVAL_RESPONSE = 'mcp_approval_response';

/** Every member that can form a link; loosely typed because stored history can be older than the types. */
interface Linked {
  readonly type?: unknown;
  readonly id?: unknown;
  readonly callId?: unknown;
  readonly call_id?: unknown;
  readonly name?: unknown;
  readonly execution?: unknown;
  readonly caller?: unknown;
  readonly providerData?: unknown;
}

/**
 * The link that this item opens, as a key that equals the {@link resultKey} of the item that closes it; `undefined`
 * for an item that is not a call. Calls of different kinds never share a key. A `callId` that is used again gives
 * the same key again: {@link createLinkMatcher} pairs those first-in-first-out.
 */
export function callKey(item: AgentInputItem): string | undefined {
  const linked = item as Linked;
  if (typeof linked.type !== 'string') return undefined;
  const resultType = RESULT_OF.get(linked.type);
  if (resultType !== undefined) return key(resultType, linked.callId);
  if (linked.type === 'tool_search_call') {
    return searchKey(linked, searchId(linked) ?? nonEmpty(linked.id) ?? '');
  }
  if (linked.type !== 'hosted_tool_call') return undefined;
  const data = record(linked.providerData);
  if (linked.name !== APPROVAL_REQUEST && data?.['type'] !== APPROVAL_REQUEST) return undefined;
  return key(APPROVAL_RESPONSE, data?.['id'] ?? linked.id);
}

/**
 * The link that this item closes, as a {@link callKey}; `undefined` for an item that is not a result. A tool search
 * output without any id answers the oldest open search, which a key cannot express: it gets the key of a search
 * without an id, and {@link createLinkMatcher} pairs it by order.
 */
export function resultKey(item: AgentInputItem): string | undefined {
  const linked = item as Linked;
  if (typeof linked.type !== 'string') return undefined;
  if (RESULT_TYPES.has(linked.type)) return key(linked.type, linked.callId);
  if (linked.type === 'tool_search_output') return searchKey(linked, searchId(linked) ?? '');
  if (linked.type !== 'hosted_tool_call') return undefined;
  const data = record(linked.providerData);
  if (linked.name !== APPROVAL_RESPONSE && data?.['type'] !== APPROVAL_RESPONSE) return undefined;
  return key(APPROVAL_RESPONSE, data?.['approval_request_id']);
}

/** Whether {@link callKey} gives a key, without making it. */
export function isCall(item: AgentInputItem): boolean {
  const linked = item as Linked;
  if (typeof linked.type !== 'string') return false;
  if (RESULT_OF.has(linked.type)) return typeof linked.callId === 'string';
  return (
    linked.type === 'tool_search_call' || (linked.type === 'hosted_tool_call' && callKey(item) !== undefined)
  );
}

/** Whether {@link resultKey} gives a key, without making it. */
export function isResult(item: AgentInputItem): boolean {
  const linked = item as Linked;
  if (typeof linked.type !== 'string') return false;
  if (RESULT_TYPES.has(linked.type)) return typeof linked.callId === 'string';
  return (
    linked.type === 'tool_search_output' ||
    (linked.type === 'hosted_tool_call' && resultKey(item) !== undefined)
  );
}

/** The {@link callKey} of the program that issued this item (`caller: { type: 'program', callerId }`), if one did. */
export function ownerKey(item: AgentInputItem): string | undefined {
  const caller = record((item as Linked).caller);
  return caller?.['type'] === 'program' ? key('program_output', caller['callerId']) : undefined;
}

/** The result of a matcher for one item. */
export interface Matched {
  /** The item is a call. */
  readonly opens: boolean;
  /**
   * The index of the call that this item answers, -1 when it is not there; absent for an item that is not a result.
   */
  readonly closes?: number;
  /** The same for the program that issued the item. */
  readonly owner?: number;
}

/** Open calls of one key; those before `first` are closed. A history can repeat one id a hundred thousand times. */
interface Queue {
  readonly calls: number[];
  first: number;
}

const UNLINKED: Matched = { opens: false };
const CALL: Matched = { opens: true };

/** Pairs calls and results in the order in which they stand. See {@link createLinkMatcher}. */
export interface LinkMatcher {
  /** Takes the next item. */
  add(item: AgentInputItem, index: number): Matched;
  /** The indexes of the calls that are still open, in no particular order. */
  open(): Iterable<number>;
}

/**
 * A matcher for one pass over a history. A result closes the *oldest* open call with its key, so that a repeated
 * `callId` (real models repeat them) is a new pair, and earlier pairs never depend on later items.
 */
export function createLinkMatcher(): LinkMatcher {
  /** In the order in which they were opened. */
  const openByKey = new Map<string, Queue>();
  const keyOfOpen = new Map<number, string>();
  /**
   * Searches that the client runs; an output without an id answers the oldest open one. Those before `firstSearch`
   * are closed, and others can be. Not a Set: to give its first element it would step over all deleted ones.
   */
  const searches: number[] = [];
  let firstSearch = 0;
  const programs = new Map<string, number>();

  function close(index: number, text: string): number {
    const queue = openByKey.get(text) as Queue;
    // The oldest search of all is the oldest of its key too.
    queue.first++;
    if (queue.first === queue.calls.length) openByKey.delete(text);
    keyOfOpen.delete(index);
    return index;
  }

  function oldestSearch(): number | undefined {
    while (firstSearch < searches.length && !keyOfOpen.has(searches[firstSearch] as number)) firstSearch++;
    return searches[firstSearch];
  }

  return {
    add(item: AgentInputItem, index: number): Matched {
      if ('role' in item) return UNLINKED;
      const owner = ownerKey(item);
      const owned = owner === undefined ? undefined : { owner: programs.get(owner) ?? -1 };
      const opens = callKey(item);
      if (opens !== undefined) {
        const queue = openByKey.get(opens);
        if (queue === undefined) openByKey.set(opens, { calls: [index], first: 0 });
        else queue.calls.push(index);
        keyOfOpen.set(index, opens);
        if (item.type === 'tool_search_call') searches.push(index);
        if (item.type === 'program') programs.set(opens, index);
        return owned === undefined ? CALL : { ...CALL, ...owned };
      }
      const closes = resultKey(item);
      if (closes === undefined) return owned === undefined ? UNLINKED : { ...UNLINKED, ...owned };
      const queue = openByKey.get(closes);
      const oldest = queue?.calls[queue.first];
      let call = -1;
      if (oldest !== undefined) {
        call = close(oldest, closes);
      } else if (item.type === 'tool_search_output' && searchId(item) === undefined) {
        const search = oldestSearch();
        if (search !== undefined) call = close(search, keyOfOpen.get(search) as string);
      }
      return { opens: false, closes: call, ...owned };
    },
    open: () => keyOfOpen.keys(),
  };
}

function key(resultType: string, id: unknown): string | undefined {
  // The types are a closed set without a colon, so no two pairs give the same text.
  return typeof id === 'string' ? `${resultType}:${id}` : undefined;
}

/** Searches of the server and of the client never answer each other. */
function searchKey(item: Linked, id: string): string {
  const execution = item.execution ?? record(item.providerData)?.['execution'];
  return `${execution === 'server' ? 'server_tool_search_output' : 'tool_search_output'}:${id}`;
}

function searchId(item: Linked): string | undefined {
  const data = record(item.providerData);
  return nonEmpty(data?.['call_id'] ?? data?.['callId']) ?? nonEmpty(item.call_id) ?? nonEmpty(item.callId);
}

function nonEmpty(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}
