import type { AgentInputItem, Session } from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { StrongroomError } from '../errors.ts';
import { checkOptions, invalidOption } from '../options.ts';
import { createLinkMatcher } from '../protocol/links.ts';
import { hasTransactions } from './replace-oldest.ts';
import { createStructure } from './structure.ts';

/** Options of {@link repairHistory}. */
export interface RepairHistoryOptions {
  /**
   * Only report what would be removed.
   *
   * @defaultValue false
   */
  readonly dryRun?: boolean;
  /**
   * Keep calls that are not answered yet when no message and no compaction follows them: this is the history of a
   * run that waits for an approval, and also of a process that died while a tool ran.
   *
   * @defaultValue false
   */
  readonly keepPending?: boolean;
}

/**
 * Why a provider refuses an item:
 *
 * - `'call-without-result'`: `No tool output found for function call call_….`
 * - `'result-without-call'`: `No tool call found for function call output with call_id call_….`
 * - `'reasoning-without-follower'`: `Item 'rs_…' of type 'reasoning' was provided without its required following item.`
 * - `'owner-missing'`: a program issued the item, and the program or its output is missing.
 */
export type RepairReason =
  'call-without-result' | 'result-without-call' | 'reasoning-without-follower' | 'owner-missing';

/** One item that {@link repairHistory} removed. */
export interface RepairedItem {
  /** Its index in `getItems()`, from 0 on. */
  readonly index: number;
  readonly reason: RepairReason;
  readonly item: AgentInputItem;
}

/** The result of {@link repairHistory}. */
export interface RepairReport {
  /** The removed items, oldest first; with `dryRun`, those that would be removed. */
  readonly removed: readonly RepairedItem[];
  /** How many items are left; with `dryRun`, would be left. */
  readonly left: number;
}

/**
 * Removes items from a stored history that providers refuse: a call without its result after a crash, a result
 * without its call, reasoning without the item that followed it. Such a history fails in every later run.
 * `trimHistory()` and `dropOrphans()` repair the model's input; this function repairs the stored history.
 *
 * It changes the session in one transaction or not at all. Kept items keep their stamps, so no expiry is extended.
 * Call it between runs: a run that waits for an approval has a call without a result, see `keepPending`.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` when something is to be removed and the session has no
 * transactions; `ERR_CONFLICT` when the session changed meanwhile: call it again.
 *
 * @example
 * ```ts
 * import type { Session } from '@openai/agents';
 * import { repairHistory } from 'strongroom/history';
 *
 * export async function heal(session: Session): Promise<string[]> {
 *   const { removed } = await repairHistory(session);
 *   return removed.map(({ index, reason }) => `${index}: ${reason}`);
 * }
 * ```
 */
export async function repairHistory(
  session: Session,
  options: RepairHistoryOptions = {},
): Promise<RepairReport> {
  checkOptions(WHERE, options, ['dryRun', 'keepPending']);
  const { dryRun = false, keepPending = false } = options;
  for (const [name, value] of Object.entries({ dryRun, keepPending })) {
    if (typeof value !== 'boolean') invalidOption(WHERE, name, 'true or false', value);
  }
  const items = await session.getItems();
  const removed = refused(items, keepPending);
  const report = { removed, left: items.length - removed.length };
  const first = removed[0];
  if (dryRun || first === undefined) return report;
  if (!hasTransactions(session)) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `${WHERE}: this session has no transactions, so its history cannot be changed without the risk of losing it. Use a session that has applyHistoryTransaction (one of our stores, or MemorySession), or heal what the model sees with dropOrphans().`,
    );
  }
  const gone = new Set(removed.map(({ index }) => index));
  await session.applyHistoryTransaction({
    operationId: `strongroom-repair-${randomName()}`,
    transaction: {
      type: 'replace_suffix',
      expectedSuffix: items.slice(first.index),
      replacement: items.filter((_item, index) => index > first.index && !gone.has(index)),
    },
  });
  return report;
}

const WHERE = 'repairHistory()';

function refused(items: readonly AgentInputItem[], keepPending: boolean): RepairedItem[] {
  const structure = createStructure();
  for (const item of items) structure.add(item);
  const reasonOf = reasonsIn(items);
  const pending = keepPending ? startOfPending(items) : items.length;
  return [...structure.orphans(items.length)]
    .toSorted((left, right) => left - right)
    .map((index) => ({ index, reason: reasonOf(index), item: items[index] as AgentInputItem }))
    .filter(({ index, reason }) => index < pending || reason === 'result-without-call');
}

/** The index after the last message or compaction: a call before it is not pending. */
function startOfPending(items: readonly AgentInputItem[]): number {
  return items.findLastIndex((item) => 'role' in item || item.type === 'compaction') + 1;
}

/** Returns the reason why a provider refuses an item. */
function reasonsIn(items: readonly AgentInputItem[]): (index: number) => RepairReason {
  const matcher = createLinkMatcher();
  const withoutCall = new Set<number>();
  for (const [index, item] of items.entries()) {
    if (matcher.add(item, index).closes === -1) withoutCall.add(index);
  }
  const open = new Set(matcher.open());
  return (index) => {
    if (items[index]?.type === 'reasoning') return 'reasoning-without-follower';
    if (withoutCall.has(index)) return 'result-without-call';
    return open.has(index) ? 'call-without-result' : 'owner-missing';
  };
}
