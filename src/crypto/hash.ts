import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { toBase64url } from './encoding.ts';
import {
  bytesOf,
  deriveByMacs,
  macByHashes,
  type Derivation,
  type HashInOneCall,
  type Mac,
} from './hash-in-one-call.ts';
import { nodeCrypto, type NodeCrypto } from './native.ts';

/** SHA-256, HMAC-SHA256 and HKDF-SHA256 of the bytes below. */
const KNOWN = [
  'V2fWmpBtSGDbkHnrfpCrSlQ-XLAy_OhGVUrvbOtgDh0',
  '_GybSF7mbBZpr_ivFqpV6U5wXg95KdSDFbO_xQFjFxY',
  's4DSsnEnYJhBnDsL6izwdnq1SWHOKhR_DI9fcXueQ-xXM95F8SAVehk4',
].join();

const range = (from: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => from + index);

/** Tested once on known answers: some implementations of `node:crypto` are incomplete. */
const native = nodeCrypto !== undefined && answersRightly(nodeCrypto) ? nodeCrypto : undefined;

/** The same for its hash in one call, which older versions and other runtimes lack. */
const inOneCall = native === undefined ? undefined : hashOf(native);

function answersRightly(node: NodeCrypto): boolean {
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

function hashOf(node: NodeCrypto): HashInOneCall | undefined {
  const [key, data] = [range(1, 32), range(0, 70)];
  const hash: HashInOneCall = (bytes) => node.hash('sha256', bytes, 'binary');
  try {
    const macOf = (bytes: Uint8Array): Mac => macByHashes(hash, hashPieces, bytes);
    const answers = [
      bytesOf(hash(data)),
      macOf(key)(data.subarray(0, 9), data.subarray(9)),
      deriveByMacs(macOf, key, new Uint8Array(0)).expand(range(0, 9), 42),
    ];
    return answers.map(toBase64url).join() === KNOWN ? hash : undefined;
  } catch {
    return undefined;
  }
}

/** SHA-256 (FIPS 180-4). */
export const sha256: (data: Uint8Array) => Uint8Array = sha256Of();

function sha256Of(): (data: Uint8Array) => Uint8Array {
  if (inOneCall !== undefined) return (data) => bytesOf(inOneCall(data));
  if (native === undefined) return nobleSha256;
  return (data) => new Uint8Array(native.createHash('sha256').update(data).digest());
}

/** SHA-256 of the concatenation of all pieces. */
export function sha256InPieces(): { update(piece: Uint8Array): unknown; digest(): Uint8Array } {
  if (native === undefined) return nobleSha256.create();
  const hash = native.createHash('sha256');
  return { update: (piece) => hash.update(piece), digest: () => new Uint8Array(hash.digest()) };
}

function hashPieces(pieces: readonly Uint8Array[]): Uint8Array {
  const hash = sha256InPieces();
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}

/** HMAC-SHA256 (RFC 2104) of the concatenation of these pieces, under a key that stays the same over many calls. */
export function hmacSha256(key: Uint8Array): Mac {
  if (inOneCall !== undefined) return macByHashes(inOneCall, hashPieces, key);
  const wipe = (): void => undefined;
  if (native === undefined) {
    const mac = (...pieces: readonly Uint8Array[]): Uint8Array => {
      const state = hmac.create(nobleSha256, key);
      for (const piece of pieces) state.update(piece);
      return state.digest();
    };
    return Object.assign(mac, { wipe });
  }
  // A key object: a raw key costs ten microseconds more per call on Node 24.
  const keyObject = native.createSecretKey(key);
  const mac = (...pieces: readonly Uint8Array[]): Uint8Array => {
    const state = native.createHmac('sha256', keyObject);
    for (const piece of pieces) state.update(piece);
    return new Uint8Array(state.digest());
  };
  return Object.assign(mac, { wipe });
}

/** HKDF-SHA256 (RFC 5869), for several keys from one. The key must not change until the last of them was derived. */
export function derivation(key: Uint8Array, salt: Uint8Array): Derivation {
  if (inOneCall !== undefined) return deriveByMacs(hmacSha256, key, salt);
  return {
    expand: (info, length) =>
      native === undefined
        ? hkdf(nobleSha256, key, salt, info, length)
        : new Uint8Array(native.hkdfSync('sha256', native.createSecretKey(key), salt, info, length)),
    wipe: () => undefined,
  };
}

/** One key by {@link derivation}. */
export function hkdfSha256(key: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const keys = derivation(key, salt);
  const result = keys.expand(info, length);
  keys.wipe();
  return result;
}
