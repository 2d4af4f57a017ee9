import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { dropPromise } from '../options.ts';
import { createContentMemo, type ContentMemo } from './content-memo.ts';
import { estimateText } from './estimate.ts';
import { createItemCost } from './item-cost.ts';

/**
 * The cost of an item in tokens: a whole number from 0 on. It is called once for each item, must be synchronous,
 * and must give the same number for the same content, in every process: the cut is computed from it.
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
export const estimateTokens: TokenCounter = createItemCost(estimateText);

/** Counters that are cheaper than remembering their results. */
const estimates = new WeakSet<TokenCounter>([estimateTokens]);

/** An estimate of other charges, counted like {@link estimateTokens}. */
export function asEstimate(counter: TokenCounter): TokenCounter {
  estimates.add(counter);
  return counter;
}

interface Memo {
  readonly byObject: WeakMap<AgentInputItem, number>;
  readonly byContent: ContentMemo;
}

const memos = new WeakMap<TokenCounter, Memo>();

/**
 * `counter`, called once for each item, its result checked: once for the same object (changes in place are not seen),
 * and once for the same content, because most sessions return new objects on every read. An estimate is cheaper
 * than remembering it, so it is remembered only for frozen items: a cache returns the same objects again.
 */
export function countOnce(counter: TokenCounter): TokenCounter {
  let memo = memos.get(counter);
  if (memo === undefined) {
    memo = { byObject: new WeakMap(), byContent: createContentMemo() };
    memos.set(counter, memo);
  }
  const { byObject, byContent } = memo;
  if (estimates.has(counter)) {
    return (item) => (Object.isFrozen(item) ? remember(byObject, item, counter) : counter(item));
  }
  const byText = (item: AgentInputItem): number =>
    byContent.get(JSON.stringify(item), () => checkCount(counter(item)));
  return (item) => remember(byObject, item, byText);
}

function remember(known: WeakMap<AgentInputItem, number>, item: AgentInputItem, count: TokenCounter): number {
  let tokens = known.get(item);
  if (tokens === undefined) known.set(item, (tokens = count(item)));
  return tokens;
}

function checkCount(tokens: unknown): number {
  if (typeof tokens === 'number' && Number.isFinite(tokens) && tokens >= 0) return tokens;
  dropPromise(tokens);
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    'trimHistory(): tokenCounter must return a number of at least 0, and not a promise. ' +
      'Load a tokenizer before the run, for example with `await o200kTokenCounter()`.',
  );
}
