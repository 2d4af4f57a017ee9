import {
  addCells,
  addTokens,
  isNothing,
  NO_TOKENS,
  tokensOf,
  type SdkUsage,
  type TokenUsage,
  type UsageCell,
} from './tokens.ts';

/** The part of a run that `recordUsage()` reads: a `RunResult`, a finished `StreamedRunResult`, or the like. */
export interface RunWithUsage {
  readonly state: { readonly usage: SdkUsage };
  /** Each model call, with its output. Without it the run is counted as a whole. */
  readonly rawResponses?: readonly {
    readonly usage: SdkUsage;
    readonly output: readonly unknown[];
    readonly responseId?: string | undefined;
    readonly providerData?: Readonly<Record<string, unknown>> | undefined;
  }[];
  /** Has the agent of each output. */
  readonly newItems?: readonly object[];
  readonly lastAgent?: { readonly name: string } | undefined;
  /** Says which branch the run was on, where its session follows branches. */
  readonly runContext?: object;
}

/** How much of a run was counted before: a resumed run contains the earlier responses, too. */
export interface Counted {
  readonly responses: number;
  readonly total: TokenUsage;
}

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
  const responses = (result.rawResponses ?? []).slice(before?.responses ?? 0);
  const agents = agentsOf(result);
  const only =
    new Set(agents.values()).size > 1 ? undefined : (agents.values().next().value ?? result.lastAgent);
  let cells: UsageCell[] = [];
  for (const { usage, output, providerData } of responses) {
    const agent = output.map((item) => agents.get(item)).find((found) => found !== undefined) ?? only;
    const model = providerData?.['model'];
    const names = { branch, agent: nameOf(agent), model: typeof model === 'string' ? model : modelOf(agent) };
    cells = addCells(cells, [{ ...names, ...tokensOf(usage) }]);
  }
  const counted = cells.reduce<TokenUsage>((sum, cell) => addTokens(sum, cell), before?.total ?? NO_TOKENS);
  // For example the usage of agents that ran as tools: its model is unknown.
  const rest = addTokens(total, counted, -1);
  if (isNothing(rest)) return cells;
  const isWhole = responses.length === 0 && before === undefined;
  const names = isWhole ? { agent: nameOf(only), model: modelOf(only) } : { agent: '', model: '' };
  return addCells(cells, [{ branch, ...names, ...rest }]);
}

/** The members of an agent that are read; each may be missing. */
interface SomeAgent {
  readonly name?: unknown;
  readonly model?: unknown;
}

function agentsOf({ newItems = [] }: RunWithUsage): Map<unknown, SomeAgent> {
  const agents = new Map<unknown, SomeAgent>();
  for (const item of newItems) {
    const { rawItem, agent } = item as { readonly rawItem?: unknown; readonly agent?: unknown };
    if (typeof agent === 'object' && agent !== null) agents.set(rawItem, agent);
  }
  return agents;
}

function nameOf(agent: SomeAgent | undefined): string {
  const name = agent?.name;
  return typeof name === 'string' ? name : '';
}

function modelOf(agent: SomeAgent | undefined): string {
  const model = agent?.model;
  return typeof model === 'string' ? model : '';
}
