import type { AgentInputItem, SessionHistoryTransactionArgs } from '@openai/agents';
import { isStrongroomError } from '../errors.ts';
import type { Entry, SessionCall } from '../layer.ts';
import type { ActiveCall } from './calls.ts';
import { copiedNow, known, readNow, send, type Context, type Parts } from './parts.ts';
import { storedOf, type Opened, type Written } from './pipeline.ts';
import { planReplacement } from './replacement.ts';
import {
  assertProtocolItems,
  conflictError,
  copyTransaction,
  readTransactionEnvelope,
  SENTENCES,
  snapshotTransaction,
  transactionDigest,
  type TransactionEnvelope,
} from '../protocol/transaction.ts';
import { snapshotItems } from '../protocol/snapshot-items.ts';

/** How far back the records of an operation are looked for. */
const OPERATION_WINDOW = 256;

/** `applyHistoryTransaction`: atomic and idempotent in the inner session, compared in plaintext here. */
export function createOperations(parts: Parts): {
  applyHistoryTransaction(args: SessionHistoryTransactionArgs, runContext: Context): Promise<void>;
} {
  const { inner, stack, pipeline, histories, calls, comparison, maxItemBytes } = parts;

  async function applyHistoryTransaction(
    args: SessionHistoryTransactionArgs,
    runContext: Context,
  ): Promise<void> {
    if (!stack.transforms) {
      // Only the envelope is ours to check. What is in it is copied now, because the call may have to wait.
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
      // Where what is seen is not what is stored, a suffix is compared here, as under an envelope.
      const compares = stack.enveloped || (stack.views && transaction.type === 'replace_suffix');
      if (!compares) {
        if (removes(snapshot)) await calls.removing(call);
        await inner.transact(await rewritten(snapshot, call), runContext);
      } else {
        await assertProtocolItems(itemsOf(transaction));
        const written = await transactSealed(snapshot, call);
        if (written !== undefined) {
          histories.of(call).memory.wrote(written.entries);
          if (transaction.type === 'append_items') appended(written.entries);
          else removed(written.going);
        }
      }
      call.result.items = writtenItems(transaction).length;
    });
  }

  /** Without envelopes the inner session compares itself: everything goes through `write`, which is deterministic. */
  async function rewritten(
    { operationId, transaction }: SessionHistoryTransactionArgs,
    call: SessionCall,
  ): Promise<SessionHistoryTransactionArgs> {
    const write = async (items: readonly AgentInputItem[]): Promise<AgentInputItem[]> =>
      (
        await pipeline.write(
          items.map((item) => ({ item, header: {} })),
          call,
        )
      ).map(storedOf);
    return {
      operationId,
      transaction:
        transaction.type === 'append_items'
          ? { type: 'append_items', items: await write(transaction.items) }
          : {
              type: 'replace_suffix',
              expectedSuffix: await write(transaction.expectedSuffix),
              replacement: await write(transaction.replacement),
            },
    };
  }

  /** What was written, or `undefined` when the operation turned out to have been applied before. */
  async function transactSealed(
    { operationId, transaction }: SessionHistoryTransactionArgs,
    call: ActiveCall,
  ): Promise<{ readonly entries: readonly Written[]; readonly going: readonly Opened[] } | undefined> {
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
    if (stack.enveloped && (await wasApplied(operationId, transaction, call))) return undefined;

    const plan: Plan | undefined =
      transaction.type === 'append_items'
        ? {
            fresh: comparison.entriesOf(transaction.items),
            call,
            going: [],
            sealed: (stored: AgentInputItem[]) => [appendArgs(operationId, stored)],
          }
        : await planUnapplied(operationId, transaction, call);
    if (plan === undefined) {
      if (stack.enveloped) throw conflictError(SENTENCES.suffix);
      // Another process may have applied it; the inner session knows, if it got the same items.
      await inner.transact(await rewritten({ operationId, transaction }, call), call.runContext);
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
    return { entries, going: plan.going };
  }

  /** Without envelopes only the inner session knows operations of other processes. */
  async function planUnapplied(...args: Parameters<typeof planSuffix>): Promise<Plan | undefined> {
    const [operationId] = args;
    if (!stack.enveloped && (await inner.applied(operationId)) === true) return undefined;
    return planSuffix(...args);
  }

  /**
   * Compares in plaintext, and prepares a replacement that hands the inner session its own raw records. `undefined`
   * when the history ends otherwise than the caller expects.
   */
  async function planSuffix(
    operationId: string,
    {
      expectedSuffix,
      replacement,
    }: Extract<SessionHistoryTransactionArgs['transaction'], { type: 'replace_suffix' }>,
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
    // What nobody sees stays where it may not go, but everything that is seen does.
    const isAppend = plan.kept === visible.length;
    const isWhole = isAppend && going.length > visible.length;
    const mayGo = async (): Promise<void> => {
      await calls.assertRemovable(going, call);
      await calls.removing(call);
    };
    if (!isAppend) await mayGo();
    const stays = isWhole && (await isRefused(mayGo));
    return {
      fresh: plan.fresh,
      going,
      call: { ...call, replaces: going.flatMap((record) => record.bottom ?? []) },
      sealed: (stored) => [
        ...(stays ? [] : [replacing(plan.records(stored))]),
        ...(isWhole ? [replacing([...expected, ...stored])] : []),
      ],
    };
  }

  /**
   * Whether another process, or this one before it forgot, applied the operation: its records carry its tag.
   *
   * @throws {@link StrongroomError} `ERR_CONFLICT` when what carries the tag is something else.
   */
  async function wasApplied(
    operationId: string,
    transaction: SessionHistoryTransactionArgs['transaction'],
    call: SessionCall,
  ): Promise<boolean> {
    const result = writtenItems(transaction);
    const records = await inner.getItems(OPERATION_WINDOW, call.runContext);
    const anchor =
      result.length > 0 ? await findTagged(records, operationId, result.length, call) : undefined;
    if (anchor === undefined) return (await inner.applied(operationId)) === true;
    const opened = await pipeline.open(records, calls.quiet(call));
    const present = opened.filter((record) => record.bottom !== undefined);
    const at = present.indexOf(opened[anchor.record] as Opened);
    const isWhole = (kept: number): boolean => {
      const start = at - kept - anchor.index;
      return (
        start >= 0 &&
        result.every((item, index) => {
          const record = present[start + index];
          return record !== undefined && comparison.names(item, record);
        })
      );
    };
    // What a replacement left as it was kept its old records, with other tags or none; how many, nobody knows any more.
    const keptAtMost = transaction.type === 'append_items' ? 0 : result.length;
    const whole = at >= 0 && Array.from({ length: keptAtMost + 1 }, (_, kept) => kept).some(isWhole);
    if (!whole) throw conflictError(SENTENCES.reused);
    return true;
  }

  /** The first record that carries a tag of the operation, and which of its records it is. */
  async function findTagged(
    records: readonly AgentInputItem[],
    operationId: string,
    count: number,
    call: SessionCall,
  ): Promise<{ readonly record: number; readonly index: number } | undefined> {
    for (const [record, stored] of records.entries()) {
      const index = await pipeline.matches(stored, operationId, count, call);
      if (index >= 0) return { record, index };
    }
    return undefined;
  }

  return { applyHistoryTransaction };
}

/** How a transaction is sent. */
interface Plan {
  readonly fresh: readonly Entry[];
  readonly call: SessionCall;
  readonly going: readonly Opened[];
  /** Each is tried when a legal hold forbids the one before. */
  sealed(stored: AgentInputItem[]): SessionHistoryTransactionArgs[];
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

function isHeld(error: unknown): boolean {
  return isStrongroomError(error) && error.code === 'ERR_HELD';
}

function appendArgs(operationId: string, items: AgentInputItem[]): SessionHistoryTransactionArgs {
  return { operationId, transaction: { type: 'append_items', items } };
}

type Transaction = SessionHistoryTransactionArgs['transaction'];

function writtenItems(transaction: Transaction): readonly AgentInputItem[] {
  return transaction.type === 'append_items' ? transaction.items : transaction.replacement;
}

/** What the inner session checks itself can still be of any shape. */
function removes({ transaction }: SessionHistoryTransactionArgs): boolean {
  const given = transaction as Transaction | undefined;
  return given?.type === 'replace_suffix' && (given.expectedSuffix as unknown[] | undefined)?.length !== 0;
}

function itemsOf(transaction: Transaction): readonly AgentInputItem[] {
  return transaction.type === 'append_items'
    ? transaction.items
    : [...transaction.expectedSuffix, ...transaction.replacement];
}

/** What layers see of a transaction. */
function namesOf({ operationId, transaction }: SessionHistoryTransactionArgs): {
  readonly operationId: string;
  readonly itemCount: number;
} {
  return { operationId, itemCount: writtenItems(transaction).length };
}
