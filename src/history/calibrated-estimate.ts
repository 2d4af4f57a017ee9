import type { AgentInputItem } from '@openai/agents';
import { checkOptions, invalidOption } from '../options.ts';
import { estimateText } from './estimate.ts';
import { createItemCost, MEDIA_NAMES, mediaCosts, type MediaCosts } from './item-cost.ts';
import { asEstimate, estimateTokens, type TokenCounter } from './token-counter.ts';

/** Options of {@link tokenEstimate}. */
export interface TokenEstimateOptions extends Partial<MediaCosts> {
  /** Factor on every count, from 0.1 to 10; default 1. See {@link scaleFromUsage}. */
  readonly scale?: number;
}

/**
 * The default estimate with your own costs: other costs for pictures and files, or a factor for another vocabulary.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { trimHistory } from 'strongroom';
 * import { tokenEstimate } from 'strongroom/history';
 *
 * export const sessionInputCallback = trimHistory({
 *   maxTokens: 8_000,
 *   tokenCounter: tokenEstimate({ scale: 1.2, image: 765 }),
 * });
 * ```
 */
export function tokenEstimate(options: TokenEstimateOptions = {}): TokenCounter {
  const where = 'tokenEstimate()';
  checkOptions(where, options, ['scale', ...MEDIA_NAMES]);
  const { scale = 1, ...media } = options;
  if (typeof scale !== 'number' || !(scale >= 0.1 && scale <= 10)) {
    invalidOption(where, 'scale', 'a number from 0.1 to 10', scale);
  }
  const costs = mediaCosts(where, media);
  const itemCost = createItemCost(estimateText, costs);
  return asEstimate((item) => Math.ceil(itemCost(item) * scale));
}

/** The input of {@link scaleFromUsage}. */
export interface UsageSample {
  /** What the API reported for one model call: `result.rawResponses.at(-1)?.usage.inputTokens`. */
  readonly inputTokens: number;
  /** The items of that call's input. */
  readonly items: readonly AgentInputItem[];
  /** Tokens of instructions and tool schemas, which `inputTokens` contains; default 0. */
  readonly overheadTokens?: number;
}

/**
 * The factor between the usage that the API reported and the default estimate, for this model and these texts. It
 * is rounded up to a step of 5 % and kept between 0.5 and 2.
 *
 * A cut depends on the counter, so a factor that changes moves cuts and costs a prompt cache: fix it when the process
 * starts, or store it, and give all replicas the same one.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION`
 *
 * @example
 * ```ts
 * import type { AgentInputItem } from '@openai/agents';
 * import { scaleFromUsage, tokenEstimate, type TokenCounter } from 'strongroom/history';
 *
 * export const counterFor = (items: AgentInputItem[], inputTokens: number): TokenCounter =>
 *   tokenEstimate({ scale: scaleFromUsage({ items, inputTokens, overheadTokens: 600 }) });
 * ```
 */
export function scaleFromUsage(sample: UsageSample): number {
  const where = 'scaleFromUsage()';
  checkOptions(where, sample, ['inputTokens', 'items', 'overheadTokens']);
  const { inputTokens, items, overheadTokens = 0 } = sample;
  for (const [name, value] of [
    ['inputTokens', inputTokens],
    ['overheadTokens', overheadTokens],
  ] as const) {
    if (!Number.isFinite(value) || value < 0) invalidOption(where, name, 'a number of tokens', value);
  }
  const estimated = items.reduce((sum, item) => sum + estimateTokens(item), 0);
  const reported = inputTokens - overheadTokens;
  if (estimated === 0 || reported <= 0) return 1;
  return Math.min(2, Math.max(0.5, Math.ceil((reported / estimated) * 20 - 1e-9) / 20));
}
