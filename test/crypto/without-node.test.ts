import { beforeEach, describe, expect, it, vi } from 'vitest';
import * as nativeEncoding from '../../src/crypto/encoding.ts';
import * as nativeHash from '../../src/crypto/hash.ts';
import * as nativeMac from '../../src/crypto/mac.ts';
import { suite as nativeSuite, SUITE_NAMES } from '../../src/crypto/suite.ts';
import { freshModules } from '../support/fresh-modules.ts';

// Runtimes without `Buffer` and `node:crypto` run other code for the same bytes.
const bytes = Uint8Array.from({ length: 20_000 }, (_, index) => (index * 7) & 0xff);

freshModules();

describe('without Buffer', () => {
  beforeEach(() => void vi.stubGlobal('Buffer', undefined));

  it('bytes and text have the same forms', async () => {
    const encoding = await import('../../src/crypto/encoding.ts');
    for (const size of [0, 1, 2, 3, 4, 63, 8_191, 8_192, 8_193, 20_000]) {
      const part = bytes.subarray(3, 3 + size);
      const text = encoding.toBase64url(part);
      expect(text).toBe(nativeEncoding.toBase64url(part));
      expect(encoding.toBase64(part)).toBe(nativeEncoding.toBase64(part));
      expect(encoding.fromBase64url(text)).toEqual(Uint8Array.from(part));
      expect(encoding.fromBase64(encoding.toBase64(part))).toEqual(Uint8Array.from(part));
    }
    expect(encoding.utf8('aé😀')).toEqual(Uint8Array.from(nativeEncoding.utf8('aé😀')));
    expect(encoding.scratch(7)).toEqual(new Uint8Array(7));
  });

  it.each(['AQI=', 'AQJ', 'A', 'AQ+/', ' AQI', 'AQI ', '*'])('refuses %j as base64url', async (text) => {
    const { fromBase64url } = await import('../../src/crypto/encoding.ts');
    expect(fromBase64url(text)).toBeUndefined();
  });

  it.each(['AQI', 'AQ==\n', 'AQJ=', 'A', '*'])('refuses %j as base64', async (text) => {
    const { fromBase64 } = await import('../../src/crypto/encoding.ts');
    expect(fromBase64(text)).toBeUndefined();
  });
});

describe.each([
  ['without process', undefined],
  ['without getBuiltinModule', {}],
  ['without node:crypto', { getBuiltinModule: () => undefined }],
])('%s', (_, processLike) => {
  beforeEach(() => void vi.stubGlobal('process', processLike));

  it('hashes, codes and derived keys are the same', async () => {
    const { nodeCrypto } = await import('../../src/crypto/native.ts');
    const hash = await import('../../src/crypto/hash.ts');
    const mac = await import('../../src/crypto/mac.ts');
    expect(nodeCrypto).toBeUndefined();
    const key = bytes.subarray(0, 32);
    expect(hash.sha256(bytes)).toEqual(nativeHash.sha256(bytes));
    expect(mac.hmacSha256(key)(bytes)).toEqual(nativeMac.hmacSha256(key)(bytes));
    expect(mac.hmacSha256(key)(bytes.subarray(0, 9), bytes.subarray(9))).toEqual(mac.hmacSha256(key)(bytes));
    const salt = bytes.subarray(40, 50);
    expect(mac.hkdfSha256(key, salt, bytes.subarray(0, 9), 42)).toEqual(
      nativeMac.hkdfSha256(key, salt, bytes.subarray(0, 9), 42),
    );
  });

  it.each(SUITE_NAMES)('%s seals to the same bytes', async (name) => {
    const { loadSuite, suite } = await import('../../src/crypto/suite.ts');
    await loadSuite(name);
    const [key, nonce, data] = [bytes.subarray(0, 32), bytes.subarray(5, 29), bytes.subarray(7, 11)];
    const sealed = suite(name)(key).seal(nonce, bytes, data);
    expect(Uint8Array.from(nativeSuite(name)(key).seal(nonce, bytes, data))).toEqual(Uint8Array.from(sealed));
    expect(suite(name)(key).open(sealed, data)).toEqual(bytes);
  });
});

describe('where node:crypto lacks a cipher, as in FIPS builds', () => {
  it.each(['refuses', 'seals wrongly'])('noble seals instead: it %s', async (how) => {
    const node = process.getBuiltinModule('node:crypto');
    const createCipheriv = (...given: Parameters<typeof node.createCipheriv>): unknown => {
      if (how === 'refuses') throw new Error('unsupported');
      return Object.assign(node.createCipheriv(...given), { getAuthTag: () => new Uint8Array(16) });
    };
    vi.stubGlobal('process', { getBuiltinModule: () => ({ ...node, createCipheriv }) });
    const { nativeBulk } = await import('../../src/crypto/bulk.ts');
    expect(nativeBulk('chacha20-poly1305')).toBeUndefined();
    expect(nativeBulk('aes-256-gcm')).toBeUndefined();
    const { loadSuite, suite } = await import('../../src/crypto/suite.ts');
    for (const name of SUITE_NAMES) {
      await loadSuite(name);
      const sealed = suite(name)(bytes.subarray(0, 32)).seal(bytes.subarray(0, 24), bytes, bytes);
      expect(nativeSuite(name)(bytes.subarray(0, 32)).open(sealed, bytes)).toBeDefined();
    }
  });
});

describe('what is left in memory', () => {
  it.each(SUITE_NAMES)('of a call of %s is no key, and no plaintext that does not open', async (name) => {
    const node = process.getBuiltinModule('node:crypto');
    const keys: Uint8Array[] = [];
    const opened: Uint8Array[] = [];
    vi.stubGlobal('process', {
      getBuiltinModule: () => ({
        ...node,
        createSecretKey(key: Uint8Array) {
          keys.push(key);
          return node.createSecretKey(key);
        },
        createDecipheriv(...given: Parameters<typeof node.createDecipheriv>) {
          const decipher = node.createDecipheriv(...given);
          const update = decipher.update.bind(decipher);
          return Object.assign(decipher, {
            update(data: Uint8Array) {
              const plaintext = update(data);
              opened.push(plaintext);
              return plaintext;
            },
          });
        },
      }),
    });
    const { loadSuite, suite } = await import('../../src/crypto/suite.ts');
    await loadSuite(name);
    const aead = suite(name)(bytes.subarray(1, 33));
    keys.length = 0;
    opened.length = 0;
    const sealed = aead.seal(bytes.subarray(0, 24), bytes.subarray(0, 9), bytes.subarray(0, 2));
    expect(aead.open(sealed, bytes.subarray(0, 2))).toEqual(opened[0]);
    expect(aead.open(sealed, bytes.subarray(0, 3))).toBeUndefined();
    expect(keys).toHaveLength(3);
    for (const key of keys) expect(Uint8Array.from(key)).toEqual(new Uint8Array(32));
    expect(Uint8Array.from(opened[0] ?? [])).toEqual(bytes.subarray(0, 9));
    expect(Uint8Array.from(opened[1] ?? [])).toEqual(new Uint8Array(9));
  });
});
