import type { AgentInputItem, SessionHistoryTransactionArgs } from '@openai/agents';
import { isStrongroomError } from '../../errors.ts';
import type { Entry, SessionCall } from '../../layer.ts';
import type { ActiveCall } from '../active-call.ts';
import type { Parts } from '../parts.ts';
import type { Opened } from '../records.ts';
import { planReplacement } from '../replacement.ts';
import type { Transaction } from './items.ts';

/** How a transaction is sent. */
export interface Plan {
  readonly fresh: readonly Entry[];
  readonly call: SessionCall;
  /** The records that it removes for sure, but for hidden ones among those that stay. */
  readonly removed: readonly Opened[];
  /** Each is tried when a legal hold forbids the previous one. */
  sealed(stored: AgentInputItem[]): SessionHistoryTransactionArgs[];
}

/** How an append is sent. */
export function planAppend(
  { comparison }: Parts,
  operationId: string,
  items: readonly AgentInputItem[],
  call: SessionCall,
): Plan {
  return {
    fresh: comparison.entriesOf(items),
    call,
    removed: [],
    sealed: (stored) => [{ operationId, transaction: { type: 'append_items', items: stored } }],
  };
}

/**
 * Compares in plaintext, and prepares a replacement that passes the inner session its own raw records. `undefined`
 * when the history ends otherwise than the caller expects.
 */
export async function planSuffix(
  { pipeline, comparison, calls }: Parts,
  operationId: string,
  { expectedSuffix, replacement }: Extract<Transaction, { type: 'replace_suffix' }>,
  call: ActiveCall,
): Promise<Plan | undefined> {
  const opened =
    expectedSuffix.length === 0 ? [] : await pipeline.read(expectedSuffix.length, calls.quiet(call), true);
  const visible = opened.filter((record) => record.visible !== undefined).slice(-expectedSuffix.length);
  const equal =
    visible.length === expectedSuffix.length &&
    visible.every((record, index) => comparison.names(expectedSuffix[index] as AgentInputItem, record));
  if (!equal) return undefined;
  const first = visible[0] === undefined ? opened.length : opened.indexOf(visible[0]);
  const going = opened.slice(first);
  const plan = await planReplacement(comparison, replacement, visible);
  const expected = going.map((record) => record.stored);
  const replacing = (records: AgentInputItem[]): SessionHistoryTransactionArgs => ({
    operationId,
    transaction: { type: 'replace_suffix', expectedSuffix: expected, replacement: records },
  });
  const keepsVisible = plan.kept === visible.length;
  // A replacement also removes hidden records. Where they must stay, all records stay and the new ones follow.
  const onlyHiddenGo = keepsVisible && going.length > visible.length;
  const mayGo = async (): Promise<void> => {
    await calls.assertRemovable(going, call);
    await calls.removing(call);
  };
  if (!keepsVisible) await mayGo();
  const hiddenStay = onlyHiddenGo && (await isRefused(mayGo));
  const change = visible[plan.kept];
  const removed = change === undefined ? [] : opened.slice(opened.indexOf(change));
  return {
    fresh: plan.fresh,
    removed,
    call: { ...call, replaces: bottomsOf(going), removes: bottomsOf(removed) },
    sealed: (stored) => [
      ...(hiddenStay ? [] : [replacing(plan.records(stored))]),
      ...(onlyHiddenGo ? [replacing([...expected, ...stored])] : []),
    ],
  };
}

function bottomsOf(records: readonly Opened[]): Entry[] {
  return records.flatMap(({ bottom }) => bottom ?? []);
}

/** By a legal hold, or because the clock is too far ahead. */
async function isRefused(ask: () => Promise<void>): Promise<boolean> {
  try {
    await ask();
    return false;
  } catch (error) {
    if (isHeld(error) || (isStrongroomError(error) && error.code === 'ERR_CLOCK')) return true;
    throw error;
  }
}

export function isHeld(error: unknown): boolean {
  return isStrongroomError(error) && error.code === 'ERR_HELD';
}
