import type {
  AgentInputItem,
  SessionHistoryTransaction,
  SessionHistoryTransactionArgs,
} from '@openai/agents';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import { isWellFormed } from '../crypto/encoding.ts';
import { loadSdk } from '../load-sdk.ts';
import { digestOf } from './digest.ts';
import { envelopeText } from './envelope.ts';
import { itemKey, snapshotList } from './item.ts';
import { plainCopy } from './plain-copy.ts';

/**
 * The messages of the SDK's own `MemorySession` when it refuses a transaction. Bare stores and stacks use exactly
 * these: code that handles errors of `MemorySession` handles ours, and they hold no content.
 */
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
  /** Ours: the SDK has no `replacePrefix`. */
  prefix: 'Session history prefix no longer matches the transaction precondition.',
} as const;

/** Operation id and transaction, each read once; their content is not checked yet. */
export interface TransactionEnvelope {
  readonly operationId: string;
  readonly transaction: object;
}

/** @throws {@link StrongroomError} `ERR_INVALID_ITEM` in the words of the SDK's own session. */
export function readTransactionEnvelope(args: unknown): TransactionEnvelope {
  let operationId: unknown;
  let transaction: unknown;
  try {
    if (typeof args !== 'object' || args === null) return refuse(SENTENCES.arguments);
    ({ operationId, transaction } = args as Record<string, unknown>);
  } catch {
    // An error from an accessor of the caller can hold anything, so it is not kept as the cause.
    return refuse(SENTENCES.arguments);
  }
  assertOperationId(operationId);
  if (typeof transaction !== 'object' || transaction === null) return refuse(SENTENCES.transaction);
  return { operationId, transaction };
}

/** @throws {@link StrongroomError} `ERR_INVALID_ITEM`. */
function assertOperationId(operationId: unknown): asserts operationId is string {
  if (typeof operationId !== 'string' || operationId.trim() === '') refuse(SENTENCES.operationId);
  // Two different ids would become equal in UTF-8.
  if (!isWellFormed(operationId)) refuse(`${SENTENCES.operationId} It must be well-formed Unicode.`);
}

/**
 * A copy of the arguments, each property read once and no accessor called.
 *
 * @param snapshotItems How the lists of items are copied; throws for items that cannot be stored without loss.
 * @throws {@link StrongroomError} `ERR_INVALID_ITEM` in the words of the SDK's own session.
 */
export function snapshotTransaction(
  args: unknown,
  snapshotItems: (items: readonly AgentInputItem[]) => AgentInputItem[] = (items) => snapshotList(items),
): SessionHistoryTransactionArgs {
  const envelope = readTransactionEnvelope(args);
  return {
    operationId: envelope.operationId,
    transaction: checkFields(copyTransaction(envelope.transaction), (items) => {
      try {
        return snapshotItems(items as readonly AgentInputItem[]);
      } catch (cause) {
        return refuse(SENTENCES.items, cause);
      }
    }),
  };
}

/** @throws {@link StrongroomError} `ERR_INVALID_ITEM` where a copy would lose something. */
export function copyTransaction(transaction: object): Record<string, unknown> {
  let copy: unknown;
  try {
    copy = plainCopy(transaction);
    // `structuredClone` refuses a proxy; nothing else distinguishes it from its target.
    structuredClone(transaction);
  } catch {
    return refuse(SENTENCES.items);
  }
  // An array is an object without these fields.
  return copy as Record<string, unknown>;
}

function checkFields(
  fields: Record<string, unknown>,
  list: (items: readonly unknown[]) => AgentInputItem[],
): SessionHistoryTransaction {
  const { type, items, expectedSuffix, replacement } = fields;
  const names = Object.keys(fields).sort().join(',');
  if (type === 'append_items') {
    if (names !== 'items,type' || !Array.isArray(items)) return refuse(SENTENCES.append);
    return { type, items: list(items) };
  }
  if (type !== 'replace_suffix') return refuse(SENTENCES.type);
  const complete = names === 'expectedSuffix,replacement,type';
  if (!complete || !Array.isArray(expectedSuffix) || !Array.isArray(replacement)) {
    return refuse(SENTENCES.suffixFields);
  }
  return { type, expectedSuffix: list(expectedSuffix), replacement: list(replacement) };
}

/**
 * Checks items of a transaction against the SDK's protocol, as its own session does. The SDK is loaded only when
 * there is something to check: carriers are known to be valid, and loading takes a third of a second.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_ITEM`.
 */
export async function assertProtocolItems(items: readonly AgentInputItem[]): Promise<void> {
  const plain = items.filter((item) => envelopeText(item) === undefined);
  if (plain.length === 0) return;
  const { protocol } = await loadSdk();
  if (plain.some((item) => !protocol.ModelItem.safeParse(item).success)) refuse(SENTENCES.items);
}

/** Only our own errors are kept as the cause: they hold no content. */
function refuse(sentence: string, cause?: unknown): never {
  throw new StrongroomError('ERR_INVALID_ITEM', sentence, cause instanceof StrongroomError ? { cause } : {});
}

/** Equal for transactions with equal content. Operation logs of databases hold it, so it never changes. */
export function transactionDigest(transaction: SessionHistoryTransaction): string {
  if (transaction.type === 'append_items') return digestOf(`append_items ${itemKeys(transaction.items)}`);
  const { expectedSuffix, replacement } = transaction;
  return digestOf(`replace_suffix ${itemKeys(expectedSuffix)} ${itemKeys(replacement)}`);
}

export function itemKeys(items: readonly AgentInputItem[]): string {
  return `[${items.map(itemKey).join(',')}]`;
}

/** The error of an operation that does not match the history, or whose id was used for another one. */
export function conflictError(sentence: string): StrongroomError {
  return new StrongroomError(
    'ERR_CONFLICT',
    `${sentence} Nothing was changed. Read the history again and start a new operation under an id of its own.`,
  );
}

/** Whether a session refused a transaction because its history had changed: nothing was written then. */
export function isConflict(error: unknown): boolean {
  if (isStrongroomError(error)) return error.code === 'ERR_CONFLICT';
  return error instanceof Error && error.message === SENTENCES.suffix;
}

/**
 * Whether the operation was applied before.
 *
 * @param applied The digest under which its id is known.
 * @throws {@link StrongroomError} `ERR_CONFLICT` when that was another operation.
 */
export function assertSameOperation(applied: string | undefined, digest: string): boolean {
  if (applied === undefined) return false;
  if (applied === digest) return true;
  throw conflictError(SENTENCES.reused);
}
