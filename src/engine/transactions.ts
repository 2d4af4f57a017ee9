import type {
  AgentInputItem,
  applySessionHistoryMutations,
  protocol,
  SessionHistoryTransaction,
  SessionHistoryTransactionArgs,
} from '@openai/agents';
import { toBase64url, utf8 } from '../crypto/encoding.ts';
import { sha256 } from '../crypto/hash.ts';
import { StrongroomError } from '../errors.ts';
import { itemKey } from '../item.ts';
import { isWellFormed } from '../limits.ts';
import { snapshotItems } from './plaintext.ts';

/** Sealed transactions that are kept for a repeat. */
const KEPT = 64;
/** Characters of sealed records that are kept together; beyond, a transaction is remembered by its digest. */
const KEPT_CHARACTERS = 1_048_576;

// The SDK's own sentences (MemorySession): what it refuses is refused in its words.
const ITEMS = 'Session history transaction items contain invalid or unsupported data.';
export const APPLIED = 'Session history operation was already applied with a different transaction.';
export const SUFFIX = 'Session history suffix no longer matches the transaction precondition.';

function invalid(sentence: string, cause?: unknown): never {
  throw new StrongroomError('ERR_INVALID_ITEM', sentence, cause === undefined ? {} : { cause });
}

/**
 * A copy of the arguments, each property read once.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_ITEM` in the words of the SDK's own session.
 */
export function snapshotTransaction(
  args: SessionHistoryTransactionArgs,
  maxItemBytes: number,
): SessionHistoryTransactionArgs {
  if (typeof args !== 'object' || args === null)
    invalid('Session history transaction arguments are invalid.');
  const { operationId, transaction } = args;
  if (typeof operationId !== 'string' || operationId.trim() === '') {
    invalid('Session history transaction operationId must be a non-empty string.');
  }
  // Two of them would become one in UTF-8.
  if (!isWellFormed(operationId)) {
    invalid(
      'Session history transaction operationId must be a non-empty string. It must be well-formed Unicode.',
    );
  }
  if (typeof transaction !== 'object' || transaction === null) {
    invalid('Session history transaction must be an object.');
  }
  const list = (items: readonly AgentInputItem[]): AgentInputItem[] => {
    try {
      return snapshotItems(items, maxItemBytes);
    } catch (error) {
      const detail = error instanceof StrongroomError ? ` ${error.message}` : '';
      return invalid(`${ITEMS}${detail}`, error);
    }
  };
  const names = Object.keys(transaction);
  if (transaction.type === 'append_items') {
    const { items } = transaction;
    if (names.length !== 2 || !Array.isArray(items))
      invalid('Session history append transaction fields are invalid.');
    return { operationId, transaction: { type: 'append_items', items: list(items) } };
  }
  // The type says there is no other; the caller may be JavaScript.
  if ((transaction as { type: unknown }).type !== 'replace_suffix') {
    invalid('Unsupported session history transaction type.');
  }
  const { expectedSuffix, replacement } = transaction;
  if (names.length !== 3 || !Array.isArray(expectedSuffix) || !Array.isArray(replacement)) {
    invalid('Session history suffix transaction fields are invalid.');
  }
  return {
    operationId,
    transaction: {
      type: 'replace_suffix',
      expectedSuffix: list(expectedSuffix),
      replacement: list(replacement),
    },
  };
}

/** @see {@link loadSdk} */
export interface SdkFunctions {
  readonly applySessionHistoryMutations: typeof applySessionHistoryMutations;
  readonly protocol: Pick<typeof protocol, 'ModelItem'>;
}

/**
 * The two functions of the SDK that the engine needs, loaded when a transaction or mutation first asks for them:
 * loading the SDK takes many times as long as loading strongroom.
 */
export async function loadSdk(): Promise<SdkFunctions> {
  return await import('@openai/agents');
}

/** Below an envelope the inner session sees valid carriers only, so the items are checked here as it would. */
export async function checkItems(transaction: SessionHistoryTransaction): Promise<void> {
  const { protocol } = await loadSdk();
  const items =
    transaction.type === 'append_items'
      ? transaction.items
      : [...transaction.expectedSuffix, ...transaction.replacement];
  for (const item of items) if (!protocol.ModelItem.safeParse(item).success) invalid(ITEMS);
}

/** What the wrapper remembers of an operation that it sent. */
export interface SentOperation {
  readonly digest: string;
  /** The very bytes that were sent; absent when they were too many to keep. */
  readonly sealed?: SessionHistoryTransactionArgs;
  /** The inner session said yes. Until then it may or may not have applied the operation. */
  readonly acknowledged: boolean;
}

/** The last operations of one session, so that a repeat sends the same bytes and the inner session decides. */
export interface OperationLog {
  get(operationId: string): SentOperation | undefined;
  sent(operationId: string, digest: string, sealed: SessionHistoryTransactionArgs): void;
  acknowledge(operationId: string): void;
  forget(): void;
}

export function createOperationLog(): OperationLog {
  const operations = new Map<string, SentOperation & { readonly characters: number }>();
  return {
    get: (operationId) => operations.get(operationId),
    sent(operationId, digest, sealed) {
      const characters = JSON.stringify(sealed).length;
      let kept = [...operations.values()].reduce((sum, operation) => sum + operation.characters, 0);
      operations.delete(operationId);
      for (const [id, { digest, acknowledged, characters: old }] of operations) {
        if (kept + characters <= KEPT_CHARACTERS) break;
        // The oldest lose their bytes first, not their identity.
        operations.set(id, { digest, acknowledged, characters: 0 });
        kept -= old;
      }
      operations.set(operationId, {
        digest,
        acknowledged: false,
        ...(characters <= KEPT_CHARACTERS ? { sealed, characters } : { characters: 0 }),
      });
      if (operations.size > KEPT) {
        const [oldest] = operations.keys();
        if (oldest !== undefined) operations.delete(oldest);
      }
    },
    acknowledge(operationId) {
      const operation = operations.get(operationId);
      if (operation !== undefined) operations.set(operationId, { ...operation, acknowledged: true });
    },
    forget: () => operations.clear(),
  };
}

/** Equal for transactions with equal content. */
export function transactionDigest(transaction: SessionHistoryTransaction): string {
  return toBase64url(sha256(utf8(itemKey(transaction))));
}
