import type { AgentInputItem, SessionHistoryTransactionArgs } from '@openai/agents';
import type { SessionCall } from '../layer.ts';
import type { Inner } from './inner.ts';
import { recordKey } from '../protocol/envelope.ts';

/** How often a change of the end is repeated when another writer was faster. */
export const CLAIMS = 16;

/**
 * Sends a removal of `expected`. False when another writer changed the end first. After an error the end of the
 * history decides: unchanged means not applied; changed means applied with the answer lost, or another writer. Only
 * the inner session knows which, so the change is sent again under the same operation id.
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
    const now = await inner.getItems(expected.length, call.runContext);
    const unchanged =
      now.length === expected.length &&
      now.every((record, index) => recordKey(record) === recordKey(expected[index] as AgentInputItem));
    if (unchanged) throw error;
    try {
      await inner.transact(args, call.runContext);
      return true;
    } catch {
      return false;
    }
  }
}
