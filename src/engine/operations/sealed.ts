import type { SessionHistoryTransactionArgs } from '@openai/agents';
import { conflictError, SENTENCES, transactionDigest } from '../../protocol/transaction.ts';
import type { ActiveCall } from '../active-call.ts';
import { send, type Parts } from '../parts.ts';
import { storedOf, type Opened, type Written } from '../records.ts';
import { wasApplied } from './applied.ts';
import { isHeld, planAppend, planSuffix, type Plan } from './plan.ts';
import { rewritten } from './rewritten.ts';

/** The written records, or `undefined` when the operation had been applied before. */
export async function transactSealed(
  parts: Parts,
  { operationId, transaction }: SessionHistoryTransactionArgs,
  call: ActiveCall,
): Promise<{ readonly entries: readonly Written[]; readonly removed: readonly Opened[] } | undefined> {
  const { inner, stack, pipeline, histories } = parts;
  const digest = transactionDigest(transaction);
  const { operations } = histories.of(call);
  const known = operations.get(operationId);
  if (known !== undefined) {
    if (known.digest === digest && known.sealed !== undefined) {
      await inner.transact(known.sealed, call.runContext);
      operations.acknowledge(operationId);
      return undefined;
    }
    if (known.digest !== digest && known.acknowledged) throw conflictError(SENTENCES.reused);
  }
  if (stack.enveloped && (await wasApplied(parts, operationId, transaction, call))) return undefined;

  const plan: Plan | undefined =
    transaction.type === 'append_items'
      ? planAppend(parts, operationId, transaction.items, call)
      : await planUnapplied(parts, operationId, transaction, call);
  if (plan === undefined) {
    if (stack.enveloped) throw conflictError(SENTENCES.suffix);
    // Another process may have applied it; the inner session knows, if it got the same items.
    await inner.transact(await rewritten(pipeline, { operationId, transaction }, call), call.runContext);
    return undefined;
  }
  const entries = await send(
    stack,
    call,
    async () => pipeline.write(plan.fresh, plan.call),
    async (written) => {
      const forms = plan.sealed(written.map(storedOf));
      for (const [index, sealed] of forms.entries()) {
        operations.sent(operationId, digest, sealed);
        try {
          await inner.transact(sealed, call.runContext);
          break;
        } catch (error) {
          if (!isHeld(error) || index === forms.length - 1) throw error;
        }
      }
      operations.acknowledge(operationId);
    },
  );
  return { entries, removed: plan.removed };
}

/** Without envelopes only the inner session knows operations of other processes. */
async function planUnapplied(...args: Parameters<typeof planSuffix>): Promise<Plan | undefined> {
  const [{ inner, stack }, operationId] = args;
  if (!stack.enveloped && (await inner.applied(operationId)) === true) return undefined;
  return planSuffix(...args);
}
