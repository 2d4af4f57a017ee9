/**
 * SHA-256 in one call, its digest as a text with one character a byte. On small inputs like ours it takes a third
 * of the time of a hash object of `node:crypto`; objects for a MAC or a derivation take even longer.
 */
export type HashInOneCall = (data: Uint8Array) => string;

/** HMAC-SHA256 under one key. */
export interface Mac {
  /** Of the concatenation of these pieces. */
  (...pieces: readonly Uint8Array[]): Uint8Array;
  /** Overwrites the copies of the key in this code; the function must not be used again. */
  readonly wipe: () => void;
}

/** Of SHA-256, in bytes. */
const BLOCK = 64;
const DIGEST = 32;
/** Longer inputs are hashed piece by piece: copying them would cost more. */
const MOST = 16_384;

// Calls are synchronous and do not nest.
const scratch = new Uint8Array(BLOCK + MOST);

export function bytesOf(digest: string): Uint8Array {
  const bytes = new Uint8Array(digest.length);
  for (let index = 0; index < digest.length; index++) bytes[index] = digest.charCodeAt(index);
  return bytes;
}

/**
 * HMAC (RFC 2104) as two hashes: `H((K ⊕ opad) ‖ H((K ⊕ ipad) ‖ text))`.
 *
 * @param hashPieces As `hash`, for long inputs.
 */
export function macByHashes(
  hash: HashInOneCall,
  hashPieces: (pieces: readonly Uint8Array[]) => Uint8Array,
  key: Uint8Array,
): Mac {
  const inner = new Uint8Array(BLOCK);
  inner.set(key.length > BLOCK ? bytesOf(hash(key)) : key);
  const outer = new Uint8Array(BLOCK + DIGEST);
  for (let index = 0; index < BLOCK; index++) {
    outer[index] = (inner[index] as number) ^ 0x5c;
    inner[index] = (inner[index] as number) ^ 0x36;
  }

  function innerHash(pieces: readonly Uint8Array[]): void {
    let end = BLOCK;
    for (const piece of pieces) end += piece.length;
    if (end > scratch.length) {
      outer.set(hashPieces([inner, ...pieces]), BLOCK);
      return;
    }
    scratch.set(inner);
    let offset = BLOCK;
    for (const piece of pieces) {
      scratch.set(piece, offset);
      offset += piece.length;
    }
    const digest = hash(scratch.subarray(0, end));
    // No key and no input stays in memory.
    scratch.fill(0, 0, end);
    for (let index = 0; index < DIGEST; index++) outer[BLOCK + index] = digest.charCodeAt(index);
  }

  const mac = (...pieces: readonly Uint8Array[]): Uint8Array => {
    innerHash(pieces);
    const digest = bytesOf(hash(outer));
    outer.fill(0, BLOCK);
    return digest;
  };
  return Object.assign(mac, {
    wipe() {
      inner.fill(0);
      outer.fill(0);
    },
  });
}

/** Keys derived from one key (RFC 5869). */
export interface Derivation {
  expand(info: Uint8Array, length: number): Uint8Array;
  wipe(): void;
}

/** @param macOf HMAC-SHA256 under a key. */
export function deriveByMacs(macOf: (key: Uint8Array) => Mac, key: Uint8Array, salt: Uint8Array): Derivation {
  const extract = macOf(salt);
  const pseudorandomKey = extract(key);
  extract.wipe();
  const mac = macOf(pseudorandomKey);
  pseudorandomKey.fill(0);
  return {
    expand(info, length) {
      if (length > 255 * DIGEST) throw new RangeError('HKDF gives at most 255 digests.');
      const result = new Uint8Array(length);
      let block = new Uint8Array(0);
      for (let count = 1, offset = 0; offset < length; count++, offset += DIGEST) {
        block = new Uint8Array(mac(block, info, Uint8Array.of(count)));
        result.set(block.subarray(0, length - offset), offset);
      }
      return result;
    },
    wipe: mac.wipe,
  };
}
