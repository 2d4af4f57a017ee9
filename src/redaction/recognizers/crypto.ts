import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { hasLongRun, standsFree } from '../boundary.ts';
import { CLUE } from '../clues.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const BASE58_ADDRESS = /(?<!\w)[13LMDT][1-9A-HJ-NP-Za-km-z]{25,34}(?!\w)/g;
const BECH32_ADDRESS = /(?<!\w)(?:bc1|tb1|ltc1|BC1|TB1|LTC1)[02-9ac-hj-np-zAC-HJ-NP-Z]{11,71}(?!\w)/g;
const ETHEREUM_ADDRESS = /(?<!\w)0x[0-9A-Fa-f]{40}(?!\w)/g;

/** Bitcoin (Base58Check, BIP 173, BIP 350) and related currencies, Ethereum (EIP-55): each proven by its checksum. */
export const cryptoRecognizer: BuiltInRecognizer = {
  name: 'crypto',
  entities: ['CRYPTO'],
  patterns: [BASE58_ADDRESS, BECH32_ADDRESS, ETHEREUM_ADDRESS],
  clues: CLUE.run14,
  analyze(text): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    const search = (pattern: RegExp, isValid: (address: string) => boolean): void => {
      for (const match of text.matchAll(pattern)) {
        const start = match.index;
        const end = start + match[0].length;
        if (!standsFree(text, start, end) || !isValid(match[0])) continue;
        found.push({ entityType: 'CRYPTO', start, end, score: 1, validated: true });
      }
    };
    if (hasLongRun(text, 26)) search(BASE58_ADDRESS, isBase58Check);
    if (/[bc]1/i.test(text)) search(BECH32_ADDRESS, isBech32);
    if (text.includes('0x')) search(ETHEREUM_ADDRESS, isEthereum);
    return found;
  },
};

function isBase58Check(address: string): boolean {
  let value = 0n;
  for (const character of address) value = value * 58n + BigInt(BASE58.indexOf(character));
  const bytes = new Uint8Array(25);
  for (let index = 24; index >= 0; index--) {
    bytes[index] = Number(value & 255n);
    value >>= 8n;
  }
  if (value !== 0n) return false;
  const check = sha256(sha256(bytes.subarray(0, 21)));
  return bytes.subarray(21).every((byte, index) => byte === check[index]);
}

function isBech32(address: string): boolean {
  const lower = address.toLowerCase();
  if (address !== lower && address !== address.toUpperCase()) return false;
  const separator = lower.lastIndexOf('1');
  const prefix = lower.slice(0, separator);
  const values = Array.from(lower.slice(separator + 1), (character) => BECH32.indexOf(character));
  if (values.includes(-1)) return false;
  const codes = Array.from(prefix, (character) => character.charCodeAt(0));
  const check = polymod([...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31), ...values]);
  return check === 1 || check === 0x2bc830a3; // Bech32, Bech32m
}

function polymod(values: readonly number[]): number {
  const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
  let check = 1;
  for (const value of values) {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ value;
    for (const [bit, term] of generator.entries()) if ((top >>> bit) & 1) check ^= term;
  }
  return check >>> 0;
}

/** One case throughout carries no checksum; 40 hexadecimal digits after 0x are hardly ever another value. */
function isEthereum(address: string): boolean {
  const body = address.slice(2);
  const lower = body.toLowerCase();
  if (/^(.)\1*$/.test(lower)) return false;
  if (body === lower || body === body.toUpperCase()) return true;
  const hash = keccak_256(Uint8Array.from(lower, (character) => character.charCodeAt(0)));
  return Array.from(body).every((character, index) => {
    const nibble = ((hash[index >> 1] as number) >> (index % 2 === 0 ? 4 : 0)) & 15;
    return character === (nibble >= 8 ? character.toUpperCase() : character.toLowerCase());
  });
}
