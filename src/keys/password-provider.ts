import { loadAesKeyWrap } from '../crypto/aes.ts';
import { fromBase64url, toBase64url, utf8 } from '../crypto/encoding.ts';
import { hedged } from '../crypto/hedged.ts';
import { randomBytes } from '../crypto/random.ts';
import { StrongroomError } from '../errors.ts';
import {
  isIterationCount,
  MAX_PASSWORD_ITERATIONS,
  MIN_PASSWORD_ITERATIONS,
  type CheckedJwk,
} from './jwk.ts';
import type { KeyProvider } from './provider.ts';
import { dekHeader, notOpened } from './wrapped-key.ts';

/** How many derived keys a process keeps: each other process that wrote has its own salt. */
const MAX_SALTS = 1_000;
const SALT_BYTES = 16;
const MAX_SALT_BYTES = 64;

/**
 * A password as key-encryption key: PBES2-HS512+A256KW (RFC 7518 section 4.8). Key derivation takes about a tenth
 * of a second on purpose, and jose does it for each JWE; here a process has one salt, so it derives one key to
 * write and one for each process whose data keys it reads. The JWEs are compatible with jose in both directions.
 */
export function passwordProvider(jwk: CheckedJwk): KeyProvider {
  const { kid, alg, iterations } = jwk;
  const password = fromBase64url(jwk.sealing.k ?? '') ?? new Uint8Array(0);
  // Clones of a process share it and so derive the same wrapping key, which is safe: AES-KW needs no nonce.
  const salt = randomBytes(SALT_BYTES);
  const stretched = new Map<string, Promise<Uint8Array>>();

  function stretch(saltInput: Uint8Array, count: number): Promise<Uint8Array> {
    const name = `${count}:${toBase64url(saltInput)}`;
    const known = stretched.get(name);
    if (known !== undefined) return known;
    const derived = pbkdf2(password, concat(utf8(`${alg}\0`), saltInput), count);
    const oldest = stretched.keys().next();
    if (stretched.size >= MAX_SALTS && oldest.done !== true) stretched.delete(oldest.value);
    stretched.set(name, derived);
    derived.catch(() => stretched.delete(name));
    return derived;
  }

  return {
    kid,
    alg,
    writeOnly: false,
    async wrap(dek, _binding, options) {
      const { aeskw, gcm } = await loadAesKeyWrap();
      const header = { ...dekHeader(alg, kid, options), p2c: iterations, p2s: toBase64url(salt) };
      const segment = toBase64url(utf8(JSON.stringify(header)));
      const contentKey = hedged('sr1/content-key', dek, segment);
      const nonce = randomBytes(12);
      const encryptedKey = aeskw(await stretch(salt, iterations)).encrypt(contentKey);
      const sealed = gcm(contentKey, nonce, utf8(segment)).encrypt(dek);
      contentKey.fill(0);
      return [
        segment,
        ...[encryptedKey, nonce, sealed.subarray(0, -16), sealed.subarray(-16)].map(toBase64url),
      ].join('.');
    },
    async unwrap({ header, segments, text }) {
      const { p2c, p2s } = header;
      const saltInput = typeof p2s === 'string' ? fromBase64url(p2s) : undefined;
      if (saltInput === undefined || saltInput.length < 8 || saltInput.length > MAX_SALT_BYTES) {
        throw new StrongroomError(
          'ERR_MALFORMED',
          'A data key wrapped with a password has no usable salt (p2s). Restore the record from a backup.',
        );
      }
      if (!isIterationCount(p2c)) {
        throw new StrongroomError(
          'ERR_UNSUPPORTED',
          `A data key wrapped with a password has an iteration count outside ${MIN_PASSWORD_ITERATIONS} to ` +
            `${MAX_PASSWORD_ITERATIONS} (p2c). Restore the record from a backup.`,
        );
      }
      // A writer of the database chooses the iteration count, which is the cost of unwrapping.
      if (p2c > iterations) {
        throw new StrongroomError(
          'ERR_UNSUPPORTED',
          `A data key wrapped with a password has a higher iteration count (p2c: ${p2c}) than the key ${JSON.stringify(kid)} of ` +
            `the keyring (${iterations}). If that key once had a higher p2c, set it in its JWK again; else restore the record from a backup.`,
        );
      }
      const [, encryptedKey, nonce, ciphertext, tag] = segments;
      const { aeskw, gcm } = await loadAesKeyWrap();
      const wrappingKey = await stretch(saltInput, p2c);
      try {
        const contentKey = aeskw(wrappingKey).decrypt(encryptedKey);
        const associatedData = utf8(text.slice(0, text.indexOf('.')));
        const dek = gcm(contentKey, nonce, associatedData).decrypt(concat(ciphertext, tag));
        contentKey.fill(0);
        return dek;
      } catch (cause) {
        return notOpened(kid, cause);
      }
    },
  };
}

async function pbkdf2(password: Uint8Array, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
  const { subtle } = globalThis.crypto;
  // Copies: the types of WebCrypto require buffers that are not shared.
  const key = await subtle.importKey('raw', new Uint8Array(password), 'PBKDF2', false, ['deriveBits']);
  const parameters = { name: 'PBKDF2', hash: 'SHA-512', salt: new Uint8Array(salt), iterations };
  return new Uint8Array(await subtle.deriveBits(parameters, key, 256));
}

function concat(one: Uint8Array, other: Uint8Array): Uint8Array {
  const joined = new Uint8Array(one.length + other.length);
  joined.set(one);
  joined.set(other, one.length);
  return joined;
}
