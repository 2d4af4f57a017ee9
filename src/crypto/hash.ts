import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { toBase64url } from './encoding.ts';
import { nodeCrypto, type NodeCrypto } from './native.ts';

/** SHA-256, HMAC-SHA256 and HKDF-SHA256 of the bytes below. */
const KNOWN = [
  'V2fWmpBtSGDbkHnrfpCrSlQ-XLAy_OhGVUrvbOtgDh0',
  '_GybSF7mbBZpr_ivFqpV6U5wXg95KdSDFbO_xQFjFxY',
  's4DSsnEnYJhBnDsL6izwdnq1SWHOKhR_DI9fcXueQ-xXM95F8SAVehk4',
].join();

/** Tested once on known answers: some implementations of `node:crypto` are incomplete. */
const native = nodeCrypto !== undefined && answersRightly(nodeCrypto) ? nodeCrypto : undefined;

function answersRightly(node: NodeCrypto): boolean {
  const range = (from: number, length: number): Uint8Array =>
    Uint8Array.from({ length }, (_, index) => from + index);
  const [key, data] = [range(1, 32), range(0, 70)];
  try {
    const mac = node.createHmac('sha256', node.createSecretKey(key));
    mac.update(data.subarray(0, 9));
    mac.update(data.subarray(9));
    const answers = [
      node.createHash('sha256').update(data).digest(),
      mac.digest(),
      new Uint8Array(node.hkdfSync('sha256', node.createSecretKey(key), new Uint8Array(0), range(0, 9), 42)),
    ];
    return answers.map(toBase64url).join() === KNOWN;
  } catch {
    return false;
  }
}

/** SHA-256 (FIPS 180-4). */
export const sha256: (data: Uint8Array) => Uint8Array =
  native === undefined
    ? nobleSha256
    : (data) => new Uint8Array(native.createHash('sha256').update(data).digest());

/** SHA-256 of the concatenation of all pieces. */
export function sha256InPieces(): { update(piece: Uint8Array): unknown; digest(): Uint8Array } {
  if (native === undefined) return nobleSha256.create();
  const hash = native.createHash('sha256');
  return { update: (piece) => hash.update(piece), digest: () => new Uint8Array(hash.digest()) };
}

/** HMAC-SHA256 (RFC 2104) of the concatenation of these pieces, under a key that stays the same over many calls. */
export function hmacSha256(key: Uint8Array): (...pieces: readonly Uint8Array[]) => Uint8Array {
  if (native === undefined) {
    return (...pieces) => {
      const mac = hmac.create(nobleSha256, key);
      for (const piece of pieces) mac.update(piece);
      return mac.digest();
    };
  }
  // A key object: a raw key costs ten microseconds more per call on Node 24.
  const keyObject = native.createSecretKey(key);
  return (...pieces) => {
    const mac = native.createHmac('sha256', keyObject);
    for (const piece of pieces) mac.update(piece);
    return new Uint8Array(mac.digest());
  };
}

/** HKDF-SHA256 (RFC 5869). */
export const hkdfSha256: (key: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number) => Uint8Array =
  native === undefined
    ? (key, salt, info, length) => hkdf(nobleSha256, key, salt, info, length)
    : (key, salt, info, length) =>
        // A key object: a raw key costs ten microseconds more per call on Node 24.
        new Uint8Array(native.hkdfSync('sha256', native.createSecretKey(key), salt, info, length));
