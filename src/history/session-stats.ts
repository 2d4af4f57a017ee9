import type { AgentInputItem, Session } from '@openai/agents';
import { pageOf } from './page.ts';
import { createStructure, isUserMessage } from './structure.ts';
import { countOnce, estimateTokens, type TokenCounter } from './token-counter.ts';
import { toolName } from './turns.ts';

/** Numbers about a session's history; no content. */
export interface SessionStats {
  readonly items: number;
  /** User messages. */
  readonly turns: number;
  /** By the default estimate, or the counter that was given. */
  readonly tokens: number;
  /** How many items of each type; messages as `message:user` and so on. */
  readonly types: Readonly<Record<string, number>>;
  /** How often each function tool was called. */
  readonly tools: Readonly<Record<string, number>>;
  /** How many items each agent said, by name; empty unless the stack has `attribute()`. */
  readonly agents: Readonly<Record<string, number>>;
  /** Calls without a result, results without a call, and reasoning without a follower: what `dropOrphans` drops. */
  readonly orphans: number;
}

/**
 * Counts of the content of a session. Reads all of it.
 *
 * @example
 * ```ts
 * import type { Session } from '@openai/agents';
 * import { sessionStats } from 'strongroom/history';
 *
 * export const isLong = async (session: Session): Promise<boolean> => (await sessionStats(session)).tokens > 20_000;
 * ```
 */
export async function sessionStats(
  session: Session,
  tokenCounter: TokenCounter = estimateTokens,
): Promise<SessionStats> {
  const paged = (await pageOf('sessionStats()', session, {})).items;
  const items = paged.map(({ item }) => item);
  const count = countOnce(tokenCounter);
  const structure = createStructure();
  const types: Record<string, number> = {};
  const tools: Record<string, number> = {};
  const agents: Record<string, number> = {};
  let tokens = 0;
  for (const { item, agent } of paged) {
    if (agent !== undefined) agents[agent] = (agents[agent] ?? 0) + 1;
    structure.add(item);
    tokens += count(item);
    const type = typeOf(item);
    types[type] = (types[type] ?? 0) + 1;
    if (item.type === 'function_call') {
      const name = toolName(item);
      tools[name] = (tools[name] ?? 0) + 1;
    }
  }
  return {
    items: items.length,
    turns: items.filter(isUserMessage).length,
    tokens,
    types,
    tools,
    agents,
    orphans: structure.orphans(items.length).size,
  };
}

function typeOf(item: AgentInputItem): string {
  return 'role' in item ? `message:${item.role}` : (item.type ?? 'unknown');
}
