import { NONCE_BYTES } from './aead.ts';

// One call for many nonces: asking the generator 24 bytes at a time costs more than the subkey of a nonce. Few enough
// that little lies around, and what was taken is wiped.
const pool = new Uint8Array(NONCE_BYTES * 64);
let next = pool.length;

/** A fresh random nonce. */
export function randomNonce(): Uint8Array {
  if (next === pool.length) {
    globalThis.crypto.getRandomValues(pool);
    next = 0;
  }
  const nonce = pool.slice(next, next + NONCE_BYTES);
  pool.fill(0, next, next + NONCE_BYTES);
  next += NONCE_BYTES;
  return nonce;
}
