import { loadModule } from '../load-module.ts';
import { createItemCost, mediaCosts, type MediaCosts } from './item-cost.ts';
import type { TokenCounter } from './token-counter.ts';

/**
 * An exact {@link TokenCounter} for the texts of an item in the `o200k_base` vocabulary (GPT-4o, GPT-4.1, GPT-5 and
 * the o-series), with the optional peer `gpt-tokenizer`. Text that looks like a special token (`<|endoftext|>`) is
 * counted as text. Framing, pictures and files are counted as in the default estimate.
 *
 * @throws {@link StrongroomError} `ERR_UNSUPPORTED` when `gpt-tokenizer` is not installed.
 *
 * @example
 * ```ts
 * import { trimHistory } from 'strongroom';
 * import { o200kTokenCounter } from 'strongroom/history';
 *
 * export const sessionInputCallback = trimHistory({
 *   maxTokens: 8_000,
 *   tokenCounter: await o200kTokenCounter(),
 * });
 * ```
 */
export async function o200kTokenCounter(media: Partial<MediaCosts> = {}): Promise<TokenCounter> {
  const costs = mediaCosts('o200kTokenCounter()', media);
  const countTokens = await load();
  const asText = { disallowedSpecial: new Set<string>() };
  return createItemCost((text) => countTokens(text, asText), costs);
}

async function load(): Promise<(text: string, options: { disallowedSpecial: Set<string> }) => number> {
  const { countTokens } = await loadModule(
    'gpt-tokenizer/encoding/o200k_base',
    () => import('gpt-tokenizer/encoding/o200k_base'),
    'o200kTokenCounter(): the package gpt-tokenizer is not installed. Install it: npm install gpt-tokenizer',
  );
  return countTokens;
}
