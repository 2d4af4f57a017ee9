import type { SuiteName } from '../crypto/suite.ts';
import { createEpochs } from './data-keys/epochs.ts';
import { createOpenedKeys, release, type OpenedKey } from './data-keys/opened-keys.ts';
import { createOpening } from './data-keys/opening.ts';
import { createScopeNames } from './data-keys/scope-names.ts';
import { createSealing } from './data-keys/sealing.ts';
import type { DataKeyScope, DataKey, DataKeyLimits } from './data-keys/types.ts';

/**
 * The data keys of one `encrypt()` layer: creates, finds and opens them, limits their use, and overwrites them at
 * eviction.
 */
export interface DataKeys {
  /**
   * The data key that seals now: the one that this process made for the session, or a new one.
   *
   * @param carries The write of the records includes the row of a new key. @defaultValue false
   */
  sealing(scope: DataKeyScope, suite: SuiteName, carries?: boolean): DataKey | Promise<DataKey>;
  /** A new data key, which seals from now on. */
  fresh(scope: DataKeyScope, suite: SuiteName): DataKey | Promise<DataKey>;
  /** The data key of this id. `inline` is the wrapped key that the envelope carries, if it does. */
  opening(scope: DataKeyScope, suite: SuiteName, did: string, inline: string | undefined): Promise<DataKey>;
  /** Whether {@link DataKeys.opening} would return it from memory. */
  isOpen(scope: DataKeyScope, suite: SuiteName, did: string, inline: string | undefined): boolean;
  /** Counts what a data key sealed. */
  sealed(key: DataKey, messages: number, bytes: number): void;
  release(key: DataKey): void;
  /** Drops the session's data keys from memory, or one of them; the next call loads them again. */
  forget(sessionId: string, did?: string): void;
}

export function createDataKeys(limits: DataKeyLimits): DataKeys {
  const names = createScopeNames();
  const opened = createOpenedKeys(limits);
  const epochs = createEpochs(limits);
  const opening = createOpening(names, opened, epochs, limits.maxPerRead);

  return {
    ...createSealing(names, opened, epochs, opening),
    opening: opening.opening,
    isOpen: (scope, suite, did, inline) =>
      opening.kept(scope, names.key(scope, suite, did, inline))?.wiped === false,
    sealed(key, messages, bytes) {
      const { usage } = key as OpenedKey;
      usage.messages += messages;
      usage.bytes += bytes;
    },
    release: (key) => release(key as OpenedKey),
    forget(sessionId, did) {
      opened.forget(sessionId, did);
      epochs.forget(sessionId, did);
    },
  };
}
