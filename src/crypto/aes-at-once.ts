import { aeskw, ctr, gcm } from '@noble/ciphers/aes.js';
import type { Aes, AesKeyWrap } from './aes.ts';

// The functions of `aes.ts`, where AES is loaded already.

const AES: Aes = { ctr, gcm };

export const loadAes = async (): Promise<Aes> => Promise.resolve(AES);

export const loadAesKeyWrap = async (): Promise<AesKeyWrap> => Promise.resolve({ aeskw, gcm });

export const loadedAes = (): Aes => AES;
