import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { estimateText } from './estimate.ts';
import { itemCost } from './item-cost.ts';

/**
 * How many tokens an item costs the model: a whole number from 0 on. It is called once for each item, must be
 * synchronous, and must give the same number for the same content, in every process: the cut is computed from it.
 */
export type TokenCounter = (item: AgentInputItem) => number;

/**
 * The default {@link TokenCounter}: an estimate without a tokenizer, fitted to `o200k_base` (GPT-4o and later). On
 * English, German, Chinese, Arabic, JSON, code and base64 it is within 15 % of the exact count, and so it counts at
 * most 15 % too little there; rare scripts and other models' vocabularies can be further off. For exact counts use
 * `o200kTokenCounter()` of `strongroom/history`; for a bound that is never too low, use bytes:
 * `(item) => new TextEncoder().encode(JSON.stringify(item)).length`.
 *
 * A picture costs 1,500 tokens (85 at low detail), a file by reference 3,000.
 */
export const estimateTokens: TokenCounter = (item) => itemCost(item, estimateText);

/** One number an object, however often a history is planned. Contents that change in place are not seen. */
const counted = new WeakMap<TokenCounter, WeakMap<AgentInputItem, number>>();

/** `counter`, called once for each object, its result checked. */
export function countOnce(counter: TokenCounter): TokenCounter {
  let known = counted.get(counter);
  if (known === undefined) counted.set(counter, (known = new WeakMap()));
  const memo = known;
  return (item) => {
    let tokens = memo.get(item);
    if (tokens === undefined) {
      tokens = checkCount(counter(item));
      memo.set(item, tokens);
    }
    return tokens;
  };
}

function checkCount(tokens: unknown): number {
  if (typeof tokens === 'number' && Number.isFinite(tokens) && tokens >= 0) return tokens;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    'trimHistory(): tokenCounter must return a number from 0 on, at once and not as a promise. ' +
      'Load a tokenizer before the run, for example with `await o200kTokenCounter()`.',
  );
}
