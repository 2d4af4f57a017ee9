import type { AgentInputItem, SessionInputCallback } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { checkOptions, dropPromise, invalidOption, parseCount } from '../options.ts';
import { warn } from '../warning.ts';
import { findCut, type Cut } from './plan.ts';
import type { PlanSettings } from './plan/settings.ts';
import type { HistorySize } from './plan/size.ts';
import { countOnce, estimateTokens, type TokenCounter } from './token-counter.ts';

/**
 * Options of {@link trimHistory} and `planTrim()`. At least one budget (`maxTokens`, `maxTurns`, `maxItems`,
 * `fraction`) is needed; of several, the tightest applies. Budgets count the *history* that is kept, its system
 * messages and pinned items included. The new input of the run is never cut and not counted, nor are instructions,
 * tools and the answer: `reserveTokens` reserves space for those.
 */
export interface TrimHistoryOptions {
  /** Tokens of kept history, from 1 on. */
  readonly maxTokens?: number;
  /** Turns of kept history, from 1 on. A turn is a user message and everything up to the next one. */
  readonly maxTurns?: number;
  /** Items of kept history, from 1 on. */
  readonly maxItems?: number;
  /** A token budget as a share of `contextWindow`: above 0, up to 1. With `maxTokens`, the smaller one applies. */
  readonly fraction?: number;
  /** The model's input limit in tokens, as its provider documents it. Needed by `fraction`. */
  readonly contextWindow?: number;
  /**
   * The low water mark as a share of every budget: above 0, up to 1; default 0.5. A cut leaves at most this much,
   * so that the next turns fit without another cut and the provider's prompt cache continues to hit. At 1 the
   * window moves with every turn, and no prefix is ever the same twice.
   */
  readonly keep?: number;
  /** Tokens taken off the token budget: for instructions, tool schemas, the new input and the answer. Default 0. */
  readonly reserveTokens?: number;
  /**
   * Counts the tokens of an item; default {@link estimateTokens}. A custom counter is called once for each content.
   */
  readonly tokenCounter?: TokenCounter;
  /**
   * Items that are never dropped, with their units (the whole call of a result). A pure function of its arguments,
   * called once for each item in each run.
   */
  readonly pin?: (item: AgentInputItem, index: number) => boolean;
  /**
   * When the last turn alone is larger than the budget: `'split'` (default) keeps its last steps, and the message that
   * asked for them if that fits; `'keep'` keeps the turn and exceeds the budget; `'throw'` fails the run before the
   * model is called, with `ERR_INVALID_OPTION`.
   */
  readonly onOverflow?: 'split' | 'keep' | 'throw';
  /**
   * Called whenever a run omits items, with the reasons; gets ids and numbers, no content. Its errors become a
   * process warning and do not fail the run.
   */
  readonly onTrim?: (report: TrimReport) => void;
}

/** Why an item of the history was not sent to the model. */
export type DropReason =
  /** It is before the cut. */
  | 'budget'
  /** The provider would refuse it: a call or result without its counterpart, or reasoning without the next item. */
  | 'orphan'
  /** A compaction item replaces it. */
  | 'compaction';

/** The items that {@link trimHistory} omits from one run. */
export interface TrimReport {
  readonly dropped: readonly DroppedItem[];
  /** The size of the given and of the kept history. Tokens are 0 unless a token budget is set. */
  readonly before: HistorySize;
  readonly after: HistorySize;
  /** The budgets in force; a missing one is `Infinity`. */
  readonly budget: HistorySize;
  /** Index in the history at which the kept window begins. Stable from run to run until `moved`. */
  readonly cutIndex: number;
  /** The window moved since the previous turn, so this run's prompt misses the provider's cache. */
  readonly moved: boolean;
  /** The last turn alone is larger than the budget. */
  readonly overflow: boolean;
}

/** One item that was left out. */
export interface DroppedItem {
  /** Index in the history. */
  readonly index: number;
  readonly type: string;
  readonly callId?: string;
  readonly tokens: number;
  readonly reason: DropReason;
}

/** The result of `planTrim()`. */
export interface TrimPlan extends TrimReport {
  /** The kept history: the same objects, in their order. */
  readonly kept: readonly AgentInputItem[];
}

/**
 * A `sessionInputCallback` that keeps the history within a budget. It only omits items: the runner would store any
 * other item that a callback returns, in every run (`runner/sessionPersistence`).
 *
 * - A call and its result, reasoning and the next item, and parallel calls stay together, for every item type.
 *   Without that the Responses API answers `No tool call found for function call output with call_id …`, `No tool
 *   output found for function call …` or `Item 'rs_…' of type 'reasoning' was provided without its required
 *   following item.`
 * - Calls and results that are stored without their counterpart, after an interrupted run, are omitted too.
 * - Cuts are made between turns; system messages stay; a compaction item stays first.
 * - The cut is a pure function of the history and moves rarely (see `keep`), so the prefix stays the same byte by byte
 *   between cuts, also on another replica and after a restart.
 * - A history that fits is never cut.
 *
 * The callback must see the whole history: do not combine it with a session that limits what `getItems` returns. It
 * costs one pass over the history. A callback that hides stored items switches off the automatic compaction of
 * `OpenAIResponsesCompactionSession` for that run: use one or the other.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for invalid options, and in a run when `onOverflow` is
 * `'throw'` or `tokenCounter` does not return a number.
 *
 * @example
 * ```ts
 * import { Agent, run, type Session } from '@openai/agents';
 * import { trimHistory } from 'strongroom';
 *
 * const sessionInputCallback = trimHistory({ maxTokens: 8_000 });
 *
 * export const ask = (agent: Agent, question: string, session: Session) =>
 *   run(agent, question, { session, sessionInputCallback });
 * ```
 */
export function trimHistory(options: TrimHistoryOptions): SessionInputCallback {
  const settings = parseTrimOptions('trimHistory()', options);
  return (history, newItems) => {
    const cut = cutWith(settings, history, newItems);
    const kept = history.filter((_, index) => cut.keeps(index));
    if (settings.onTrim !== undefined && (kept.length < history.length || cut.overflow)) {
      tell(settings.onTrim, reportOf(settings, history, cut));
    }
    return [...kept, ...newItems];
  };
}

/** Checked options; shared by all functions that need the cut of {@link trimHistory}. */
export interface TrimSettings extends PlanSettings {
  readonly throwOnOverflow: boolean;
  readonly onTrim?: ((report: TrimReport) => void) | undefined;
}

const KNOWN = [
  'maxTokens',
  'maxTurns',
  'maxItems',
  'fraction',
  'contextWindow',
  'keep',
  'reserveTokens',
  'tokenCounter',
  'pin',
  'onOverflow',
  'onTrim',
] as const;

type Pin = NonNullable<TrimHistoryOptions['pin']>;

/** A promise, or anything else that is not `true`, would pin nothing without an error. */
function checkedPin(where: string, pin: Pin): Pin {
  return (item, index) => {
    const isPinned: unknown = pin(item, index);
    if (typeof isPinned === 'boolean') return isPinned;
    dropPromise(isPinned);
    return invalidOption(where, 'pin', 'a function that returns true or false at once', isPinned);
  };
}

export function parseTrimOptions(where: string, options: TrimHistoryOptions): TrimSettings {
  checkOptions(where, options, KNOWN);
  const { maxTokens, maxTurns, maxItems, fraction, contextWindow, keep = 0.5, reserveTokens = 0 } = options;
  const { tokenCounter = estimateTokens, pin, onOverflow = 'split', onTrim } = options;
  if (maxTokens === undefined && maxTurns === undefined && maxItems === undefined && fraction === undefined) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: give at least one budget: maxTokens, maxTurns, maxItems or fraction.`,
    );
  }
  checkShare(where, 'keep', keep);
  if (typeof tokenCounter !== 'function') invalidOption(where, 'tokenCounter', 'a function', tokenCounter);
  if (pin !== undefined && typeof pin !== 'function') invalidOption(where, 'pin', 'a function', pin);
  if (onTrim !== undefined && typeof onTrim !== 'function')
    invalidOption(where, 'onTrim', 'a function', onTrim);
  if (onOverflow !== 'split' && onOverflow !== 'keep' && onOverflow !== 'throw') {
    invalidOption(where, 'onOverflow', "'split', 'keep' or 'throw'", onOverflow);
  }
  if (reserveTokens !== 0) parseCount(where, 'reserveTokens', reserveTokens);

  let tokens = maxTokens === undefined ? Infinity : parseCount(where, 'maxTokens', maxTokens);
  if (fraction !== undefined) {
    checkShare(where, 'fraction', fraction);
    if (contextWindow === undefined)
      invalidOption(where, 'contextWindow', 'given together with fraction', contextWindow);
    tokens = Math.min(tokens, Math.floor(fraction * parseCount(where, 'contextWindow', contextWindow)));
  } else if (contextWindow !== undefined) {
    invalidOption(where, 'contextWindow', 'given only together with fraction', contextWindow);
  }
  if (reserveTokens !== 0 && tokens === Infinity) {
    invalidOption(where, 'reserveTokens', 'given only together with a token budget', reserveTokens);
  }
  tokens -= reserveTokens;
  if (tokens < 1) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: reserveTokens (${reserveTokens}) leaves nothing of the token budget. Raise the budget, or lower reserveTokens.`,
    );
  }
  const high: HistorySize = {
    items: maxItems === undefined ? Infinity : parseCount(where, 'maxItems', maxItems),
    turns: maxTurns === undefined ? Infinity : parseCount(where, 'maxTurns', maxTurns),
    tokens,
  };
  return {
    high,
    low: { items: high.items * keep, turns: high.turns * keep, tokens: high.tokens * keep },
    counter: tokens === Infinity ? undefined : countOnce(tokenCounter),
    pin: pin && checkedPin(where, pin),
    onOverflow: onOverflow === 'keep' ? 'keep' : 'split',
    throwOnOverflow: onOverflow === 'throw',
    onTrim,
  };
}

function checkShare(where: string, option: string, value: unknown): void {
  if (typeof value !== 'number' || !(value > 0 && value <= 1)) {
    invalidOption(where, option, 'a number above 0 and up to 1', value);
  }
}

/** The cut of these settings, or `ERR_INVALID_OPTION` when `onOverflow` is `'throw'`. */
export function cutWith(
  settings: TrimSettings,
  history: readonly AgentInputItem[],
  newItems: readonly AgentInputItem[],
): Cut {
  const cut = findCut(history, newItems, settings);
  if (cut.overflow && settings.throwOnOverflow) refuseOverflow(settings);
  return cut;
}

/** The report of a cut. It names every dropped item, so it is made only on request. */
export function reportOf(settings: TrimSettings, history: readonly AgentInputItem[], cut: Cut): TrimReport {
  const dropped: DroppedItem[] = [];
  const before = { items: 0, turns: 0, tokens: 0 };
  const after = { items: 0, turns: 0, tokens: 0 };
  for (const [index, item] of history.entries()) {
    const size = cut.size(index);
    add(before, size);
    if (cut.keeps(index)) add(after, size);
    else dropped.push(droppedItem(item, index, size.tokens, reasonOf(cut, index)));
  }
  return {
    dropped,
    before,
    after,
    budget: settings.high,
    cutIndex: cut.index,
    moved: cut.moved,
    overflow: cut.overflow,
  };
}

function reasonOf(cut: Cut, index: number): DropReason {
  if (index < cut.base) return 'compaction';
  return cut.orphans.has(index) ? 'orphan' : 'budget';
}

function droppedItem(item: AgentInputItem, index: number, tokens: number, reason: DropReason): DroppedItem {
  const callId = 'callId' in item && typeof item.callId === 'string' ? { callId: item.callId } : {};
  return { index, type: item.type ?? 'message', ...callId, tokens, reason };
}

function refuseOverflow(settings: TrimSettings): never {
  const { high } = settings;
  const limits = [
    ...(high.tokens === Infinity ? [] : [`${high.tokens} tokens`]),
    ...(high.turns === Infinity ? [] : [`${high.turns} turns`]),
    ...(high.items === Infinity ? [] : [`${high.items} items`]),
  ];
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `trimHistory(): the last turn of the history alone is larger than the budget (${limits.join(', ')}). ` +
      "Raise the budget, or choose onOverflow 'split' or 'keep'.",
  );
}

function add(total: { items: number; turns: number; tokens: number }, size: HistorySize): void {
  total.items += size.items;
  total.turns += size.turns;
  total.tokens += size.tokens;
}

/** An error of the callback must not fail a run, and must not be ignored silently either. */
function tell(onTrim: (report: TrimReport) => void, report: TrimReport): void {
  const failed = (): void =>
    warn('STRONGROOM_ON_TRIM', 'trimHistory(): onTrim threw an error; the run continued. Correct onTrim.');
  try {
    const result: unknown = onTrim(report);
    if (result instanceof Promise) result.catch(failed);
  } catch {
    failed();
  }
}
