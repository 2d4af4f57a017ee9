import { NONCE_BYTES, TAG_BYTES, type Aead } from './aead.ts';
import { scratch } from './encoding.ts';
import { sodium } from './sodium.ts';

// Bundles for browsers have `without-sodium.ts` in place of this file, by `browser` in package.json: libsodium is larger
// than all of such a bundle.

/**
 * Seals and opens small texts by libsodium as soon as it is loaded, and all others by `native`, which gives the same
 * bytes.
 *
 * @param key Is copied.
 */
export function withSodium(native: Aead, key: Uint8Array): Aead {
  const copy = new Uint8Array(key);
  return {
    seal(nonce, plaintext, associatedData) {
      const bulk = sodium(plaintext.length, associatedData.length);
      if (bulk === undefined) return native.seal(nonce, plaintext, associatedData);
      const sealed = scratch(NONCE_BYTES + plaintext.length + TAG_BYTES);
      sealed.set(nonce);
      bulk.seal(copy, nonce, plaintext, associatedData, sealed);
      return sealed;
    },
    open(sealed, associatedData) {
      const length = sealed.length - NONCE_BYTES - TAG_BYTES;
      const bulk = length < 0 ? undefined : sodium(length, associatedData.length);
      if (bulk === undefined) return native.open(sealed, associatedData);
      return bulk.open(copy, sealed, sealed, associatedData);
    },
    wipe() {
      copy.fill(0);
      native.wipe();
    },
  };
}
