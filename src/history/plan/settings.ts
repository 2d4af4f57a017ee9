import type { AgentInputItem } from '@openai/agents';
import type { TokenCounter } from '../token-counter.ts';
import type { HistorySize } from './size.ts';

/** Options after their checks. An absent limit is `Infinity`. */
export interface PlanSettings {
  /** The budget. */
  readonly high: HistorySize;
  /** The largest size after a cut. */
  readonly low: HistorySize;
  readonly counter?: TokenCounter | undefined;
  readonly pin?: ((item: AgentInputItem, index: number) => boolean) | undefined;
  /** What happens to a last turn that is larger than the budget by itself. */
  readonly onOverflow: 'split' | 'keep';
}
