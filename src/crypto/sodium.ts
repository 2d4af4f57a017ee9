// oxlint-disable-next-line typescript/triple-slash-reference -- the package has no types, and a program of a few files has to find ours
/// <reference path="./libsodium.d.ts" />
import { NONCE_BYTES, TAG_BYTES } from './aead.ts';
import { answersRightly, type Bulk } from './bulk.ts';
import { scratch } from './encoding.ts';

// XChaCha20-Poly1305 of libsodium in WebAssembly, for small texts: a call makes no objects, while each cipher of
// `node:crypto` makes six, most of whose time is that of the garbage collector. See decision 103.

/** The longest plaintext, in bytes: `node:crypto` takes less time for longer ones. */
const MAX_TEXT = 3_072;
const MAX_DATA = 2_048;
const KEY_BYTES = 32;

/** How many calls a process has made when it loads libsodium: one that makes fewer would not regain that time. */
const CALLS_BEFORE = 64;

/** What {@link answersRightly} wants, which `@noble/ciphers` gives. */
const KNOWN = 'Dww28NPzhguKes-KpbxIO0ktL9o59CozRLfZmUIsARDhZQ7iFRerpgSVy9qWHkGwJg';

/** What is used of the module, which has no types. A length is a number of 64 bits in two halves. */
interface Sodium {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  readonly _crypto_aead_xchacha20poly1305_ietf_encrypt: (
    sealed: number,
    noSealedLength: 0,
    text: number,
    textLength: number,
    textLengthHigh: 0,
    data: number,
    dataLength: number,
    dataLengthHigh: 0,
    noSecretNonce: 0,
    nonce: number,
    key: number,
  ) => number;
  readonly _crypto_aead_xchacha20poly1305_ietf_decrypt: (
    text: number,
    noTextLength: 0,
    noSecretNonce: 0,
    sealed: number,
    sealedLength: number,
    sealedLengthHigh: 0,
    data: number,
    dataLength: number,
    dataLengthHigh: 0,
    nonce: number,
    key: number,
  ) => number;
}

let calls = 0;
let loaded: Bulk | undefined;

/**
 * libsodium for a plaintext and associated data of these lengths; `undefined` until it is loaded, which begins after
 * some calls, where it cannot be loaded or answers wrongly, and where `node:crypto` is faster.
 */
export function sodium(textLength: number, dataLength: number): Bulk | undefined {
  if (textLength > MAX_TEXT || dataLength > MAX_DATA) return undefined;
  if (calls < CALLS_BEFORE && ++calls === CALLS_BEFORE) void loadSodium();
  return loaded;
}

/** Resolves when {@link sodium} has what it will have. */
export async function loadSodium(): Promise<void> {
  try {
    // libsodium throws where nobody can catch it when a runtime compiles no WebAssembly: some edge runtimes, a process
    // that builds a startup snapshot.
    await (globalThis as unknown as WithWebAssembly).WebAssembly.compile(EMPTY_MODULE);
    const { default: start } = (await import('libsodium')) as { default: () => Promise<Sodium> };
    const bulk = sodiumBulk(await start());
    if (answersRightly(bulk, NONCE_BYTES, KNOWN)) loaded = bulk;
  } catch {
    // A runtime that compiles no WebAssembly, a bundle without the package: `node:crypto` seals all.
  }
}

interface WithWebAssembly {
  readonly WebAssembly: { compile(bytes: Uint8Array): Promise<unknown> };
}

/** The magic number and the version. */
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

function sodiumBulk(module: Sodium): Bulk {
  const {
    _crypto_aead_xchacha20poly1305_ietf_encrypt: encrypt,
    _crypto_aead_xchacha20poly1305_ietf_decrypt: decrypt,
  } = module;
  // The memory of the module holds one input at a time: calls are synchronous and do not nest.
  const key = module._malloc(KEY_BYTES + MAX_DATA + 2 * (NONCE_BYTES + MAX_TEXT + TAG_BYTES));
  const data = key + KEY_BYTES;
  const nonce = data + MAX_DATA;
  const input = nonce + NONCE_BYTES;
  const output = input + MAX_TEXT + TAG_BYTES;
  const put = (bytes: Uint8Array, place: number): void => module.HEAPU8.set(bytes, place);
  const wipe = (place: number, length: number): unknown => module.HEAPU8.fill(0, place, place + length);
  return {
    seal(keyBytes, nonceBytes, plaintext, associatedData, sealed) {
      const { length } = plaintext;
      put(keyBytes, key);
      put(associatedData, data);
      put(nonceBytes, nonce);
      put(plaintext, input);
      encrypt(output, 0, input, length, 0, data, associatedData.length, 0, 0, nonce, key);
      sealed.set(module.HEAPU8.subarray(output, output + length + TAG_BYTES), NONCE_BYTES);
      wipe(key, KEY_BYTES);
      wipe(input, length);
    },
    open(keyBytes, _nonce, sealed, associatedData) {
      const length = sealed.length - NONCE_BYTES;
      put(keyBytes, key);
      put(associatedData, data);
      // The nonce and, behind it, the input.
      put(sealed, nonce);
      const failed = decrypt(output, 0, 0, input, length, 0, data, associatedData.length, 0, nonce, key);
      wipe(key, KEY_BYTES);
      if (failed !== 0) return undefined;
      const plaintext = scratch(length - TAG_BYTES);
      plaintext.set(module.HEAPU8.subarray(output, output + plaintext.length));
      wipe(output, plaintext.length);
      return plaintext;
    },
  };
}
