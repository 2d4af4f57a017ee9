import type { SessionHistoryTransactionArgs } from '@openai/agents';
import { snapshotItems } from '../protocol/snapshot-items.ts';
import {
  assertProtocolItems,
  copyTransaction,
  readTransactionEnvelope,
  snapshotTransaction,
  type TransactionEnvelope,
} from '../protocol/transaction.ts';
import { itemsOf, removes, writtenItems } from './operations/items.ts';
import { rewritten } from './operations/rewritten.ts';
import { transactSealed } from './operations/sealed.ts';
import { copiedNow, known, readNow, type Context, type Parts } from './parts.ts';

/** `applyHistoryTransaction`: atomic and idempotent in the inner session, compared in plaintext here. */
export function createOperations(parts: Parts): {
  applyHistoryTransaction(args: SessionHistoryTransactionArgs, runContext: Context): Promise<void>;
} {
  const { inner, stack, pipeline, histories, calls, maxItemBytes } = parts;

  async function applyHistoryTransaction(
    args: SessionHistoryTransactionArgs,
    runContext: Context,
  ): Promise<void> {
    if (!stack.transforms) {
      // Only the outer form is checked here. The content is copied now, because the call may have to wait.
      const checked = readNow(() => {
        const { operationId, transaction } = readTransactionEnvelope(args) as TransactionEnvelope &
          typeof args;
        return { operationId, transaction: copiedNow(transaction, copyTransaction) };
      });
      const details = { runContext, checked, ...known(() => ({ operationId: checked().operationId })) };
      return calls.mutate('applyHistoryTransaction', details, async (call) => {
        const given = checked();
        if (removes(given)) await calls.removing(call);
        await inner.transact(given, runContext);
      });
    }
    const checked = readNow(() => snapshotTransaction(args, (items) => snapshotItems(items, maxItemBytes)));
    const details = { runContext, checked, ...known(() => namesOf(checked())) };
    return calls.mutate('applyHistoryTransaction', details, async (call, appended, removed) => {
      const snapshot = checked();
      const { transaction } = snapshot;
      if (transaction.type === 'replace_suffix') await calls.assertWritable(call);
      // When visible items differ from stored ones, a suffix is compared here, as under an envelope.
      const compares = stack.enveloped || (stack.views && transaction.type === 'replace_suffix');
      // An inner session that gets envelopes cannot refuse invalid items.
      if (compares || stack.opaque) await assertProtocolItems(itemsOf(transaction));
      if (!compares) {
        if (removes(snapshot)) await calls.removing(call);
        await inner.transact(await rewritten(pipeline, snapshot, call), runContext);
      } else {
        const written = await transactSealed(parts, snapshot, call);
        if (written !== undefined) {
          histories.of(call).memory.wrote(written.entries);
          if (transaction.type === 'append_items') appended(written.entries);
          else removed(written.removed);
        }
      }
      call.result.items = writtenItems(transaction).length;
    });
  }

  return { applyHistoryTransaction };
}

/** The details of a transaction for layers. */
function namesOf({ operationId, transaction }: SessionHistoryTransactionArgs): {
  readonly operationId: string;
  readonly itemCount: number;
} {
  return { operationId, itemCount: writtenItems(transaction).length };
}
