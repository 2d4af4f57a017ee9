import { gcm } from '@noble/ciphers/aes.js';
import { utf8 } from '../crypto/encoding.ts';
import { StrongroomError } from '../errors.ts';
import type { KeyProvider } from '../keys/provider.ts';
import { checkKmsOptions, type KmsOptions } from '../kms/attempts.ts';
import { kmsProvider } from '../kms/kms-provider.ts';

/** How a {@link FakeKms} behaves: normally, or with a failure. */
export type FakeKmsState = 'up' | 'down' | 'silent' | 'disabled';

/** A {@link KeyProvider} without a service behind it; see {@link fakeKms}. */
export interface FakeKms extends KeyProvider {
  /** Calls that reached it, repetitions included. */
  readonly calls: { readonly encrypt: number; readonly decrypt: number };
  /**
   * The behaviour of the next calls. `'down'`: every call fails at once, as with a connection refused, and is
   * repeated. `'silent'`: no call is ever answered. `'disabled'`: the key is disabled.
   */
  state: FakeKmsState;
}

/**
 * A key in a key management service that exists in this process only: the same wrapped form, repetitions, time limit
 * and errors as with a real one, to test what your program does when its KMS is down. Its key is random and cannot
 * be exported: data keys that it wrapped are lost with the object.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`
 * @example
 * ```ts
 * import { encrypt, keyring } from 'strongroom';
 * import { fakeKms } from 'strongroom/testing';
 *
 * const kms = fakeKms({ attempts: 1 });
 * const layer = encrypt({ keys: keyring({ current: kms }) });
 * kms.state = 'down'; // reading is ERR_KEY_UNAVAILABLE now
 * ```
 */
export function fakeKms(options: KmsOptions = {}): FakeKms {
  const limits = checkKmsOptions('fakeKms', options, []);
  const key = globalThis.crypto.getRandomValues(new Uint8Array(32));
  const calls = { encrypt: 0, decrypt: 0 };
  let state: FakeKmsState = 'up';

  async function answer<T>(signal: AbortSignal, action: () => T): Promise<T> {
    if (state === 'up') return action();
    if (state === 'silent') {
      await new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new Error('aborted'))),
      );
    }
    throw new Error(state);
  }

  const provider = kmsProvider(
    'fakeKms',
    options.kid ?? 'fake-kms',
    {
      id: 'fake',
      name: 'The fake KMS',
      encrypt(contentKey, contextHash, signal) {
        calls.encrypt++;
        const nonce = globalThis.crypto.getRandomValues(new Uint8Array(12));
        return answer(signal, () => {
          const sealed = gcm(key, nonce, utf8(contextHash)).encrypt(contentKey);
          const out = new Uint8Array(nonce.length + sealed.length);
          out.set(nonce);
          out.set(sealed, nonce.length);
          return out;
        });
      },
      decrypt(ciphertext, contextHash, signal) {
        calls.decrypt++;
        return answer(signal, () => {
          try {
            return gcm(key, ciphertext.subarray(0, 12), utf8(contextHash)).decrypt(ciphertext.subarray(12));
          } catch (cause) {
            throw new StrongroomError('ERR_AUTHENTICATION', 'it was changed, or moved.', { cause });
          }
        });
      },
      judge: () =>
        state === 'disabled'
          ? { code: 'ERR_KEY_DISABLED', transient: false, reason: 'the key is disabled.' }
          : {
              code: 'ERR_KEY_UNAVAILABLE',
              transient: true,
              reason: 'it does not answer. Nothing was removed.',
            },
    },
    limits,
  );
  return {
    ...provider,
    calls,
    get state() {
      return state;
    },
    set state(next: FakeKmsState) {
      state = next;
    },
  };
}
