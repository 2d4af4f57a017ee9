import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { toBase64url } from './encoding.ts';
import { nodeCrypto, type NodeCrypto } from './native.ts';

/** Of SHA-256, in bytes. */
export const DIGEST_BYTES = 32;

/** SHA-256 of the bytes 0 to 69. */
const KNOWN = 'V2fWmpBtSGDbkHnrfpCrSlQ-XLAy_OhGVUrvbOtgDh0';

type HashInto = (data: Uint8Array, target: Uint8Array, offset: number) => void;

/** Tested once on a known answer: some implementations of `node:crypto` are incomplete. */
const native = nodeCrypto !== undefined && answersRightly(byObject(nodeCrypto)) ? nodeCrypto : undefined;

/** Writes the SHA-256 of `data` into `target`, where it needs {@link DIGEST_BYTES}. */
export const sha256Into: HashInto =
  native === undefined
    ? (data, target, offset) => target.set(nobleSha256(data), offset)
    : fastest(inOneCall(native), byObject(native));

/** SHA-256 (FIPS 180-4). */
export function sha256(data: Uint8Array): Uint8Array {
  const digest = new Uint8Array(DIGEST_BYTES);
  sha256Into(data, digest, 0);
  return digest;
}

/** SHA-256 of the concatenation of all pieces. */
export function sha256InPieces(): { update(piece: Uint8Array): unknown; digest(): Uint8Array } {
  if (native === undefined) return nobleSha256.create();
  const hash = native.createHash('sha256');
  return { update: (piece) => hash.update(piece), digest: () => new Uint8Array(hash.digest()) };
}

function byObject(node: NodeCrypto): HashInto {
  return (data, target, offset) => target.set(node.createHash('sha256').update(data).digest(), offset);
}

/**
 * As a text with one character a byte: on small inputs like ours a third of the time of a hash object, and half of
 * the time of a digest in a buffer. Older versions and other runtimes lack it.
 */
function inOneCall(node: NodeCrypto): HashInto {
  return (data, target, offset) => {
    const digest = node.hash('sha256', data, 'binary');
    for (let index = 0; index < DIGEST_BYTES; index++) target[offset + index] = digest.charCodeAt(index);
  };
}

function fastest(preferred: HashInto, other: HashInto): HashInto {
  return answersRightly(preferred) ? preferred : other;
}

function answersRightly(hash: HashInto): boolean {
  const digest = new Uint8Array(DIGEST_BYTES);
  try {
    hash(
      Uint8Array.from({ length: 70 }, (_, index) => index),
      digest,
      0,
    );
    return toBase64url(digest) === KNOWN;
  } catch {
    return false;
  }
}
