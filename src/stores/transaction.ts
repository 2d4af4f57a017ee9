import type { AgentInputItem } from '@openai/agents';
import { envelopeText } from '../envelope.ts';
import { StrongroomError } from '../errors.ts';
import { isWellFormed } from '../limits.ts';
import { itemKey, snapshotItem } from '../item.ts';
import { digestOf } from './digest.ts';

/** The arguments of `applyHistoryTransaction`, read once, checked. */
export interface TransactionSnapshot {
  readonly operationId: string;
  /** Absent for `append_items`. */
  readonly expectedSuffix?: readonly AgentInputItem[];
  /** What is written. */
  readonly items: readonly AgentInputItem[];
  /** Equal for structurally equal transactions. */
  readonly digest: string;
}

/** The sentences are those of the SDK's own `MemorySession`, so that callers that know them find them. */
export const SENTENCES = {
  arguments: 'Session history transaction arguments are invalid.',
  operationId: 'Session history transaction operationId must be a non-empty string.',
  transaction: 'Session history transaction must be an object.',
  items: 'Session history transaction items contain invalid or unsupported data.',
  append: 'Session history append transaction fields are invalid.',
  suffixFields: 'Session history suffix transaction fields are invalid.',
  type: 'Unsupported session history transaction type.',
  reused: 'Session history operation was already applied with a different transaction.',
  suffix: 'Session history suffix no longer matches the transaction precondition.',
} as const;

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION` or `ERR_INVALID_ITEM`, in the SDK's words. */
export function snapshotTransaction(args: unknown): TransactionSnapshot {
  const { operationId, transaction } = record(args, SENTENCES.arguments);
  checkOperationId(operationId);
  const fields = record(transaction, SENTENCES.transaction);
  const names = Object.keys(fields).sort().join(',');
  if (fields['type'] === 'append_items') {
    if (names !== 'items,type' || !Array.isArray(fields['items'])) refuse(SENTENCES.append);
    const items = snapshotItems(fields['items']);
    return { operationId, items, digest: digestOf(`append_items ${keys(items)}`) };
  }
  if (fields['type'] !== 'replace_suffix') refuse(SENTENCES.type);
  const { expectedSuffix, replacement } = fields;
  if (
    names !== 'expectedSuffix,replacement,type' ||
    !Array.isArray(expectedSuffix) ||
    !Array.isArray(replacement)
  ) {
    refuse(SENTENCES.suffixFields);
  }
  const before = snapshotItems(expectedSuffix);
  const items = snapshotItems(replacement);
  const digest = digestOf(`replace_suffix ${keys(before)} ${keys(items)}`);
  return { operationId, expectedSuffix: before, items, digest };
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION`. */
export function checkOperationId(operationId: unknown): asserts operationId is string {
  if (typeof operationId !== 'string' || operationId.trim() === '') refuse(SENTENCES.operationId);
  // Two of them would become one in UTF-8.
  if (!isWellFormed(operationId)) refuse(`${SENTENCES.operationId} It must be well-formed Unicode.`);
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

/**
 * Checks items against the SDK's protocol, as `MemorySession` does in a transaction. The SDK is loaded only when
 * there is something to check: carriers are known to be valid, and loading takes a third of a second.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_ITEM`.
 */
export async function assertProtocolItems(items: readonly AgentInputItem[]): Promise<void> {
  const plain = items.filter((item) => envelopeText(item) === undefined);
  if (plain.length === 0) return;
  const { protocol } = await import('@openai/agents');
  for (const item of plain) {
    if (protocol.ModelItem.safeParse(item).success) continue;
    refuse(`${SENTENCES.items} Item ${items.indexOf(item)} is no item of the protocol.`, 'ERR_INVALID_ITEM');
  }
}

function snapshotItems(items: readonly unknown[]): AgentInputItem[] {
  return items.map((item, index) => {
    try {
      return snapshotItem(item as AgentInputItem);
    } catch (cause) {
      const where = cause instanceof StrongroomError ? ` ${cause.message}` : '';
      throw new StrongroomError('ERR_INVALID_ITEM', `${SENTENCES.items} Item ${index}:${where}`, { cause });
    }
  });
}

function record(value: unknown, sentence: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) refuse(sentence);
  return { ...value };
}

function refuse(
  sentence: string,
  code: 'ERR_INVALID_OPTION' | 'ERR_INVALID_ITEM' = 'ERR_INVALID_OPTION',
): never {
  throw new StrongroomError(code, sentence);
}
