/** Authenticated encryption under one key. Both suites have nonces of 24 bytes and tags of 16. */
export interface Aead {
  /** `nonce ‖ ciphertext ‖ tag`. The caller must use each nonce once. */
  seal(nonce: Uint8Array, plaintext: Uint8Array, associatedData: Uint8Array): Uint8Array;
  /** The plaintext, or `undefined` when anything differs from the sealed input. */
  open(sealed: Uint8Array, associatedData: Uint8Array): Uint8Array | undefined;
  /** Overwrites the copies of the key in this code; the `Aead` must not be used again. */
  wipe(): void;
}

/** Makes an {@link Aead} from a key of 32 bytes. The key is copied. */
export type AeadFactory = (key: Uint8Array) => Aead;

export const NONCE_BYTES = 24;
export const TAG_BYTES = 16;
