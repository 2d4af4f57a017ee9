import { gcm } from '@noble/ciphers/aes.js';
import { shake128 } from '@noble/hashes/sha3.js';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadAes } from '../../src/crypto/aes.ts';
import { nativeBulk } from '../../src/crypto/bulk.ts';
import { hkdfSha256 } from '../../src/crypto/mac.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import type { AeadFactory } from '../../src/crypto/aead.ts';
import { suite, SUITE_NAMES } from '../../src/crypto/suite.ts';
import { nobleXaes256gcm, xaes256gcm } from '../../src/crypto/xaes-256-gcm.ts';
import {
  nativeXchacha20poly1305,
  nobleXchacha20poly1305,
  xchacha20poly1305,
} from '../../src/crypto/xchacha20-poly1305.ts';
import { loadSodium, sodium } from '../../src/crypto/sodium.ts';
import { hex, sharedVectors, type AeadTest, type Group } from './vectors.ts';

const XCHACHA = {
  native: nativeXchacha20poly1305,
  sodium: xchacha20poly1305,
  noble: nobleXchacha20poly1305,
};
const XAES = { native: xaes256gcm, noble: nobleXaes256gcm };

beforeAll(loadAes);
beforeAll(loadSodium);

function toHex(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('hex');
}

/** The result of `action`, `undefined` when it throws. */
function attempt(action: () => Uint8Array | undefined): string | undefined {
  try {
    return toHex(action());
  } catch {
    return undefined;
  }
}

describe('XChaCha20-Poly1305', () => {
  const vectors = sharedVectors('xchacha20_poly1305_test.json') as
    { testGroups: Group<AeadTest>[] } | undefined;

  it.skipIf(vectors === undefined).each(Object.entries(XCHACHA))(
    'agrees with all 315 vectors of Wycheproof (%s)',
    (_, factory) => {
      let tests = 0;
      const wrong: number[] = [];
      for (const group of vectors?.testGroups ?? []) {
        for (const test of group.tests) {
          tests++;
          // Nonces of another size cannot occur in our format: a body begins with 24 bytes of nonce.
          if (group.ivSize !== 192) {
            if (test.result === 'valid') wrong.push(test.tcId);
            continue;
          }
          const aead = factory(hex(test.key));
          const sealed = test.iv + test.ct + test.tag;
          const valid = test.result === 'valid';
          const opened = toHex(aead.open(hex(sealed), hex(test.aad)));
          if (opened !== (valid ? test.msg : undefined)) wrong.push(test.tcId);
          if (valid && toHex(aead.seal(hex(test.iv), hex(test.msg), hex(test.aad))) !== sealed) {
            wrong.push(test.tcId);
          }
        }
      }
      expect(wrong).toEqual([]);
      expect(tests).toBe(315);
    },
  );

  it.each(Object.entries(XCHACHA))('gives the bytes of the draft, appendix A.3.1 (%s)', (_, factory) => {
    const aead = factory(hex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f'));
    const nonce = hex('404142434445464748494a4b4c4d4e4f5051525354555657');
    const text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    const sealed = aead.seal(nonce, new TextEncoder().encode(text), hex('50515253c0c1c2c3c4c5c6c7'));
    expect(toHex(sealed.subarray(24, 40))).toBe('bd6d179d3e83d43b9576579493c0e939');
    expect(toHex(sealed.subarray(-16))).toBe('c0875924c1c7987947deafd8780acf49');
  });
});

describe('XAES-256-GCM', () => {
  const vectors = sharedVectors('xaes_256_gcm.json') as { accumulated: Record<string, string> } | undefined;
  const nonce = new TextEncoder().encode('ABCDEFGHIJKLMNOPQRSTUVWX');

  it.each(Object.entries(XAES))('gives the bytes of both fixed vectors of C2SP (%s)', (_, factory) => {
    const text = new TextEncoder().encode('XAES-256-GCM');
    const first = factory(new Uint8Array(32).fill(1)).seal(nonce, text, new Uint8Array(0));
    expect(toHex(first.subarray(24))).toBe('ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271');
    const associatedData = new TextEncoder().encode('c2sp.org/XAES-256-GCM');
    const second = factory(new Uint8Array(32).fill(3)).seal(nonce, text, associatedData);
    expect(toHex(second.subarray(24))).toBe('986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d');
  });

  it.skipIf(vectors === undefined)('gives the hash of the 10,000 accumulated vectors of C2SP', () => {
    const source = shake128.create({});
    const digest = shake128.create({ dkLen: 32 });
    const take = (): Uint8Array => source.xof(source.xof(1)[0] ?? 0);
    for (let round = 0; round < 10_000; round++) {
      const aead = xaes256gcm(source.xof(32));
      const nonce = source.xof(24);
      const plaintext = take();
      const associatedData = take();
      const sealed = aead.seal(nonce, plaintext, associatedData);
      if (toHex(aead.open(sealed, associatedData)) !== toHex(plaintext)) throw new Error(`round ${round}`);
      digest.update(sealed.subarray(24));
      aead.wipe();
    }
    expect(toHex(digest.digest())).toBe(vectors?.accumulated['10000']);
  });
});

describe('AES-256-GCM, the part of XAES-256-GCM that encrypts', () => {
  const vectors = sharedVectors('aes_gcm_test.json') as { testGroups: Group<AeadTest>[] } | undefined;

  it.skipIf(vectors === undefined)('agrees with the vectors of Wycheproof, natively and by noble', () => {
    const native = nativeBulk('aes-256-gcm');
    const wrong: number[] = [];
    const refused: number[] = [];
    let both = 0;
    for (const group of vectors?.testGroups ?? []) {
      for (const test of group.tests) {
        const [key, iv, aad] = [hex(test.key), hex(test.iv), hex(test.aad)];
        const expected = test.result === 'valid' ? test.msg : undefined;
        const opened = attempt(() => gcm(key, iv, aad).decrypt(hex(test.ct + test.tag)));
        if (opened !== expected) (group.ivSize < 64 ? refused : wrong).push(test.tcId);
        // Our own code around it takes keys of 256 bits and nonces of 96 bits only.
        if (group.ivSize !== 96 || group.keySize !== 256) continue;
        const framed = hex(`${'00'.repeat(24)}${test.ct}${test.tag}`);
        if (toHex(native?.open(key, iv, framed, aad)) !== expected) wrong.push(test.tcId);
        both++;
      }
    }
    expect(wrong).toEqual([]);
    // Known exceptions: valid vectors with nonces of 8 to 48 bits are refused, rightly.
    expect(refused).toHaveLength(24);
    expect(both).toBe(66);
  });
});

describe('HKDF-SHA256', () => {
  interface HkdfTest {
    tcId: number;
    ikm: string;
    salt: string;
    info: string;
    size: number;
    okm: string;
    result: string;
  }
  const vectors = sharedVectors('hkdf_sha256_test.json') as { testGroups: Group<HkdfTest>[] } | undefined;

  it.skipIf(vectors === undefined)('agrees with all 86 vectors of Wycheproof', () => {
    const tests = (vectors?.testGroups ?? []).flatMap((group) => group.tests);
    const wrong = tests.filter((test) => {
      const okm = attempt(() => hkdfSha256(hex(test.ikm), hex(test.salt), hex(test.info), test.size));
      return okm !== (test.result === 'valid' ? test.okm : undefined);
    });
    expect(wrong).toEqual([]);
    expect(tests).toHaveLength(86);
  });
});

describe.each(SUITE_NAMES)('the suite %s', (name) => {
  const pair: Record<string, AeadFactory> & Record<'native' | 'noble', AeadFactory> =
    name === 'XC20P' ? XCHACHA : XAES;
  const sides = Object.entries(pair);
  const bytes = (size: number): fc.Arbitrary<Uint8Array> =>
    fc.uint8Array({ minLength: size, maxLength: size });

  it.each(sides)('gives the same bytes as noble, and each opens what the other sealed (%s)', (_, factory) => {
    // Around the length from which libsodium is not used, too.
    const texts = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ minLength: 3_060, maxLength: 3_090 }),
    );
    const data = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.uint8Array({ minLength: 2_040, maxLength: 2_060 }),
    );
    fc.assert(
      fc.property(bytes(32), bytes(24), texts, data, (key, nonce, plaintext, associatedData) => {
        const aead = factory(key);
        const noble = pair.noble(key);
        const sealed = aead.seal(nonce, plaintext, associatedData);
        expect(toHex(noble.seal(nonce, plaintext, associatedData))).toBe(toHex(sealed));
        expect(toHex(aead.open(sealed, associatedData))).toBe(toHex(plaintext));
        expect(toHex(noble.open(sealed, associatedData))).toBe(toHex(plaintext));
      }),
    );
  });

  it.each(sides)('opens nothing after any bit was flipped (%s)', (_, factory) => {
    const aead = factory(new Uint8Array(32).fill(5));
    const associatedData = new Uint8Array([1, 2, 3]);
    const sealed = aead.seal(randomBytes(24), new Uint8Array([9, 8, 7, 6]), associatedData);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = new Uint8Array(sealed);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(aead.open(changed, associatedData), `bit ${bit}`).toBeUndefined();
    }
    for (let bit = 0; bit < 24; bit++) {
      const changed = new Uint8Array(associatedData);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(aead.open(sealed, changed), `bit ${bit}`).toBeUndefined();
    }
  });

  it.each(sides)('opens nothing that is too short to be sealed (%s)', (_, factory) => {
    const aead = factory(new Uint8Array(32));
    for (let size = 0; size < 40; size++) {
      expect(aead.open(new Uint8Array(size), new Uint8Array(0))).toBeUndefined();
    }
  });

  it.each(sides)('opens nothing more once it was wiped (%s)', (_, factory) => {
    const aead = factory(new Uint8Array(32).fill(5));
    const sealed = aead.seal(randomBytes(24), new Uint8Array(3), new Uint8Array(0));
    aead.wipe();
    expect(attempt(() => aead.open(sealed, new Uint8Array(0)))).toBeUndefined();
  });

  it('copies its key, so that the caller can wipe it', () => {
    const key = new Uint8Array(32).fill(7);
    const aead = suite(name)(key);
    key.fill(0);
    const sealed = aead.seal(new Uint8Array(24), new Uint8Array(3), new Uint8Array(0));
    expect(suite(name)(new Uint8Array(32).fill(7)).open(sealed, new Uint8Array(0))).toBeDefined();
  });
});

describe('libsodium', () => {
  it('is loaded here, so that its tests test it, and takes small texts only', () => {
    expect(sodium(3_072, 2_048)).toBeDefined();
    expect(sodium(3_073, 0)).toBeUndefined();
    expect(sodium(0, 2_049)).toBeUndefined();
  });
});

describe('native ciphers', () => {
  it('exist on Node, so that the tests of native code test native code', () => {
    expect(nativeBulk('chacha20-poly1305')).toBeDefined();
    expect(nativeBulk('aes-256-gcm')).toBeDefined();
  });
});
