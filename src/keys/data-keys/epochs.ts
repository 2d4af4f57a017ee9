import { boundedMap } from '../../bounded-map.ts';
import { isWithin, type OpenedKey, type Usage } from './opened-keys.ts';
import type { DataKeyLimits, DataKeyScope } from './types.ts';

/**
 * The state of the data key that seals for a session. It holds no secret and is small, so that many more of them
 * are kept than opened keys: a session whose opened key was evicted continues with the same data key.
 */
export interface Epoch {
  readonly sessionId: string;
  readonly did: string;
  readonly kid: string;
  /** The wrapped key, when it stands in the envelopes. */
  readonly inline: string | undefined;
  readonly usage: Usage;
}

/** For how many sessions a layer remembers the sealing key; about 500 bytes each. */
const MAX_EPOCHS = 100_000;

export interface Epochs {
  readonly find: (name: string) => Epoch | undefined;
  /** The epoch that begins with a key that this process made. */
  begin(name: string, key: OpenedKey): Epoch;
  /** Ends this epoch, but not a later one of the same name. */
  end(name: string, epoch: Epoch): void;
  forget(sessionId: string, did?: string): void;
  /** Whether the key may still seal: it is wrapped by the current key, and within its limits. */
  isUsable(epoch: Epoch, scope: DataKeyScope): boolean;
}

/**
 * Which data key seals. Only one that this process made: an attacker can put a wrapped key that the attacker knows
 * into a record or a DEK store (an old one restored over its tombstone, or one wrapped for a public key), and could
 * then read everything that is sealed with it.
 */
export function createEpochs(limits: Pick<DataKeyLimits, 'maxAge' | 'maxMessages' | 'maxBytes'>): Epochs {
  const epochs = boundedMap<Epoch>(MAX_EPOCHS);
  return {
    find: epochs.get,
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
