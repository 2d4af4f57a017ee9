import type { AgentInputItem } from '@openai/agents';
import type { DataKeys } from '../../keys/data-keys.ts';
import type { DataKeyScope } from '../../keys/data-keys/types.ts';
import type { DekStore } from '../../keys/dek-store.ts';
import type { Entry, MaybePromise, SessionCall, SessionLayer } from '../../layer.ts';
import type { Envelope } from '../../protocol/envelope.ts';
import { openEntry } from './entry.ts';
import type { EncryptSettings } from './options.ts';
import { acceptingAt, classify } from './record.ts';
import type { ScopeOf } from './scope.ts';
import { openingIn, wantedKey } from './wanted-keys.ts';
import type { Writing } from './writing.ts';

/**
 * The functions of an `encrypt()` layer that rotation, shredding and migration need, so that callers do not pass
 * its options twice.
 */
export interface Sealer {
  scopeOf(call: SessionCall): MaybePromise<DataKeyScope>;
  /** The option `dekStore`. */
  readonly dekStore: DekStore | 'inline' | undefined;
  /** Whether plaintext is allowed at the scope's time. */
  acceptsPlaintext(scope: DataKeyScope): boolean;
  /** The entry in a plaintext record that is allowed now, `undefined` for a sealed record; throws for others. */
  accepts(record: AgentInputItem, scope: DataKeyScope): Omit<Entry, 'stored'> | undefined;
  /** The entry in a sealed record; throws the reason when it does not open. */
  open(record: AgentInputItem, scope: DataKeyScope): Promise<Entry>;
  /**
   * Records of these entries under a new data key. Stamps stay; operation tags are dropped, they belong to the old
   * key.
   */
  reseal(entries: readonly Entry[], scope: DataKeyScope): Promise<AgentInputItem[]>;
  /** Drops the session's data keys from memory, or one of them. */
  forget(sessionId: string, did?: string): void;
}

/** The sealers of the layers that `encrypt()` made. */
export const sealers: WeakMap<SessionLayer, Sealer> = new WeakMap();

export function createSealer(
  { dekStore, plaintext }: EncryptSettings,
  dataKeys: DataKeys,
  scopeOf: ScopeOf,
  { reseal }: Writing,
): Sealer {
  return {
    scopeOf,
    dekStore,
    accepts: (record, scope) => {
      const result = classify(record, acceptingAt(plaintext, scope.now));
      return 'plain' in result ? result.plain : undefined;
    },
    acceptsPlaintext: (scope) => acceptingAt(plaintext, scope.now) !== undefined,
    async open(record, scope) {
      const envelope = classify(record, undefined) as Envelope;
      const key = await openingIn(dataKeys, scope, wantedKey(envelope, record));
      try {
        const entry = openEntry(key, envelope, record);
        if ('failure' in entry) throw entry.failure;
        return entry;
      } finally {
        dataKeys.release(key);
      }
    },
    reseal,
    forget: (sessionId, did) => dataKeys.forget(sessionId, did),
  };
}
