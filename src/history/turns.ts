import type { AgentInputItem, Session } from '@openai/agents';
import { defined } from '../defined.ts';
import type { CallOrigin } from '../layer.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import type { PagedItem } from '../session-contract.ts';
import { pageOf } from './page.ts';
import { isUserMessage } from './structure.ts';

/** One turn of a conversation: a user message and all that follows it, up to the next one. */
export interface Turn {
  /** From 1 on, among the visible turns of the session. `rewindTo(session, { turns: number - 1 })` removes it. */
  readonly number: number;
  /** When its first item was written, in Unix milliseconds; absent when neither a layer nor the store records it. */
  readonly at?: number;
  /** The first line of the user message that has text, at most 200 characters; empty when none has. */
  readonly firstLine: string;
  /** Names of the function tools that were called, each once, in the order of their first calls. */
  readonly tools: readonly string[];
  /** Names of the agents that answered, likewise; empty unless the stack has `attribute()`. */
  readonly agents: readonly string[];
  /** How many items it has, the user message among them. */
  readonly items: number;
}

/** A turn with its items. */
export interface TurnOfItems extends Turn {
  readonly first: PagedItem;
}

const LONGEST_LINE = 200;
/** The first unit of a surrogate pair. */
const HALF = /[\uD800-\uDBFF]$/;

/**
 * Lists the turns of a conversation: for a table of contents, or to choose one for `rewindTo()` or a branch. Reads all of the session.
 *
 * @throws The errors of reading the session.
 *
 * @example
 * ```ts
 * import type { Session } from '@openai/agents';
 * import { turns } from 'strongroom/history';
 *
 * export async function contents(session: Session): Promise<string[]> {
 *   return (await turns(session)).map(({ number, firstLine }) => `${number}. ${firstLine}`);
 * }
 * ```
 */
export async function turns(session: Session, origin: CallOrigin = {}): Promise<Turn[]> {
  const where = 'turns()';
  checkCall(where, origin, []);
  return (await turnsOf(where, session, origin)).map(({ first: _first, ...turn }) => turn);
}

/** The same, with the item that each turn begins with. */
export async function turnsOf(where: string, session: Session, origin: CallOrigin): Promise<TurnOfItems[]> {
  const { items } = await pageOf(where, session, originOf(origin));
  const starts = [...items.keys()].filter((index) => isUserMessage((items[index] as PagedItem).item));
  return starts.map((start, index) => turnOf(index + 1, items.slice(start, starts[index + 1])));
}

function turnOf(number: number, items: readonly PagedItem[]): TurnOfItems {
  const [first] = items as [PagedItem, ...PagedItem[]];
  const tools = new Set<string>();
  const agents = new Set<string>();
  for (const { item, agent } of items) {
    if (item.type === 'function_call') tools.add(toolName(item));
    if (agent !== undefined) agents.add(agent);
  }
  return defined({
    number,
    at: first.at,
    firstLine: firstLineOf(first.item),
    tools: [...tools],
    agents: [...agents],
    items: items.length,
    first,
  });
}

/** The name of the tool of a call, with its namespace. */
export function toolName({
  name,
  namespace,
}: {
  readonly name: string;
  readonly namespace?: string | undefined;
}): string {
  return namespace === undefined ? name : `${namespace}.${name}`;
}

/** The first line with text, without a lone surrogate at its end. */
function firstLineOf(item: AgentInputItem): string {
  const { content } = item as { readonly content?: unknown };
  const parts: readonly unknown[] = Array.isArray(content) ? content : [{ text: content }];
  for (const part of parts) {
    const text: unknown = (part as { readonly text?: unknown } | null)?.text;
    const line =
      typeof text === 'string' ? text.split(/[\r\n]+/).find((each) => each.trim() !== '') : undefined;
    if (line === undefined) continue;
    const found = line.trim();
    return found.length > LONGEST_LINE ? `${found.slice(0, LONGEST_LINE - 1).replace(HALF, '')}…` : found;
  }
  return '';
}
