import type { SessionHistoryTransactionArgs } from '@openai/agents';
import { createShare, type Share } from './budget.ts';

/** Sealed transactions that are kept for a repeat. */
const KEPT = 64;
/**
 * Most characters of sealed records in the log; beyond, a transaction is remembered by its digest only, and also
 * when all wrappers together hold too much.
 */
const KEPT_CHARACTERS = 1_048_576;

/** The state of an operation that the wrapper sent. */
export interface SentOperation {
  readonly digest: string;
  /** The bytes that were sent; absent when they were too many to keep. */
  readonly sealed?: SessionHistoryTransactionArgs;
  /** The inner session acknowledged it. Until then it may or may not have applied the operation. */
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
  let share: Share | undefined;
  const kept = (): number => [...operations.values()].reduce((sum, { characters }) => sum + characters, 0);

  /** The oldest lose their bytes first, and never their digest. */
  function makeRoom(characters: number): void {
    let sum = kept();
    for (const [id, { digest, acknowledged, characters: old }] of operations) {
      if (sum + characters <= KEPT_CHARACTERS) return;
      operations.set(id, { digest, acknowledged, characters: 0 });
      sum -= old;
    }
  }

  return {
    get: (operationId) => operations.get(operationId),
    sent(operationId, digest, sealed) {
      const characters = JSON.stringify(sealed).length;
      operations.delete(operationId);
      makeRoom(characters);
      operations.set(operationId, {
        digest,
        acknowledged: false,
        ...(characters <= KEPT_CHARACTERS ? { sealed, characters } : { characters: 0 }),
      });
      if (operations.size > KEPT) operations.delete(operations.keys().next().value as string);
      (share ??= createShare(() => makeRoom(KEPT_CHARACTERS))).use(kept());
    },
    acknowledge(operationId) {
      const operation = operations.get(operationId);
      if (operation !== undefined) operations.set(operationId, { ...operation, acknowledged: true });
    },
    forget() {
      operations.clear();
      share?.use(0);
    },
  };
}
