import type { CryptoKey, JWK } from 'jose';
import { fromBase64url } from '../crypto/encoding.ts';
import { HEDGE_BYTES, hedged, hedgedWith } from '../crypto/hedged.ts';
import { randomBytes } from '../crypto/random.ts';
import { StrongroomError } from '../errors.ts';
import { loadJose } from '../load-jose.ts';
import { isEphemeralKey, type CheckedJwk } from './jwk.ts';
import { headerSegmentOf, nativeKeyWrap } from './native-key-wrap.ts';
import { passwordProvider } from './password-provider.ts';
import type { KeyBinding, KeyProvider, WrapOptions } from './provider.ts';
import { NONCE_BYTES, WRAP_BYTES, WRAP_NOW, type ProviderAtOnce } from './wrap-now.ts';
import { DEK_ENCRYPTION, dekHeader, notOpened } from './wrapped-key.ts';

/** A JWK as key-encryption key: data keys become compact JWEs (RFC 7516) as jose makes them. */
export function jwkProvider(jwk: CheckedJwk): KeyProvider {
  if (jwk.alg === 'PBES2-HS512+A256KW') return passwordProvider(jwk);
  const native = jwk.alg === 'A256KW' ? nativeProvider(jwk) : undefined;
  if (native !== undefined) return native;
  const { kid, alg } = jwk;
  const openingKey = once(() => importKey(kid, jwk.opening ?? jwk.sealing, alg));
  const sealingKey = once(async () => {
    const key = await importKey(kid, jwk.sealing, alg);
    // What is sealed by one half must be opened by the other: a mistake would be noticed by the first reader only.
    if (jwk.opening !== undefined && jwk.opening !== jwk.sealing)
      await tryHalves(jwk, key, await openingKey());
    return key;
  });
  return {
    kid,
    alg,
    writeOnly: jwk.opening === undefined,
    async wrap(dek, { contextHash }, options) {
      const { CompactEncrypt } = await loadJose();
      const key = await sealingKey();
      const contentKey = hedged('sr1/content-key', dek, contextHash);
      try {
        const jwe = new CompactEncrypt(dek)
          .setProtectedHeader(dekHeader(alg, kid, options))
          .setContentEncryptionKey(contentKey);
        if (alg === 'A256GCMKW') jwe.setKeyManagementParameters({ iv: wrappingNonce(contentKey) });
        return await jwe.encrypt(key);
      } catch (cause) {
        return cannotWrap(kid, cause);
      } finally {
        contentKey.fill(0);
      }
    },
    async unwrap(wrapped) {
      if (alg === 'ECDH-ES+A256KW' && !isEphemeralKey(wrapped.header['epk'], jwk.sealing)) notOpened(kid);
      const { compactDecrypt } = await loadJose();
      const key = await openingKey();
      try {
        const { plaintext } = await compactDecrypt(wrapped.text, key, {
          // Pinned: an oct key would otherwise also unwrap JWEs of another algorithm.
          keyManagementAlgorithms: [alg],
          contentEncryptionAlgorithms: [DEK_ENCRYPTION],
          maxDecompressedLength: 0,
        });
        return plaintext;
      } catch (cause) {
        return notOpened(kid, cause);
      }
    },
  };
}

/** `undefined` where jose must be used. */
function nativeProvider({ kid, alg, sealing }: CheckedJwk): ProviderAtOnce | undefined {
  const found = nativeKeyWrap(fromBase64url(sealing.k as string) as Uint8Array);
  if (found === undefined) return undefined;
  const native = found;
  const header = headerSegmentOf(dekHeader(alg, kid, undefined));
  const openOnly = headerSegmentOf(dekHeader(alg, kid, { openOnly: true }));

  function wrap(
    dek: Uint8Array,
    { contextHash }: KeyBinding,
    options?: WrapOptions,
    // One call of the system's generator for both.
    random: Uint8Array = randomBytes(WRAP_BYTES),
  ): string {
    const contentKey = hedgedWith(random.subarray(0, HEDGE_BYTES), 'sr1/content-key', dek, contextHash);
    try {
      // The content key is used for this message only, so any nonce is safe.
      const nonce = random.subarray(HEDGE_BYTES);
      return native.wrap(dek, contentKey, nonce, options?.openOnly === true ? openOnly : header);
    } finally {
      contentKey.fill(0);
    }
  }

  return {
    kid,
    alg,
    writeOnly: false,
    wrap: async (dek, binding, options) => wrap(dek, binding, options),
    [WRAP_NOW]: wrap,
    async unwrap({ segments, text }) {
      try {
        return native.unwrap(segments, text.slice(0, text.indexOf('.')));
      } catch (cause) {
        return notOpened(kid, cause);
      }
    },
  };
}

/** Before data depends on them: whether the two halves of a JWK are of one key. */
async function tryHalves(
  { kid, alg }: CheckedJwk,
  sealing: CryptoKey | Uint8Array,
  opening: CryptoKey | Uint8Array,
): Promise<void> {
  const { CompactEncrypt, compactDecrypt } = await loadJose();
  const sealed = await new CompactEncrypt(randomBytes(HEDGE_BYTES))
    .setProtectedHeader({ alg, enc: DEK_ENCRYPTION })
    .encrypt(sealing)
    .catch((cause: unknown) => cannotWrap(kid, cause));
  try {
    await compactDecrypt(sealed, opening, { keyManagementAlgorithms: [alg] });
  } catch (cause) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `The key ${JSON.stringify(kid)} of the keyring has a public half and a private half of different keys: what one seals, the other ` +
        'does not open. Nothing was sealed. Put the whole private JWK of one key there.',
      { cause },
    );
  }
}

/** Such as a public key of X25519 that is no point of the right order. */
function cannotWrap(kid: string, cause: unknown): never {
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `The key ${JSON.stringify(kid)} of the keyring cannot wrap a data key: it is not a valid key of its kind, or this runtime lacks its ` +
      'algorithm. Nothing was sealed. Make a new key with generateKey().',
    { cause },
  );
}

/** The nonce of AES-GCM under a long-lived key; it depends on the content key. */
function wrappingNonce(contentKey: Uint8Array): Uint8Array {
  return hedged('sr1/wrapping-nonce', contentKey).subarray(0, NONCE_BYTES);
}

async function importKey(kid: string, jwk: JWK, alg: string): Promise<CryptoKey | Uint8Array> {
  const { importJWK } = await loadJose();
  try {
    return await importJWK(jwk, alg);
  } catch (cause) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `The key ${JSON.stringify(kid)} of the keyring cannot be imported: its members do not fit together, or this ` +
        'runtime lacks its algorithm. Make a new key with generateKey().',
      { cause },
    );
  }
}

/** Runs `action` at the first call only; every caller shares its promise. A failure is not kept. */
function once<T>(action: () => Promise<T>): () => Promise<T> {
  let promise: Promise<T> | undefined;
  return () =>
    (promise ??= action().catch((error: unknown) => {
      promise = undefined;
      throw error;
    }));
}
