import type { SessionHistoryTransactionArgs } from '@openai/agents';
import { createShare, type Share } from './budget.ts';

/** Sealed transactions that are kept for a repeat. */
const KEPT = 64;
/**
 * Characters of sealed records that are kept together; beyond, a transaction is remembered by its digest. So it is
 * when all wrappers together remember too much.
 */
const KEPT_CHARACTERS = 1_048_576;

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
  let share: Share | undefined;
  const kept = (): number => [...operations.values()].reduce((sum, { characters }) => sum + characters, 0);

  /** The oldest lose their bytes first, and never their identity. */
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
      const [oldest] = operations.keys();
      if (operations.size > KEPT && oldest !== undefined) operations.delete(oldest);
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
