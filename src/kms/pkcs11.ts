import { StrongroomError } from '../errors.ts';
import type { KeyProvider } from '../keys/provider.ts';
import type { MaybePromise } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { checkKmsOptions, type KmsOptions } from './attempts.ts';
import { kmsProvider } from './kms-provider.ts';
import { CONTENT_KEY_BYTES, seal, SEALED_BYTES, unseal } from './pkcs11/cipher.ts';
import { createInTurn } from './pkcs11/in-turn.ts';
import type { Pkcs11Module } from './pkcs11/module.ts';
import { createToken } from './pkcs11/token.ts';
import { AMBIGUOUS, judge, nameOf, WRONG_DATA } from './pkcs11/verdict.ts';

export type { KmsOptions } from './attempts.ts';
export type { Pkcs11Attribute, Pkcs11Mechanism, Pkcs11Module } from './pkcs11/module.ts';

/** Options of {@link pkcs11}. */
export interface Pkcs11Options extends KmsOptions {
  /** A `PKCS11` object of pkcs11js, with its module loaded and `C_Initialize` called. */
  readonly pkcs11: Pkcs11Module;
  /** Label of the token. A slot number is not accepted: it can change when a token is added. */
  readonly token: string;
  /** Label (`CKA_LABEL`) of a secret AES key of 256 bits that cannot be extracted. */
  readonly keyLabel: string;
  /** The user PIN, or a function that gives it when a session is opened. */
  readonly pin: string | (() => MaybePromise<string>);
}

/**
 * An AES key in an HSM as key-encryption key, through PKCS #11: AES-GCM with the hash of session and context as
 * additional data. Calls go one after another through one session of the token. The default `kid` is
 * `<token>/<keyLabel>`.
 *
 * A wrong PIN is tried once: after that the adapter refuses to log in again, because a token locks itself after a few
 * attempts. Calls that open a session (log in, find the key) block the event loop while they last; encryption and
 * decryption do not.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`
 * @example
 * ```ts
 * import { encrypt, keyring } from 'strongroom';
 * import { pkcs11, type Pkcs11Module } from 'strongroom/kms/pkcs11';
 *
 * // const module = new PKCS11(); module.load('/usr/lib/softhsm/libsofthsm2.so'); module.C_Initialize();
 * export function layer(module: Pkcs11Module, pin: string) {
 *   const current = pkcs11({ pkcs11: module, token: 'strongroom', keyLabel: 'conversations', pin });
 *   return encrypt({ keys: keyring({ current }) });
 * }
 * ```
 */
export function pkcs11(options: Pkcs11Options): KeyProvider {
  const limits = checkKmsOptions('pkcs11', options, ['pkcs11', 'token', 'keyLabel', 'pin']);
  const { pkcs11: cryptoki, token, keyLabel, pin } = options;
  if (typeof (cryptoki as Pkcs11Module | undefined)?.C_EncryptAsync !== 'function') {
    invalidOption('pkcs11', 'pkcs11', 'a PKCS11 object of pkcs11js', cryptoki);
  }
  for (const [name, value] of Object.entries({ token, keyLabel })) {
    if (typeof value !== 'string' || value === '') invalidOption('pkcs11', name, 'a label', value);
  }
  if (typeof pin !== 'function' && (typeof pin !== 'string' || pin === '')) {
    invalidOption('pkcs11', 'pin', 'a string or a function', pin);
  }

  const sessions = createToken(options);
  const inTurn = createInTurn(sessions);

  /** Whether the token can decrypt a ciphertext that it just made. */
  async function works(): Promise<boolean> {
    try {
      const fresh = await sessions.open();
      try {
        const sealed = await seal(cryptoki, fresh, new Uint8Array(CONTENT_KEY_BYTES), '');
        return (await unseal(cryptoki, fresh, sealed, '')).length === CONTENT_KEY_BYTES;
      } finally {
        sessions.close(fresh.session);
      }
    } catch {
      return false;
    }
  }

  return kmsProvider(
    'pkcs11',
    options.kid ?? `${token}/${keyLabel}`,
    {
      id: 'pkcs11',
      name: 'The token',
      encrypt: (contentKey, contextHash, signal) =>
        inTurn(signal, (current) => seal(cryptoki, current, contentKey, contextHash)),
      decrypt: (ciphertext, contextHash, signal) =>
        inTurn(signal, async (current) => {
          if (ciphertext.length !== SEALED_BYTES) notAuthentic();
          try {
            return await unseal(cryptoki, current, ciphertext, contextHash);
          } catch (error) {
            // Version 2.40 has no code for a wrong tag, and SoftHSM returns the same code for every failure. So if
            // the token can decrypt another ciphertext, this one is wrong.
            const name = nameOf(error);
            if (WRONG_DATA.has(name) || (AMBIGUOUS.has(name) && (await works()))) notAuthentic(error);
            throw error;
          }
        }),
      judge,
    },
    limits,
  );
}

function notAuthentic(cause?: unknown): never {
  throw new StrongroomError(
    'ERR_AUTHENTICATION',
    'it was changed, moved, or wrapped by another key. Restore the record from a backup.',
    { cause },
  );
}
