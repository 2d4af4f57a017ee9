import type { AgentInputItem } from '@openai/agents';
import {
  cutWith,
  parseTrimOptions,
  reportOf,
  type TrimHistoryOptions,
  type TrimPlan,
} from './trim-history.ts';

/**
 * The effect of `trimHistory()` with the same options on this history, without a run. A pure function.
 *
 * @param history The items of the session, oldest first.
 * @param options As for `trimHistory()`; `onTrim` is not called.
 * @param newItems The new input of the run, when it answers calls of the history.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION`, as `trimHistory()` does.
 *
 * @example
 * ```ts
 * import type { Session } from '@openai/agents';
 * import { planTrim } from 'strongroom/history';
 *
 * export async function windowOf(session: Session): Promise<string> {
 *   const { before, after } = planTrim(await session.getItems(), { maxTokens: 8_000 });
 *   return `${after.tokens} of ${before.tokens} tokens`;
 * }
 * ```
 */
export function planTrim(
  history: readonly AgentInputItem[],
  options: TrimHistoryOptions,
  newItems: readonly AgentInputItem[] = [],
): TrimPlan {
  const settings = parseTrimOptions('planTrim()', options);
  const cut = cutWith(settings, history, newItems);
  const kept = history.filter((_, index) => cut.keeps(index));
  return { kept, ...reportOf(settings, history, cut) };
}
