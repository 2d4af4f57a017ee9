import type { Session } from '@openai/agents';
import type { CallOrigin } from '../layer.ts';
import { atOnce, checkOptions, invalidOption } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { historyOf } from '../session-contract.ts';
import { isUserMessage } from './structure.ts';
import { pageOf } from './page.ts';
import { turnsOf } from './turns.ts';
import { openLedger, type Ledger, type UsageStore } from './usage/ledger.ts';
import { measureRun, type Counted, type RunWithUsage } from './usage/measure.ts';
import {
  addCells,
  addTokens,
  groupCells,
  NO_TOKENS,
  tokensOf,
  type TokenUsage,
  type UsageCell,
} from './usage/tokens.ts';

export type { UsageStore } from './usage/ledger.ts';
export type { RunWithUsage } from './usage/measure.ts';
export type { TokenUsage } from './usage/tokens.ts';

/** Options of {@link recordUsage}. */
export interface UsageOptions {
  /**
   * The store of the ledger, when the conversation is not in a store of strongroom: a store of strongroom, wrapped
   * or not.
   */
  readonly store?: UsageStore;
}

/**
 * The cost of tokens, in any unit.
 *
 * @param model The name of the model; `''` when it is unknown.
 */
export type PriceOf = (usage: TokenUsage, model: string) => number;

/** Options of {@link sessionUsage}, {@link usageByTurn} and {@link subjectUsage}. */
export interface UsageReportOptions extends UsageOptions, CallOrigin {
  /** Adds `cost` to each sum. */
  readonly price?: PriceOf;
}

/** A sum of tokens. */
export interface UsageSum extends TokenUsage {
  /** By the function `price`. */
  readonly cost?: number;
}

/** The usage of the runs of a conversation. */
export interface SessionUsage extends UsageSum {
  /** Calls of {@link recordUsage}. */
  readonly runs: number;
  /** By the name of the model; `''` where it is not known. */
  readonly models: Readonly<Record<string, UsageSum>>;
  /** By the name of the agent in the run; `''` where the run has none, as for agents that ran as tools. */
  readonly agents: Readonly<Record<string, UsageSum>>;
  /** By the name of the branch; `''` is the conversation itself. */
  readonly branches: Readonly<Record<string, UsageSum>>;
}

/** The usage of the runs of one turn. */
export interface TurnUsage extends UsageSum {
  /** The number in `turns(session)`; absent for turns that are no longer visible: undone, archived or expired. */
  readonly turn?: number;
  readonly runs: number;
}

/** By run state and ledger: how much of the run was recorded. */
const counted = new WeakMap<object, Map<string, Counted>>();
/** By run state: what the run used itself. */
const own = new WeakMap<object, TokenUsage>();
/** By the usage of a run context, which all its runs add to: what the runs used of which `own` knows. */
const known = new WeakMap<object, TokenUsage>();

/**
 * Adds the usage of a run to the ledger of its conversation: a derived session in the same store and layers
 * (`~usage~~<id>`), so it is sealed, expires and is erased with the conversation. Nothing is written into the
 * conversation. Call it after each run. For a run that is resumed in this process, only new usage is counted. Runs to which the
 * application gives one `RunContext` are told apart by when they are recorded: record each before the next one begins.
 *
 * @param session The conversation, or a branch of it: the session that the run had.
 * @param result The result of `run()`; a streamed one after `completed`.
 * @throws StrongroomError `ERR_INVALID_OPTION` when the result has no usage, or the session is a ledger;
 * `ERR_UNSUPPORTED` for a session that is not from a store of strongroom, without the option `store`; the errors of
 * the store.
 *
 * @example
 * ```ts
 * import { Agent, run, type Session } from '@openai/agents';
 * import { recordUsage, sessionUsage, type SessionUsage } from 'strongroom/history';
 *
 * export async function ask(agent: Agent, session: Session): Promise<SessionUsage> {
 *   await recordUsage(session, await run(agent, 'Hello', { session }));
 *   return sessionUsage(session);
 * }
 * ```
 */
export async function recordUsage(
  session: Session,
  result: RunWithUsage,
  options: UsageOptions = {},
): Promise<void> {
  const where = 'recordUsage()';
  checkOptions(where, options, ['store']);
  const state = (result as Partial<RunWithUsage> | undefined)?.state;
  if (
    typeof state?.usage !== 'object' ||
    state.usage === null ||
    typeof state.usage.inputTokens !== 'number'
  ) {
    return invalidOption(where, 'result', 'a run result with usage', result);
  }
  // The run is on the branch on which it began, also when somebody has switched since.
  const total = usedBy(state);
  const history = await historyOf(session, result.runContext);
  const ledger = await openLedger(where, history, options.store);
  const before = counted.get(state)?.get(ledger.id);
  const turn = await currentTurn(where, history);
  const responses = result.rawResponses ?? [];
  await ledger.append((last) => {
    const cells = measureRun(result, total, ledger.branch, before ?? countedBy(last?.response, responses));
    if (cells.length === 0) return undefined;
    return {
      cells,
      turn,
      branch: ledger.branch,
      response: responses.at(-1)?.responseId,
      runs: (last?.runs ?? 0) + 1,
      sums: addCells(last?.sums ?? [], cells),
    };
  });
  const ofState = counted.get(state) ?? new Map<string, Counted>();
  counted.set(state, ofState.set(ledger.id, { responses: responses.length, total }));
}

/** What the run used itself: the usage of its run context, without that of other runs. */
function usedBy(state: RunWithUsage['state']): TokenUsage {
  const now = tokensOf(state.usage);
  const others = addTokens(known.get(state.usage) ?? NO_TOKENS, own.get(state) ?? NO_TOKENS, -1);
  const mine = addTokens(now, others, -1);
  known.set(state.usage, now);
  own.set(state, mine);
  return mine;
}

/** A run that was resumed from its serialized state contains responses that were recorded before. */
function countedBy(
  response: string | undefined,
  responses: NonNullable<RunWithUsage['rawResponses']>,
): Counted | undefined {
  if (response === undefined) return undefined;
  const at = responses.findLastIndex(({ responseId }) => responseId === response);
  if (at < 0) return undefined;
  const total = responses
    .slice(0, at + 1)
    .reduce<TokenUsage>((sum, { usage }) => addTokens(sum, tokensOf(usage)), NO_TOKENS);
  return { responses: at + 1, total };
}

/** The key of the newest user message. Reads back no further than to it. */
async function currentTurn(where: string, session: Session): Promise<string | undefined> {
  let before: string | undefined;
  for (let limit = 8; ; limit *= 4) {
    const found = await pageOf(where, session, { before, limit });
    const first = found.items.findLast(({ item }) => isUserMessage(item));
    if (first !== undefined) return first.key();
    if (found.before === undefined) return undefined;
    before = found.before;
  }
}

/**
 * The usage of all runs of a conversation and its branches. Reads one record: each record of a ledger has the sums
 * of all earlier ones.
 *
 * @throws StrongroomError As {@link recordUsage}.
 */
export async function sessionUsage(
  session: Session,
  options: UsageReportOptions = {},
): Promise<SessionUsage> {
  const where = 'sessionUsage()';
  checkReport(where, options);
  return reportOf([await openLedger(where, session, options.store, originOf(options))], options.price);
}

/**
 * The usage of the runs of each turn, in the order of the turns; for turns that are no longer visible, one sum at
 * the end. Reads the session and its ledger.
 *
 * @throws StrongroomError As {@link recordUsage}.
 */
export async function usageByTurn(session: Session, options: UsageReportOptions = {}): Promise<TurnUsage[]> {
  const where = 'usageByTurn()';
  checkReport(where, options);
  const origin = originOf(options);
  const ledger = await openLedger(where, session, options.store, origin);
  const [records, turns] = [await ledger.all(), await turnsOf(where, session, origin)];
  const numbers = new Map(turns.map(({ number, first }) => [first.key(), number]));
  const found = new Map<number | undefined, { runs: number; cells: UsageCell[] }>();
  for (const { number } of turns) found.set(number, { runs: 0, cells: [] });
  for (const { turn, branch, cells } of records) {
    if (branch !== ledger.branch) continue;
    const number = turn === undefined ? undefined : numbers.get(turn);
    const { runs, cells: before } = found.get(number) ?? { runs: 0, cells: [] };
    found.set(number, { runs: runs + 1, cells: addCells(before, cells) });
  }
  return [...found]
    .filter(([, { runs }]) => runs > 0)
    .map(([turn, { runs, cells }]) => ({
      ...(turn !== undefined && { turn }),
      runs,
      ...sumOf(cells, options.price),
    }));
}

/** The part of a store that {@link subjectUsage} needs; every store of ours has it, wrapped or not. */
export interface SubjectStore extends UsageStore {
  session(id: string, options?: { readonly derived?: boolean }): Session;
  sessions(options: { readonly subject: string; readonly derived: true } & CallOrigin): AsyncIterable<{
    readonly kind?: string;
    readonly root?: string;
  }>;
}

/**
 * The usage of all conversations of a subject: reads one record of each.
 *
 * @param subject As given to `session(id, { subject })`.
 * @throws StrongroomError `ERR_INVALID_OPTION`; the errors of the store.
 */
export async function subjectUsage(
  store: SubjectStore,
  subject: string,
  options: Omit<UsageReportOptions, 'store'> = {},
): Promise<SessionUsage> {
  const where = 'subjectUsage()';
  checkReport(where, options);
  if (typeof store?.sessions !== 'function') invalidOption(where, 'store', 'a store of strongroom', store);
  const ledgers: Ledger[] = [];
  const origin = originOf(options);
  for await (const { kind, root } of store.sessions({ subject, derived: true, ...origin })) {
    if (kind === 'usage' && root !== undefined)
      ledgers.push(await openLedger(where, store.session(root), store, origin));
  }
  return reportOf(ledgers, options.price);
}

function checkReport(where: string, options: UsageReportOptions): void {
  checkCall(where, options, ['store', 'price']);
  if (options.price !== undefined && typeof options.price !== 'function') {
    invalidOption(where, 'price', 'a function', options.price);
  }
}

async function reportOf(ledgers: readonly Ledger[], price: PriceOf | undefined): Promise<SessionUsage> {
  let runs = 0;
  let cells: UsageCell[] = [];
  for (const ledger of ledgers) {
    const last = await ledger.last();
    runs += last?.runs ?? 0;
    cells = addCells(cells, last?.sums ?? []);
  }
  const by = (name: 'model' | 'agent' | 'branch'): Record<string, UsageSum> =>
    Object.fromEntries([...groupCells(cells, name)].map(([key, group]) => [key, sumOf(group, price)]));
  return {
    runs,
    ...sumOf(cells, price),
    models: by('model'),
    agents: by('agent'),
    branches: by('branch'),
  };
}

function sumOf(cells: readonly UsageCell[], price: PriceOf | undefined): UsageSum {
  const sum = cells.reduce<TokenUsage>((total, cell) => addTokens(total, cell), NO_TOKENS);
  if (price === undefined) return sum;
  const costs = [...groupCells(cells, 'model')].map(([model, group]) => {
    const cost: unknown = price(sumOf(group, undefined), model);
    // A promise or a text would be joined to the sum as a text.
    if (typeof cost === 'number') return cost;
    return invalidOption(
      'usage',
      'price',
      'a function that returns a number',
      atOnce('usage', 'price', cost),
    );
  });
  return { ...sum, cost: costs.reduce((total, cost) => total + cost, 0) };
}
