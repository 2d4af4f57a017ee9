import { DIGEST_BYTES, sha256Into, sha256InPieces } from './hash.ts';

// HMAC and HKDF are a few lines over a hash, and one code for all runtimes: objects of `node:crypto` for a MAC or a
// derivation take several times as long as its hash of small inputs, and those of `@noble/hashes` are more code.

/** HMAC-SHA256 under one key. */
export interface Mac {
  /** Of the concatenation of these pieces. */
  (...pieces: readonly Uint8Array[]): Uint8Array;
  /** Overwrites the copies of the key in this code; the function must not be used again. */
  readonly wipe: () => void;
}

/** Of SHA-256, in bytes. */
const BLOCK = 64;
const IPAD = 0x36;
const OPAD = 0x5c;
/** Longer inputs are hashed piece by piece: copying them would cost more. */
const MOST = 16_384;

// Calls are synchronous and do not nest.
const scratch = new Uint8Array(BLOCK + MOST);
const outer = new Uint8Array(BLOCK + DIGEST_BYTES);

/**
 * HMAC-SHA256 (RFC 2104) under a key that stays the same over many calls, as two hashes:
 * `H((K ⊕ opad) ‖ H((K ⊕ ipad) ‖ text))`.
 */
export function hmacSha256(key: Uint8Array): Mac {
  // `K ⊕ ipad`. V8 has arrays of at most 64 bytes in its heap; for a larger one it asks the system for memory.
  const inner = new Uint8Array(BLOCK);
  if (key.length > BLOCK) sha256Into(key, inner, 0);
  else inner.set(key);
  for (let index = 0; index < BLOCK; index++) inner[index] = (inner[index] as number) ^ IPAD;
  const mac = (...pieces: readonly Uint8Array[]): Uint8Array => {
    innerHash(inner, pieces);
    for (let index = 0; index < BLOCK; index++) outer[index] = (inner[index] as number) ^ IPAD ^ OPAD;
    const digest = new Uint8Array(DIGEST_BYTES);
    sha256Into(outer, digest, 0);
    outer.fill(0);
    return digest;
  };
  return Object.assign(mac, { wipe: () => void inner.fill(0) });
}

/** Leaves `H((K ⊕ ipad) ‖ text)` at its place in the input of the outer hash. */
function innerHash(inner: Uint8Array, pieces: readonly Uint8Array[]): void {
  let end = BLOCK;
  for (const piece of pieces) end += piece.length;
  if (end > scratch.length) {
    const hash = sha256InPieces();
    hash.update(inner);
    for (const piece of pieces) hash.update(piece);
    outer.set(hash.digest(), BLOCK);
    return;
  }
  scratch.set(inner);
  let offset = BLOCK;
  for (const piece of pieces) {
    scratch.set(piece, offset);
    offset += piece.length;
  }
  sha256Into(scratch.subarray(0, end), outer, BLOCK);
  // No key and no input stays in memory.
  scratch.fill(0, 0, end);
}

const NO_BLOCK = new Uint8Array(0);

/** Keys derived from one key (RFC 5869). */
export interface Derivation {
  /** @param info Its pieces. */
  expand(length: number, ...info: readonly Uint8Array[]): Uint8Array;
  wipe(): void;
}

/** HKDF-SHA256 (RFC 5869), for several keys from one. */
export function derivation(key: Uint8Array, salt: Uint8Array): Derivation {
  const extract = hmacSha256(salt);
  const pseudorandomKey = extract(key);
  extract.wipe();
  const mac = hmacSha256(pseudorandomKey);
  pseudorandomKey.fill(0);
  const counter = new Uint8Array(1);
  return {
    expand(length, ...info) {
      if (length > 255 * DIGEST_BYTES) throw new RangeError('HKDF gives at most 255 digests.');
      const result = new Uint8Array(length);
      let block: Uint8Array = NO_BLOCK;
      for (let offset = 0; offset < length; offset += DIGEST_BYTES) {
        counter[0] = offset / DIGEST_BYTES + 1;
        block = mac(block, ...info, counter);
        result.set(block.subarray(0, length - offset), offset);
      }
      block.fill(0);
      return result;
    },
    wipe: mac.wipe,
  };
}

/** One key by {@link derivation}. */
export function hkdfSha256(key: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const keys = derivation(key, salt);
  const result = keys.expand(length, info);
  keys.wipe();
  return result;
}
