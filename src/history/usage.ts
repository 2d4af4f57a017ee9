import type { Session } from '@openai/agents';
import { checkOptions, invalidOption } from '../options.ts';
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
  /** Where the ledger is, when the conversation is in no store of strongroom: a store of strongroom, wrapped or not. */
  readonly store?: UsageStore;
}

/**
 * What tokens cost, in a unit of yours.
 *
 * @param model The name of the model; `''` where it is not known.
 */
export type PriceOf = (usage: TokenUsage, model: string) => number;

/** Options of {@link sessionUsage}, {@link usageByTurn} and {@link subjectUsage}. */
export interface UsageReportOptions extends UsageOptions {
  /** Adds `cost` to each sum. */
  readonly price?: PriceOf;
}

/** A sum of tokens. */
export interface UsageSum extends TokenUsage {
  /** By the function `price`. */
  readonly cost?: number;
}

/** What the runs of a conversation used. */
export interface SessionUsage extends UsageSum {
  /** Calls of {@link recordUsage}. */
  readonly runs: number;
  /** By the name of the model; `''` where it is not known. */
  readonly models: Readonly<Record<string, UsageSum>>;
  /** By the name of the agent, as the run says it; `''` where it does not, as for agents that ran as tools. */
  readonly agents: Readonly<Record<string, UsageSum>>;
  /** By the name of the branch; `''` is the conversation itself. */
  readonly branches: Readonly<Record<string, UsageSum>>;
}

/** What the runs of one turn used. */
export interface TurnUsage extends UsageSum {
  /** As of `turns(session)`; absent for turns that are gone: undone, archived or expired. */
  readonly turn?: number;
  readonly runs: number;
}

/** By the state of a run and the ledger: how much of it was recorded. */
const counted = new WeakMap<object, Map<string, Counted>>();

/**
 * Adds what a run used to the ledger of its conversation: a session of the same store and layers that belongs to it
 * (`~usage~~<id>`), so it is sealed, expires and is erased with it. Nothing is written into the conversation. Call it after each
 * run. Of a run that is resumed in this process, only what is new is counted.
 *
 * @param session The conversation, or a branch of it: the session that the run had.
 * @param result What `run()` gave; a streamed one after `completed`.
 * @throws StrongroomError `ERR_INVALID_OPTION` when the result has no usage, or the session is a ledger; `ERR_UNSUPPORTED` for a
 * session of no store of strongroom without the option `store`; what the store throws.
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
  const history = await historyOf(session, result.runContext);
  const ledger = await openLedger(where, history, options.store);
  const before = counted.get(state)?.get(ledger.id);
  const turn = await currentTurn(where, history);
  const responses = result.rawResponses ?? [];
  await ledger.append((last) => {
    const cells = measureRun(result, ledger.branch, before ?? countedBy(last?.response, responses));
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
  counted.set(state, ofState.set(ledger.id, { responses: responses.length, total: tokensOf(state.usage) }));
}

/** A run that was resumed from its serialized state has the responses that were recorded before. */
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
 * What all runs of a conversation and its branches used. Reads one record: each record of a ledger has the sums of all before it.
 *
 * @throws StrongroomError As {@link recordUsage}.
 */
export async function sessionUsage(
  session: Session,
  options: UsageReportOptions = {},
): Promise<SessionUsage> {
  const where = 'sessionUsage()';
  checkReport(where, options);
  return reportOf([await openLedger(where, session, options.store)], options.price);
}

/**
 * What the runs of each turn used, in the order of the turns; of turns that the session does not show any more, one sum at
 * the end. Reads the session and its ledger.
 *
 * @throws StrongroomError As {@link recordUsage}.
 */
export async function usageByTurn(session: Session, options: UsageReportOptions = {}): Promise<TurnUsage[]> {
  const where = 'usageByTurn()';
  checkReport(where, options);
  const ledger = await openLedger(where, session, options.store);
  const [records, turns] = [await ledger.all(), await turnsOf(where, session, {})];
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

/** What {@link subjectUsage} needs of a store; every store of ours has it, wrapped or not. */
export interface SubjectStore extends UsageStore {
  session(id: string, options?: { readonly derived?: boolean }): Session;
  sessions(options: { readonly subject: string; readonly derived: true }): AsyncIterable<{
    readonly kind?: string;
    readonly root?: string;
  }>;
}

/**
 * What all conversations of a person used: reads one record of each.
 *
 * @param subject As given to `session(id, { subject })`.
 * @throws StrongroomError `ERR_INVALID_OPTION`; what the store throws.
 */
export async function subjectUsage(
  store: SubjectStore,
  subject: string,
  options: Pick<UsageReportOptions, 'price'> = {},
): Promise<SessionUsage> {
  const where = 'subjectUsage()';
  checkReport(where, options);
  if (typeof store?.sessions !== 'function') invalidOption(where, 'store', 'a store of strongroom', store);
  const ledgers: Ledger[] = [];
  for await (const { kind, root } of store.sessions({ subject, derived: true })) {
    if (kind === 'usage' && root !== undefined)
      ledgers.push(await openLedger(where, store.session(root), store));
  }
  return reportOf(ledgers, options.price);
}

function checkReport(where: string, options: UsageReportOptions): void {
  checkOptions(where, options, ['store', 'price']);
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
  const costs = [...groupCells(cells, 'model')].map(([model, group]) =>
    price(sumOf(group, undefined), model),
  );
  return { ...sum, cost: costs.reduce((total, cost) => total + cost, 0) };
}
