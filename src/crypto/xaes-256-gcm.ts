import { loadAes, loadedAes } from './aes.ts';
import { nativeBulk, type Bulk } from './bulk.ts';
import { scratch, toBase64url } from './encoding.ts';
import { nodeCrypto, type NodeCrypto } from './native.ts';
import { NONCE_BYTES, TAG_BYTES, type Aead, type AeadFactory } from './aead.ts';

// XAES-256-GCM, C2SP specification: derives a key for every nonce with two blocks of AES-256.

const BLOCK_BYTES = 16;

interface Native {
  readonly node: NodeCrypto;
  readonly bulk: Bulk;
}

let known: { readonly native: Native | undefined } | undefined;

function nativeParts(): Native | undefined {
  return (known ??= { native: tryNative() }).native;
}

/** Loads what {@link xaes256gcm} needs; `undefined` where nothing is to be loaded. */
export function loadXaes256gcm(): Promise<unknown> | undefined {
  return nativeParts() === undefined ? loadAes() : undefined;
}

/** Native where the runtime has AES, `@noble/ciphers` elsewhere ({@link loadXaes256gcm}): the same bytes. */
export const xaes256gcm: AeadFactory = (key) => {
  const native = nativeParts();
  return native === undefined ? nobleXaes256gcm(key) : xaes(nodeBlocks(native.node, key), native.bulk);
};

/** Everything by `@noble/ciphers`. */
export const nobleXaes256gcm: AeadFactory = (key) => xaes(nobleBlocks(key), nobleBulk);

function tryNative(): Native | undefined {
  const bulk = nativeBulk('aes-256-gcm');
  return bulk === undefined || nodeCrypto === undefined || !hasBlocks(nodeCrypto)
    ? undefined
    : { node: nodeCrypto, bulk };
}

/** AES-256 of one and of two blocks of bytes 16 and 32 under a key of bytes 1, by the number of bytes. */
const KNOWN_BLOCKS: Readonly<Record<number, string>> = {
  16: 'zOGkEVVmdYcSMHG-sw7VyA',
  32: 'sXULJTIdhLJXbHKpH7E4fbF1CyUyHYSyV2xyqR-xOH0',
};

/**
 * Whether one cipher object encrypts block after block: some runtimes lack the mode, or return data only at the
 * end.
 */
function hasBlocks(node: NodeCrypto): boolean {
  try {
    const key = new Uint8Array(32).fill(1);
    const native = nodeBlocks(node, key);
    const right = [16, 32].every((size) => {
      const blocks = new Uint8Array(size).fill(size);
      return toBase64url(native.encrypt(blocks)) === KNOWN_BLOCKS[size];
    });
    native.wipe();
    return right;
  } catch {
    return false;
  }
}

/** AES-256 of each block, without chaining. */
interface Blocks {
  encrypt(blocks: Uint8Array): Uint8Array;
  wipe(): void;
}

function nobleBlocks(key: Uint8Array): Blocks {
  const copy = new Uint8Array(key);
  return {
    encrypt(blocks) {
      const out = new Uint8Array(blocks.length);
      for (let start = 0; start < blocks.length; start += BLOCK_BYTES) {
        const block = blocks.subarray(start, start + BLOCK_BYTES);
        // Zeros in counter mode become the encrypted counter. ECB would bring the decryption of AES into bundles.
        out.set(loadedAes().ctr(copy, block).encrypt(new Uint8Array(BLOCK_BYTES)), start);
      }
      return out;
    },
    wipe: () => void copy.fill(0),
  };
}

function nodeBlocks(node: NodeCrypto, key: Uint8Array): Blocks {
  // One cipher object: blocks of ECB do not depend on each other, and a new object for each call costs more than
  // the blocks.
  const cipher = node.createCipheriv('aes-256-ecb', node.createSecretKey(key), null).setAutoPadding(false);
  return { encrypt: (blocks) => cipher.update(blocks), wipe: () => void cipher.final() };
}

const nobleBulk: Bulk = {
  seal(key, nonce, plaintext, associatedData, sealed) {
    sealed.set(loadedAes().gcm(key, nonce, associatedData).encrypt(plaintext), NONCE_BYTES);
  },
  open(key, nonce, sealed, associatedData) {
    const { gcm } = loadedAes();
    try {
      return gcm(key, nonce, associatedData).decrypt(sealed.subarray(NONCE_BYTES));
    } catch {
      return undefined;
    }
  },
};

function xaes(blocks: Blocks, bulk: Bulk): Aead {
  // K1 is L doubled in GF(2^128), L the encryption of the zero block.
  const k1 = double(blocks.encrypt(new Uint8Array(16)));
  const counters = new Uint8Array(32);
  const derive = (nonce: Uint8Array): Uint8Array => {
    for (let block = 0; block < 2; block++) {
      const start = block * 16;
      counters.set([0, block + 1, 0x58, 0], start);
      counters.set(nonce.subarray(0, 12), start + 4);
      for (let index = 0; index < 16; index++) {
        counters[start + index] = (counters[start + index] as number) ^ (k1[index] as number);
      }
    }
    return blocks.encrypt(counters);
  };
  return {
    seal(nonce, plaintext, associatedData) {
      const sealed = scratch(NONCE_BYTES + plaintext.length + TAG_BYTES);
      sealed.set(nonce);
      const subkey = derive(nonce);
      bulk.seal(subkey, nonce.subarray(12, NONCE_BYTES), plaintext, associatedData, sealed);
      subkey.fill(0);
      return sealed;
    },
    open(sealed, associatedData) {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const subkey = derive(sealed);
      const plaintext = bulk.open(subkey, sealed.subarray(12, NONCE_BYTES), sealed, associatedData);
      subkey.fill(0);
      return plaintext;
    },
    wipe() {
      k1.fill(0);
      counters.fill(0);
      blocks.wipe();
    },
  };
}

/** Multiplication by x in GF(2^128), as in CMAC (NIST SP 800-38B section 6.1), without a branch on the key. */
function double(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(16);
  let carry = 0;
  for (let index = 15; index >= 0; index--) {
    const byte = block[index] as number;
    out[index] = ((byte << 1) | carry) & 0xff;
    carry = byte >> 7;
  }
  out[15] = (out[15] as number) ^ (-carry & 0x87);
  return out;
}
