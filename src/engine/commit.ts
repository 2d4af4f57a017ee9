import type { AgentInputItem, SessionHistoryTransactionArgs } from '@openai/agents';
import { isStrongroomError } from '../errors.ts';
import type { SessionCall } from '../layer.ts';
import { recordKey } from '../protocol/envelope.ts';
import { isConflict } from '../protocol/transaction.ts';
import type { Inner } from './inner.ts';

/** How often a change of the end is repeated when another writer was faster. */
export const CLAIMS = 16;

/**
 * Sends a removal of `expected`. False when another writer changed the end first, so that nothing was removed.
 *
 * @throws The error of the inner session when the removal was not applied, or nobody can tell: another removal could
 * take a second item.
 */
export async function commit(
  inner: Inner,
  args: SessionHistoryTransactionArgs,
  expected: readonly AgentInputItem[],
  call: SessionCall,
): Promise<boolean> {
  try {
    await inner.transact(args, call.runContext);
    return true;
  } catch (error) {
    if (isConflict(error)) return false;
    // An error that says so is believed: a repeat could be applied, and the error would no longer be true.
    const isWritten = isStrongroomError(error) && error.written === 'no' ? undefined : await wasApplied();
    if (isWritten === undefined) throw error;
    return isWritten;
  }

  /** After an error; `undefined` when it was not applied, or this cannot be known. */
  async function wasApplied(): Promise<boolean | undefined> {
    try {
      if ((await inner.applied(args.operationId)) === true) return true;
      const now = await inner.getItems(expected.length, call.runContext);
      if (itemsEqual(now, expected)) return undefined;
      // Applied, or another writer changed the end: the inner session knows which, by the operation id.
      await inner.transact(args, call.runContext);
      return true;
    } catch (error) {
      return isConflict(error) ? false : undefined;
    }
  }
}

function itemsEqual(items: readonly AgentInputItem[], expected: readonly AgentInputItem[]): boolean {
  return (
    items.length === expected.length &&
    items.every((record, index) => recordKey(record) === recordKey(expected[index] as AgentInputItem))
  );
}
