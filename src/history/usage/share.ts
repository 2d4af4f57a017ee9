import { restoredOf, type RunWithUsage } from './run.ts';
import { sumOfResponses } from './run-mark.ts';
import { addTokens, NO_TOKENS, tokensOf, type SdkUsage, type TokenUsage } from './tokens.ts';

/** What is the run's own of the usage of its run context, which several runs may share. */
export interface Share {
  readonly total: TokenUsage;
  /** Whether it is the usage of its responses alone. */
  readonly isOnlyAnswers: boolean;
  /** Of `total`: recorded by runs within this one before its state was serialized. */
  readonly ofOthers: TokenUsage;
}

/** By run state: what the run used itself. */
const own = new WeakMap<object, TokenUsage>();
/** By the usage of a run context, which all its runs add to: what the runs used of which `own` knows. */
const known = new WeakMap<object, TokenUsage>();
/** By the same: what these runs had used when the state was serialized. */
const restored = new WeakMap<object, TokenUsage>();

/**
 * Takes the run's own usage out of the shared one, so that no other run gets it. An agent as a tool adds to the usage
 * of the run around it: it gets the usage of its responses, and that run the rest.
 */
export function takeShare(result: RunWithUsage): Share {
  return isWithinAnother(result) ? takeAnswers(result) : takeRest(result);
}

function takeAnswers(result: RunWithUsage): Share {
  const { state, rawResponses = [] } = result;
  const { usage } = state;
  const before = own.get(state);
  const total = sumOfResponses(rawResponses);
  const count = restoredOf(result) ?? 0;
  const old = before ?? sumOfResponses(rawResponses.slice(0, count));
  if (before === undefined) restored.set(usage, addTokens(restored.get(usage) ?? NO_TOKENS, old));
  const free = addTokens(tokensOf(usage), known.get(usage) ?? NO_TOKENS, -1);
  const left = addTokens(free, addTokens(total, old, -1), -1);
  known.set(usage, addTokens(tokensOf(usage), left, -1));
  own.set(state, total);
  return { total, isOnlyAnswers: true, ofOthers: NO_TOKENS };
}

function takeRest({ state }: RunWithUsage): Share {
  const now = tokensOf(state.usage);
  const others = addTokens(known.get(state.usage) ?? NO_TOKENS, own.get(state) ?? NO_TOKENS, -1);
  const total = addTokens(now, others, -1);
  known.set(state.usage, now);
  own.set(state, total);
  return { total, isOnlyAnswers: false, ofOthers: restored.get(state.usage) ?? NO_TOKENS };
}

/** Of agents as tools: whether the usage is also that of the run around, which was answered first. */
function isWithinAnother({ agentToolInvocation, state, rawResponses = [] }: RunWithUsage): boolean {
  if (agentToolInvocation === undefined) return false;
  const first = firstCall(rawResponses[0]?.usage);
  const entries = state.usage.requestUsageEntries ?? [];
  if (first === undefined || entries[0] === undefined || !isSame(entries[0], first)) return true;
  // The answer of the run around may be of the same size.
  const alike = (calls: readonly (SdkUsage | undefined)[]): number =>
    calls.filter((call) => call !== undefined && isSame(call, first)).length;
  return alike(entries) > alike(rawResponses.map(({ usage }) => firstCall(usage)));
}

/** A response that was asked for again has the usage of each attempt. */
function firstCall(usage: SdkUsage | undefined): SdkUsage | undefined {
  return usage?.requestUsageEntries?.[0] ?? usage;
}

function isSame(one: SdkUsage, other: SdkUsage): boolean {
  return (
    one.inputTokens === other.inputTokens &&
    one.outputTokens === other.outputTokens &&
    one.totalTokens === other.totalTokens
  );
}
