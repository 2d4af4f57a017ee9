/** Tokens of model calls. */
export interface TokenUsage {
  /** Model calls. */
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  /** Input tokens that the provider's prompt cache held. */
  readonly cachedInputTokens: number;
  readonly reasoningTokens: number;
  /** All details of the input that the provider names, such as `cached_tokens` and `audio_tokens`. */
  readonly inputDetails: Readonly<Record<string, number>>;
  /** All details of the output, such as `reasoning_tokens`. */
  readonly outputDetails: Readonly<Record<string, number>>;
}

/** The usage of one model for one agent in one branch; `''` for an unknown one, and for the conversation itself. */
export interface UsageCell extends TokenUsage {
  readonly branch: string;
  readonly agent: string;
  readonly model: string;
}

export const NO_TOKENS: TokenUsage = {
  requests: 0,
  inputTokens: 0,
  outputTokens: 0,
  totalTokens: 0,
  cachedInputTokens: 0,
  reasoningTokens: 0,
  inputDetails: {},
  outputDetails: {},
};

/** Tokens as the SDK counts them, of a run or of one model call. */
export interface SdkUsage {
  readonly requests?: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly inputTokensDetails?: unknown;
  readonly outputTokensDetails?: unknown;
  /** Each model call, in the order of their ends. */
  readonly requestUsageEntries?: readonly SdkUsage[] | undefined;
}

export function tokensOf(usage: SdkUsage): TokenUsage {
  const inputDetails = detailsOf(usage.inputTokensDetails);
  const outputDetails = detailsOf(usage.outputTokensDetails);
  return {
    requests: usage.requests ?? 1,
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    totalTokens: usage.totalTokens,
    cachedInputTokens: inputDetails['cached_tokens'] ?? 0,
    reasoningTokens: outputDetails['reasoning_tokens'] ?? 0,
    inputDetails,
    outputDetails,
  };
}

/** One record of numbers, or a list of them, which is summed up. */
function detailsOf(details: unknown): Readonly<Record<string, number>> {
  const lists: readonly unknown[] = Array.isArray(details) ? details : [details];
  return lists.reduce<Readonly<Record<string, number>>>((sum, each) => plus(sum, numbersOf(each), 1), {});
}

/** Its members that are numbers. */
function numbersOf(value: unknown): Record<string, number> {
  const entries = Object.entries(Object(value) as Record<string, unknown>);
  return Object.fromEntries(entries.filter((entry): entry is [string, number] => Number.isFinite(entry[1])));
}

function plus(
  one: Readonly<Record<string, number>>,
  other: Readonly<Record<string, number>>,
  sign: 1 | -1,
): Record<string, number> {
  const sum: Record<string, number> = { ...one };
  for (const [name, count] of Object.entries(other)) {
    const next = Math.max((sum[name] ?? 0) + sign * count, 0);
    if (next === 0) delete sum[name];
    else sum[name] = next;
  }
  return sum;
}

/** @param sign -1 subtracts; a negative result becomes 0. */
export function addTokens(one: TokenUsage, other: TokenUsage, sign: 1 | -1 = 1): TokenUsage {
  const of = (
    name:
      'requests' | 'inputTokens' | 'outputTokens' | 'totalTokens' | 'cachedInputTokens' | 'reasoningTokens',
  ) => Math.max(one[name] + sign * other[name], 0);
  return {
    requests: of('requests'),
    inputTokens: of('inputTokens'),
    outputTokens: of('outputTokens'),
    totalTokens: of('totalTokens'),
    cachedInputTokens: of('cachedInputTokens'),
    reasoningTokens: of('reasoningTokens'),
    inputDetails: plus(one.inputDetails, other.inputDetails, sign),
    outputDetails: plus(one.outputDetails, other.outputDetails, sign),
  };
}

export function isNothing({ requests, totalTokens, inputTokens, outputTokens }: TokenUsage): boolean {
  return requests === 0 && totalTokens === 0 && inputTokens === 0 && outputTokens === 0;
}

/** More cells than this are merged by model, because every record contains the totals. */
const MOST_CELLS = 256;

export function addCells(cells: readonly UsageCell[], more: readonly UsageCell[]): UsageCell[] {
  const sum = new Map<string, UsageCell>();
  for (const cell of [...cells, ...more]) {
    const { branch, agent, model } = cell;
    const name = JSON.stringify([branch, agent, model]);
    const place = sum.has(name) || sum.size < MOST_CELLS ? cell : { ...cell, branch: '', agent: '' };
    const key = JSON.stringify([place.branch, place.agent, model]);
    sum.set(key, { ...place, ...addTokens(sum.get(key) ?? NO_TOKENS, cell) });
  }
  return [...sum.values()];
}

export function groupCells(
  cells: readonly UsageCell[],
  by: 'branch' | 'agent' | 'model',
): ReadonlyMap<string, readonly UsageCell[]> {
  const groups = new Map<string, UsageCell[]>();
  for (const cell of cells) {
    const group = groups.get(cell[by]);
    if (group === undefined) groups.set(cell[by], [cell]);
    else group.push(cell);
  }
  return groups;
}
