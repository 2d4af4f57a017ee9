import { boundedMap } from '../../bounded-map.ts';
import { isWithin, type OpenedKey, type Usage } from './opened-keys.ts';
import type { DataKeyLimits, DataKeyScope } from './types.ts';

/**
 * What is remembered of the data key that seals for a session. It holds no secret and is small, so that many more of
 * them are kept than opened keys: a session whose opened key has left goes on with the same data key.
 */
export interface Epoch {
  readonly sessionId: string;
  readonly did: string;
  readonly kid: string;
  /** The wrapped key, when it stands in the envelopes. */
  readonly inline: string | undefined;
  readonly usage: Usage;
}

/** How many sessions a layer knows the sealing key of; about 500 bytes each. */
const MAX_EPOCHS = 100_000;

export interface Epochs {
  find(name: string): Epoch | undefined;
  /** The epoch that begins with a key that this process made. */
  begin(name: string, key: OpenedKey): Epoch;
  /** Ends this epoch, not one that began since. */
  end(name: string, epoch: Epoch): void;
  forget(sessionId: string, did?: string): void;
  /** Whether the key may seal on: it is wrapped by the current key, and within its limits. */
  isUsable(epoch: Epoch, scope: DataKeyScope): boolean;
}

/**
 * Which data key seals. Only one that this process made: a wrapped key that was found, in a record or in a DEK store, may
 * have been put there by an attacker who knows it (an old one restored over its tombstone, or one wrapped for a public key),
 * and would open everything that is sealed with it.
 */
export function createEpochs(limits: Pick<DataKeyLimits, 'maxAge' | 'maxMessages' | 'maxBytes'>): Epochs {
  const epochs = boundedMap<Epoch>(MAX_EPOCHS);
  return {
    find: (name) => epochs.get(name),
    begin(name, { sessionId, did, kid, inline, usage }) {
      const epoch = { sessionId, did, kid, inline, usage };
      epochs.set(name, epoch);
      return epoch;
    },
    end(name, { did }) {
      if (epochs.get(name)?.did === did) epochs.delete(name);
    },
    forget(sessionId, did) {
      epochs.deleteWhere(
        (epoch) => epoch.sessionId === sessionId && (did === undefined || epoch.did === did),
      );
    },
    isUsable: ({ kid, usage }, { ring, now }) =>
      kid === ring.current &&
      isWithin(now - usage.bornAt, limits.maxAge) &&
      usage.messages < limits.maxMessages &&
      usage.bytes < limits.maxBytes,
  };
}
