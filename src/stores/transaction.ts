import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { itemKey } from '../protocol/item.ts';
import { SENTENCES, snapshotTransaction } from '../protocol/transaction.ts';
import { digestOf } from '../protocol/digest.ts';

/** A transaction as a store applies it. */
export interface StoreTransaction {
  readonly operationId: string;
  /** Absent for `append_items`. */
  readonly expectedSuffix?: readonly AgentInputItem[];
  /** What is written. */
  readonly items: readonly AgentInputItem[];
  /** Equal for structurally equal transactions. */
  readonly digest: string;
}

/** @throws {@link StrongroomError} `ERR_INVALID_ITEM` in the words of the SDK's own session. */
export function readTransaction(args: unknown): StoreTransaction {
  const { operationId, transaction } = snapshotTransaction(args);
  if (transaction.type === 'append_items') {
    const { items } = transaction;
    return { operationId, items, digest: digestOf(`append_items ${keys(items)}`) };
  }
  const { expectedSuffix, replacement } = transaction;
  const digest = digestOf(`replace_suffix ${keys(expectedSuffix)} ${keys(replacement)}`);
  return { operationId, expectedSuffix, items: replacement, digest };
}

/** The operation is known under this id: `true` when it was the same one. */
export function assertSameOperation(applied: string | undefined, digest: string): boolean {
  if (applied === undefined) return false;
  if (applied === digest) return true;
  throw new StrongroomError(
    'ERR_CONFLICT',
    `${SENTENCES.reused} Start a new operation under an id of its own.`,
  );
}

export function keys(items: readonly AgentInputItem[]): string {
  return `[${items.map(itemKey).join(',')}]`;
}
