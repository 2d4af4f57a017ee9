import { agentsOfResponses, onlyAgentOf, type SomeAgent } from './agents.ts';
import type { Counted } from './run-mark.ts';
import type { RunWithUsage } from './run.ts';
import {
  addCells,
  addTokens,
  isNothing,
  NO_TOKENS,
  tokensOf,
  type TokenUsage,
  type UsageCell,
} from './tokens.ts';

/**
 * The usage of a run, by agent and model, without usage that was counted before.
 *
 * @param total What the run used itself: `state.usage` is that of its run context.
 */
export function measureRun(
  result: RunWithUsage,
  total: TokenUsage,
  branch: string,
  before: Counted | undefined,
): UsageCell[] {
  const { rawResponses = [] } = result;
  const agents = agentsOfResponses(result);
  const from = before?.responses ?? 0;
  let cells: UsageCell[] = [];
  for (const [index, { usage, providerData }] of rawResponses.entries()) {
    if (index < from) continue;
    const agent = agents[index];
    const model = providerData?.['model'];
    const names = { branch, agent: nameOf(agent), model: typeof model === 'string' ? model : modelOf(agent) };
    cells = addCells(cells, [{ ...names, ...tokensOf(usage) }]);
  }
  const counted = cells.reduce<TokenUsage>((sum, cell) => addTokens(sum, cell), before?.total ?? NO_TOKENS);
  // For example the usage of agents that ran as tools: its model is unknown.
  const rest = addTokens(total, counted, -1);
  if (isNothing(rest)) return cells;
  const isWhole = rawResponses.length === 0 && before === undefined;
  const only = isWhole ? onlyAgentOf(result) : undefined;
  const names = isWhole ? { agent: nameOf(only), model: modelOf(only) } : { agent: '', model: '' };
  return addCells(cells, [{ branch, ...names, ...rest }]);
}

function nameOf(agent: SomeAgent | undefined): string {
  const name = agent?.name;
  return typeof name === 'string' ? name : '';
}

function modelOf(agent: SomeAgent | undefined): string {
  const model = agent?.model;
  return typeof model === 'string' ? model : '';
}
