import type { AgentInputItem } from '@openai/agents';

/** How one way of limiting a history treats the provider's prompt cache. Shares are from 0 to 1. */
export interface CacheMetrics {
  /** Turns whose prompt begins with the whole prompt of the turn before. */
  readonly stable: number;
  /** Average share of the budget that the kept history uses. */
  readonly used: number;
  /** Tokens that the turn before sent already, as the beginning of its prompt, of all tokens sent. */
  readonly cached: number;
  /** Average tokens a prompt. */
  readonly tokens: number;
}

/**
 * Replays a conversation turn by turn: before each user message, `limit` gets all that came before it.
 *
 * @param measure What the budget counts of the kept history.
 */
export function replay(
  conversation: readonly AgentInputItem[],
  limit: (history: AgentInputItem[]) => readonly AgentInputItem[],
  tokens: (item: AgentInputItem) => number,
  measure: (kept: readonly AgentInputItem[]) => number,
  budget: number,
): CacheMetrics {
  let turns = 0;
  let stable = 0;
  let used = 0;
  let cached = 0;
  let sent = 0;
  let before: readonly AgentInputItem[] = [];
  for (const [index, item] of conversation.entries()) {
    if (index === 0 || !('role' in item) || item.role !== 'user') continue;
    const kept = limit(conversation.slice(0, index));
    const prompt = [...kept, item];
    turns++;
    used += measure(kept) / budget;
    let same = 0;
    while (same < before.length && prompt[same] === before[same]) same++;
    if (same === before.length) stable++;
    for (const [position, each] of prompt.entries()) {
      const cost = tokens(each);
      sent += cost;
      if (position < same) cached += cost;
    }
    before = prompt;
  }
  return { stable: stable / turns, used: used / turns, cached: cached / sent, tokens: sent / turns };
}

/** The last `count` turns, whatever their size: a window that moves with every turn. */
export function lastTurns(history: readonly AgentInputItem[], count: number): readonly AgentInputItem[] {
  let left = count;
  for (let index = history.length - 1; index >= 0; index--) {
    const item = history[index] as AgentInputItem;
    if ('role' in item && item.role === 'user' && --left === 0) return history.slice(index);
  }
  return history;
}
