import { createHash, createHmac, hkdfSync } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toBase64url } from '../../src/crypto/encoding.ts';
import { sha256 } from '../../src/crypto/hash.ts';
import { derivation, hmacSha256, hkdfSha256 } from '../../src/crypto/mac.ts';

const text = (bytes: ArrayBuffer | Uint8Array): string => toBase64url(new Uint8Array(bytes));

/** Of every length around the block, and around what is hashed in one call. */
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.integer({ min: 16_200, max: 16_500 }).map((length) => new Uint8Array(length).fill(length & 0xff)),
);

describe('what strongroom hashes by node:crypto', () => {
  it('is SHA-256', () => {
    fc.assert(
      fc.property(anyBytes, (data) => {
        expect(text(sha256(data))).toBe(createHash('sha256').update(data).digest('base64url'));
      }),
    );
  });

  it('is HMAC-SHA256 of any pieces under any key, also when other keys were used in between', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 150 }),
        fc.uint8Array({ maxLength: 70 }),
        fc.array(anyBytes, { maxLength: 3 }),
        (key, other, pieces) => {
          const macs = [key, other].map((each) => ({ mac: hmacSha256(each), each }));
          for (const { mac, each } of [...macs, ...macs]) {
            const expected = createHmac('sha256', each);
            for (const piece of pieces) expected.update(piece);
            expect(text(mac(...pieces))).toBe(expected.digest('base64url'));
          }
        },
      ),
    );
  });

  it('is HKDF-SHA256 of any length, one by one and several from one key', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.uint8Array({ maxLength: 100 }),
        fc.uint8Array({ maxLength: 100 }),
        fc.integer({ min: 1, max: 200 }),
        (key, salt, info, length) => {
          const expected = text(hkdfSync('sha256', key, salt, info, length));
          expect(text(hkdfSha256(key, salt, info, length))).toBe(expected);
          const keys = derivation(key, salt);
          keys.expand(32, new Uint8Array(3));
          expect(text(keys.expand(length, info))).toBe(expected);
        },
      ),
    );
  });

  it('gives another MAC after the key was overwritten', () => {
    const mac = hmacSha256(new Uint8Array(32).fill(9));
    const before = text(mac(Uint8Array.of(1)));
    mac.wipe();
    expect(text(mac(Uint8Array.of(1)))).not.toBe(before);
  });
});
