import type { Aead } from './aead.ts';

// The function of `with-sodium.ts`, where libsodium is not loaded.

export const withSodium = (native: Aead, _key: Uint8Array): Aead => native;
