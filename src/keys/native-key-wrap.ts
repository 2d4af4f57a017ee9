import { TAG_BYTES } from '../crypto/aead.ts';
import { fromBase64url, toBase64url, utf8 } from '../crypto/encoding.ts';
import { nodeCrypto, type NodeCrypto } from '../crypto/native.ts';

/**
 * Data keys as compact JWEs with `A256KW` and `A256GCM` (RFC 7516, RFC 7518), byte for byte those of jose. jose
 * uses Web Crypto, where every step waits for a thread; the ciphers of `node:crypto` are synchronous. See decision
 * 65.
 */
export interface NativeKeyWrap {
  /**
   * @param contentKey 32 bytes for this data key alone.
   * @param nonce 12 bytes.
   */
  readonly wrap: (
    dek: Uint8Array,
    contentKey: Uint8Array,
    nonce: Uint8Array,
    headerSegment: string,
  ) => string;
  /** Throws when anything is not as it was wrapped. */
  readonly unwrap: (segments: readonly Uint8Array[], headerSegment: string) => Uint8Array;
}

/** The default initial value (RFC 3394, section 2.2.3.1). */
const INITIAL_VALUE = new Uint8Array(8).fill(0xa6);
/** 32 bytes under AES key wrap. */
const WRAPPED_BYTES = 40;

let isRight: boolean | undefined;

/**
 * `undefined` where `node:crypto` is missing or does not give exactly these bytes.
 *
 * @param kek 32 bytes.
 */
export function nativeKeyWrap(kek: Uint8Array): NativeKeyWrap | undefined {
  if (nodeCrypto === undefined) return undefined;
  isRight ??= answersRightly(nodeCrypto);
  return isRight ? keyWrap(nodeCrypto, kek) : undefined;
}

function keyWrap(node: NodeCrypto, kek: Uint8Array): NativeKeyWrap {
  const key = node.createSecretKey(kek);
  const options = { authTagLength: TAG_BYTES };
  return {
    wrap(dek, contentKey, nonce, headerSegment) {
      // `update` gives all bytes, and `final` none, as the test below shows.
      const encryptedKey = node.createCipheriv('id-aes256-wrap', key, INITIAL_VALUE).update(contentKey);
      const cipher = node.createCipheriv('aes-256-gcm', node.createSecretKey(contentKey), nonce, options);
      cipher.setAAD(utf8(headerSegment));
      const ciphertext = toBase64url(cipher.update(dek));
      cipher.final();
      const tag = toBase64url(cipher.getAuthTag());
      return `${headerSegment}.${toBase64url(encryptedKey)}.${toBase64url(nonce)}.${ciphertext}.${tag}`;
    },
    unwrap([, encryptedKey, nonce, ciphertext, tag], headerSegment) {
      if (encryptedKey?.length !== WRAPPED_BYTES || !nonce || !ciphertext || !tag) throw new RangeError();
      const unwrapping = node.createDecipheriv('id-aes256-wrap', key, INITIAL_VALUE);
      const contentKey = joined(unwrapping.update(encryptedKey), unwrapping.final());
      const decipher = node.createDecipheriv('aes-256-gcm', node.createSecretKey(contentKey), nonce, options);
      contentKey.fill(0);
      decipher.setAAD(utf8(headerSegment));
      decipher.setAuthTag(tag);
      const dek = joined(decipher.update(ciphertext));
      try {
        decipher.final();
        return dek;
      } catch (error) {
        dek.fill(0);
        throw error;
      }
    },
  };
}

/** The first segment of a compact JWE. */
export function headerSegmentOf(header: object): string {
  return toBase64url(utf8(JSON.stringify(header)));
}

/** The concatenation, in a buffer outside of the pool of small buffers, which is never wiped. Wipes the pieces. */
function joined(...pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
    piece.fill(0);
  }
  return whole;
}

/** Made by jose: a key-encryption key 1, 2, …, a content key 2, 3, …, a nonce 3, 4, … and a data key 4, 5, …. */
const KNOWN =
  'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIn0.gBzGjAnHtswMYakd8yMg0lLbhgAg4t4f1MiCZx1Fxmk14woQwvfp7g.AwQFBgcICQoLDA0O._CjrjEme_BP4mj19M-GSiU46NMmQXqww8Qgkt_gEeKM.STchtMJg2kwaxD5bsN1RhA';

/** Tested once, with a known answer and with a changed byte in each part of it. */
function answersRightly(node: NodeCrypto): boolean {
  const range = (from: number, length: number): Uint8Array =>
    Uint8Array.from({ length }, (_, index) => from + index);
  const parts = KNOWN.split('.').map((segment) => fromBase64url(segment) as Uint8Array);
  const [header] = KNOWN.split('.') as [string];
  try {
    const { wrap, unwrap } = keyWrap(node, range(1, 32));
    const made = wrap(range(4, 32), range(2, 32), range(3, 12), header);
    if (made !== KNOWN || toBase64url(unwrap(parts, header)) !== toBase64url(range(4, 32))) return false;
    const refuses = (...given: Parameters<typeof unwrap>): boolean => {
      try {
        unwrap(...given);
        return false;
      } catch {
        return true;
      }
    };
    const changed = [1, 2, 3, 4].map((part) =>
      parts.map((bytes, index) =>
        index === part ? bytes.map((byte, at) => (at === 5 ? byte ^ 1 : byte)) : bytes,
      ),
    );
    return changed.every((each) => refuses(each, header)) && refuses(parts, `${header}A`);
  } catch {
    return false;
  }
}
