import { hchacha, xchacha20poly1305 as noble } from '@noble/ciphers/chacha.js';
import { nativeBulk, type Bulk } from './bulk.ts';
import { scratch } from './encoding.ts';
import { NONCE_BYTES, TAG_BYTES, type Aead, type AeadFactory } from './aead.ts';
import { withSodium } from './with-sodium.ts';

// XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03.

/** "expand 32-byte k" */
const SIGMA = new Uint32Array(new TextEncoder().encode('expand 32-byte k').buffer);

let native: Bulk | undefined | null = null;

/**
 * Native bulk encryption where the runtime has it, `@noble/ciphers` elsewhere, and libsodium for small texts: the same
 * bytes.
 */
export const xchacha20poly1305: AeadFactory = (key) => withSodium(nativeXchacha20poly1305(key), key);

/** Without libsodium. */
export const nativeXchacha20poly1305: AeadFactory = (key) => {
  if (native === null) native = nativeBulk('chacha20-poly1305');
  return native === undefined ? nobleXchacha20poly1305(key) : hybridXchacha20poly1305(key, native);
};

/** Everything by `@noble/ciphers`. */
export const nobleXchacha20poly1305: AeadFactory = (key) => {
  const copy = new Uint8Array(key);
  return {
    seal(nonce, plaintext, associatedData) {
      const sealed = scratch(NONCE_BYTES + plaintext.length + TAG_BYTES);
      sealed.set(nonce);
      sealed.set(noble(copy, nonce, associatedData).encrypt(plaintext), NONCE_BYTES);
      return sealed;
    },
    open(sealed, associatedData) {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
      try {
        const cipher = noble(copy, sealed.subarray(0, NONCE_BYTES), associatedData);
        return cipher.decrypt(sealed.subarray(NONCE_BYTES));
      } catch {
        return undefined;
      }
    },
    wipe() {
      copy.fill(0);
    },
  };
};

// For all keys: calls are synchronous and do not nest.
const nonceWords = new Uint32Array(4);
const nonceHead = new Uint8Array(nonceWords.buffer);
const subkeyWords = new Uint32Array(8);
const subkey = new Uint8Array(subkeyWords.buffer);
const shortNonce = new Uint8Array(12);

/** The subkey of each nonce by noble's HChaCha20 (section 2.2), the bulk by a native ChaCha20-Poly1305. */
function hybridXchacha20poly1305(key: Uint8Array, bulk: Bulk): Aead {
  subkey.set(key);
  const keyWords = subkeyWords.slice();
  subkey.fill(0);
  /** Leaves the subkey and the 12-byte nonce in the scratch arrays. */
  const derive = (nonce: Uint8Array): void => {
    // Two views would take longer than these 24 bytes.
    for (let index = 0; index < 16; index++) nonceHead[index] = nonce[index] as number;
    for (let index = 16; index < NONCE_BYTES; index++) shortNonce[index - 12] = nonce[index] as number;
    hchacha(SIGMA, keyWords, nonceWords, subkeyWords);
  };
  return {
    seal(nonce, plaintext, associatedData) {
      const sealed = scratch(NONCE_BYTES + plaintext.length + TAG_BYTES);
      sealed.set(nonce);
      derive(nonce);
      bulk.seal(subkey, shortNonce, plaintext, associatedData, sealed);
      subkey.fill(0);
      return sealed;
    },
    open(sealed, associatedData) {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
      derive(sealed);
      const plaintext = bulk.open(subkey, shortNonce, sealed, associatedData);
      subkey.fill(0);
      return plaintext;
    },
    wipe() {
      keyWords.fill(0);
    },
  };
}
