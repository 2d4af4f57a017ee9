import type { JWK } from 'jose';
import { toBase64url } from '../crypto/encoding.ts';
import { randomBytes } from '../crypto/random.ts';
import { StrongroomError } from '../errors.ts';
import { loadJose } from '../load-jose.ts';
import { checkOptions } from '../options.ts';
import { KEY_ALGORITHMS, type KeyAlgorithm } from './jwk.ts';

/** What {@link generateKey} makes: a password is chosen. */
export const GENERATED_ALGORITHMS: readonly string[] = KEY_ALGORITHMS.filter(
  (name) => !name.startsWith('PBES2'),
);

/** Options of {@link generateKey}. */
export interface GenerateKeyOptions {
  /**
   * What the key is for, default `'A256KW'`. The two asymmetric ones (`'ECDH-ES+A256KW'` on P-256, `'RSA-OAEP-256'`
   * with 3072 bits) allow processes that can write but not read. A password (`PBES2-…`) cannot be generated.
   */
  readonly alg?: Exclude<KeyAlgorithm, 'PBES2-HS512+A256KW'>;
}

/**
 * A new key-encryption key as a JWK with a random `kid`. Keep it in a secret store: everybody with the key can read
 * everything, and nothing can be read without it.
 *
 * @throws `ERR_INVALID_OPTION` for an unknown or password algorithm.
 * @example
 * ```ts
 * import { generateKey, keyring } from 'strongroom';
 *
 * const keys = keyring({ current: await generateKey() });
 * ```
 */
export async function generateKey(options: GenerateKeyOptions = {}): Promise<JWK> {
  checkOptions('generateKey', options, ['alg']);
  const alg: KeyAlgorithm = options.alg ?? 'A256KW';
  const kid = toBase64url(randomBytes(12));
  switch (alg) {
    case 'A256KW':
    case 'A256GCMKW':
      return { kty: 'oct', alg, k: toBase64url(randomBytes(32)), kid };
    case 'ECDH-ES+A256KW':
    case 'RSA-OAEP-256': {
      const { exportJWK, generateKeyPair } = await loadJose();
      const pair = await generateKeyPair(alg, { crv: 'P-256', modulusLength: 3_072, extractable: true });
      return { ...(await exportJWK(pair.privateKey)), alg, kid };
    }
    default:
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `generateKey: alg must be ${GENERATED_ALGORITHMS.join(', ')}.`,
      );
  }
}
