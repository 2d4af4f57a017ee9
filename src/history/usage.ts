import type { AgentInputItem, Session, Usage } from '@openai/agents';
import { invalidOption } from '../options.ts';

/** What {@link recordUsage} reads of a run: a `RunResult`, a finished `StreamedRunResult`, or the like. */
export interface RunWithUsage {
  readonly state: { readonly usage: Usage };
}

/** Tokens of one or more runs. */
export interface SessionUsage {
  readonly runs: number;
  /** Model calls. */
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  /** Input tokens that the provider's prompt cache held. */
  readonly cachedInputTokens: number;
  readonly reasoningTokens: number;
}

const KIND = 'strongroom.usage';

/**
 * Adds a run's token usage to a ledger: a session that holds nothing else, for example
 * `sessions.session('user-123~usage')`. So the ledger is stored, sealed, expired and audited as conversations are. Never
 * give the conversation itself: its records would be sent to the model.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION` when the result has no usage.
 *
 * @example
 * ```ts
 * import { Agent, run, type Session } from '@openai/agents';
 * import { recordUsage, sessionUsage, type SessionUsage } from 'strongroom/history';
 *
 * export async function ask(agent: Agent, session: Session, ledger: Session): Promise<SessionUsage> {
 *   await recordUsage(ledger, await run(agent, 'Hello', { session }));
 *   return sessionUsage(ledger);
 * }
 * ```
 */
export async function recordUsage(ledger: Session, result: RunWithUsage): Promise<void> {
  const usage = (result as Partial<RunWithUsage> | undefined)?.state?.usage;
  if (typeof usage !== 'object' || usage === null || typeof usage.inputTokens !== 'number') {
    return invalidOption('recordUsage()', 'result', 'a run result with usage', result);
  }
  const record: SessionUsage = {
    runs: 1,
    requests: usage.requests,
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    totalTokens: usage.totalTokens,
    cachedInputTokens: detail(usage.inputTokensDetails, 'cached_tokens'),
    reasoningTokens: detail(usage.outputTokensDetails, 'reasoning_tokens'),
  };
  const item: AgentInputItem = { type: 'unknown', providerData: { type: KIND, ...record } };
  await ledger.addItems([item]);
}

/** The sum of what {@link recordUsage} put into a ledger; items of other kinds are not counted. */
export async function sessionUsage(ledger: Session): Promise<SessionUsage> {
  const sum = {
    runs: 0,
    requests: 0,
    inputTokens: 0,
    outputTokens: 0,
    totalTokens: 0,
    cachedInputTokens: 0,
    reasoningTokens: 0,
  };
  for (const item of await ledger.getItems()) {
    const data = item.type === 'unknown' ? item.providerData : undefined;
    if (data?.['type'] !== KIND) continue;
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) {
      const value: unknown = data[name];
      if (typeof value === 'number' && Number.isFinite(value)) sum[name] += value;
    }
  }
  return sum;
}

function detail(details: readonly Readonly<Record<string, number>>[] | undefined, name: string): number {
  return (details ?? []).reduce((total, each) => total + (each[name] ?? 0), 0);
}
