import { nodeCrypto, type NodeCrypto } from './native.ts';
import { NONCE_BYTES, TAG_BYTES } from './aead.ts';
import { toBase64url } from './encoding.ts';

/** An AEAD with a key for every call. `sealed` begins with 24 bytes that it does not change. */
export interface Bulk {
  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    plaintext: Uint8Array,
    associatedData: Uint8Array,
    sealed: Uint8Array,
  ): void;
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associatedData: Uint8Array,
  ): Uint8Array | undefined;
}

/**
 * The cipher of `node:crypto`, or `undefined` where this runtime does not have all of it: other runtimes, FIPS builds,
 * and imitations of the module that lack a cipher, ignore the associated data, or report a wrong tag in their own way.
 * It is tested once, with a known answer and tampered ones; where any result differs, `@noble/ciphers` is used.
 */
export function nativeBulk(cipher: 'chacha20-poly1305' | 'aes-256-gcm'): Bulk | undefined {
  if (nodeCrypto === undefined) return undefined;
  try {
    const bulk = nodeBulk(nodeCrypto, cipher);
    return answersRightly(bulk, SHORT_NONCE_BYTES, KNOWN[cipher]) ? bulk : undefined;
  } catch {
    return undefined;
  }
}

/** Of the ciphers of `node:crypto`. */
const SHORT_NONCE_BYTES = 12;

const range = (from: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => from + index);

/** `ciphertext ‖ tag` of 33 bytes (0, 1, …) under the key 1, 2, …, the nonce 64, 65, … and the associated data 7, 8, …. */
const KNOWN: Readonly<Record<'chacha20-poly1305' | 'aes-256-gcm', string>> = {
  'chacha20-poly1305': 'x9xnsWxcFY3Pi6ZhzMjwFQdg05DmdCBEnO4n7-nWGduU1rWGkyJzf0wtdXtKdx3Y7w',
  'aes-256-gcm': '2pXecmtKCpm0lGiuGHsWDKhoI0MgJ66POedr5tPIkY0u4MPolpsgZUUsNVAZu5CwiA',
};

/** Whether it gives the known answer, and refuses tampered ones. */
export function answersRightly(bulk: Bulk, nonceBytes: number, known: string): boolean {
  const [key, nonce, plaintext, data] = [range(1, 32), range(64, nonceBytes), range(0, 33), range(7, 9)];
  const sealed = new Uint8Array(NONCE_BYTES + plaintext.length + TAG_BYTES);
  sealed.set(nonce);
  bulk.seal(key, nonce, plaintext, data, sealed);
  if (toBase64url(sealed.subarray(NONCE_BYTES)) !== known) return false;
  const opened = bulk.open(key, nonce, sealed, data);
  if (opened === undefined || toBase64url(opened) !== toBase64url(plaintext)) return false;
  // Each of these must be refused without an exception: an exception would hide that the record was tampered with.
  const changed = (at: number): Uint8Array => sealed.map((byte, index) => (index === at ? byte ^ 1 : byte));
  return (
    bulk.open(key, nonce, changed(NONCE_BYTES), data) === undefined &&
    bulk.open(key, nonce, changed(sealed.length - 1), data) === undefined &&
    bulk.open(key, nonce, sealed, range(8, 9)) === undefined
  );
}

function nodeBulk(node: NodeCrypto, name: 'chacha20-poly1305' | 'aes-256-gcm'): Bulk {
  // Both names share the signatures of authenticated ciphers; the type of one of them will do.
  const cipherName = name as 'aes-256-gcm';
  const options = { authTagLength: TAG_BYTES };
  return {
    seal(key, nonce, plaintext, associatedData, sealed) {
      // A key object: a raw key costs ten microseconds more per call on Node 24.
      const cipher = node.createCipheriv(cipherName, node.createSecretKey(key), nonce, options);
      cipher.setAAD(associatedData);
      sealed.set(cipher.update(plaintext), NONCE_BYTES);
      cipher.final();
      sealed.set(cipher.getAuthTag(), NONCE_BYTES + plaintext.length);
    },
    open(key, nonce, sealed, associatedData) {
      const tagStart = sealed.length - TAG_BYTES;
      const decipher = node.createDecipheriv(cipherName, node.createSecretKey(key), nonce, options);
      decipher.setAAD(associatedData);
      decipher.setAuthTag(sealed.subarray(tagStart));
      let plaintext: Uint8Array | undefined;
      try {
        plaintext = decipher.update(sealed.subarray(NONCE_BYTES, tagStart));
        decipher.final();
      } catch {
        plaintext?.fill(0);
        return undefined;
      }
      return plaintext;
    },
  };
}
