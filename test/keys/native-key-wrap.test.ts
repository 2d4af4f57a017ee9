import * as fc from 'fast-check';
import { CompactEncrypt, compactDecrypt } from 'jose';
import { describe, expect, it, vi } from 'vitest';
import { toBase64url } from '../../src/crypto/encoding.ts';
import { generateKey, keyring } from '../../src/index.ts';
import { headerSegmentOf, nativeKeyWrap, type NativeKeyWrap } from '../../src/keys/native-key-wrap.ts';
import { dekHeader, parseWrappedKey } from '../../src/keys/wrapped-key.ts';
import { coded, failure } from '../crypto/failure.ts';
import { freshModules } from '../support/fresh-modules.ts';

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const given = fc.record({
  kek: bytes(32),
  dek: bytes(32),
  contentKey: bytes(32),
  nonce: bytes(12),
  kid: fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme-ascii' }),
  openOnly: fc.boolean(),
});
const native = (kek: Uint8Array): NativeKeyWrap => nativeKeyWrap(kek) as NativeKeyWrap;
/** Whether it throws, whatever: what `keyring()` says of it is tested below. */
const refuses = (action: () => unknown): boolean => {
  try {
    action();
    return false;
  } catch {
    return true;
  }
};
const partsOf = (text: string): Parameters<NativeKeyWrap['unwrap']> => [
  parseWrappedKey(text).segments,
  text.slice(0, text.indexOf('.')),
];

describe('A256KW by node:crypto', () => {
  it('wraps to the same bytes as jose, and each opens what the other wrapped', async () => {
    await fc.assert(
      fc.asyncProperty(given, async ({ kek, dek, contentKey, nonce, kid, openOnly }) => {
        const header = dekHeader('A256KW', kid, { openOnly });
        const own = native(kek).wrap(dek, contentKey, nonce, headerSegmentOf(header));
        const byJose = await new CompactEncrypt(dek)
          .setProtectedHeader(header)
          .setContentEncryptionKey(contentKey)
          .setInitializationVector(nonce)
          .encrypt(kek);
        expect(own).toBe(byJose);
        expect((await compactDecrypt(own, kek)).plaintext).toEqual(dek);
        expect(native(kek).unwrap(...partsOf(byJose))).toEqual(dek);
      }),
    );
  });

  it('opens nothing that jose does not open: any changed byte of any part, or another key', async () => {
    await fc.assert(
      fc.asyncProperty(
        given,
        fc.nat(4),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async ({ kek, dek, contentKey, nonce, kid }, part, at, mask) => {
          const header = headerSegmentOf(dekHeader('A256KW', kid, undefined));
          const text = native(kek).wrap(dek, contentKey, nonce, header);
          const other = kek.map((byte, index) => (index === at % 32 ? byte ^ mask : byte));
          expect(refuses(() => native(other).unwrap(...partsOf(text)))).toBe(true);
          const segments = text.split('.');
          const changed = Buffer.from(segments[part] as string, 'base64url');
          changed[at % changed.length] = (changed[at % changed.length] as number) ^ mask;
          segments[part] = toBase64url(changed);
          const opened = await compactDecrypt(segments.join('.'), kek).catch(() => undefined);
          expect(opened).toBeUndefined();
          const [decoded] = partsOf(text);
          const parts = decoded.map((bytesOfPart, index) => (index === part ? changed : bytesOfPart));
          expect(refuses(() => native(kek).unwrap(parts, segments[0] as string))).toBe(true);
        },
      ),
    );
  });

  it('does not use Web Crypto', async () => {
    const { subtle } = globalThis.crypto;
    const names = ['importKey', 'encrypt', 'decrypt', 'wrapKey', 'unwrapKey'] as const;
    const spies = names.map((name) => vi.spyOn(subtle, name));
    const ring = keyring({ current: await generateKey() });
    const { wrapped } = await ring.wrap(new Uint8Array(32).fill(7), { contextHash: 'context' });
    await ring.unwrap(wrapped, { contextHash: 'context' });
    expect(spies.map(({ mock }) => mock.calls.length)).toEqual(names.map(() => 0));
    for (const spy of spies) spy.mockRestore();
  });

  it('draws random bytes once for a data key, and wipes those that are secret', async () => {
    const drawn = vi.spyOn(globalThis.crypto, 'getRandomValues');
    const ring = keyring({ current: await generateKey() });
    drawn.mockClear();
    const { wrapped } = await ring.wrap(new Uint8Array(32).fill(7), { contextHash: 'context' });
    const [bytesOfCall, ...others] = drawn.mock.calls.map(([array]) => array as Uint8Array);
    drawn.mockRestore();
    expect(others).toEqual([]);
    expect(bytesOfCall?.subarray(0, 32)).toEqual(new Uint8Array(32));
    expect(toBase64url(bytesOfCall?.subarray(32) as Uint8Array)).toBe(wrapped.split('.')[2]);
  });

  it('refuses parts of other sizes than a data key has', () => {
    const kek = new Uint8Array(32).fill(1);
    const made = headerSegmentOf(dekHeader('A256KW', 'k', undefined));
    const text = native(kek).wrap(kek, kek, kek.subarray(0, 12), made);
    const [segments, header] = partsOf(text);
    for (const part of [1, 2, 4]) {
      const shorter = segments.map((segment, index) => (index === part ? segment.subarray(1) : segment));
      expect(refuses(() => native(kek).unwrap(shorter, header))).toBe(true);
      expect(refuses(() => native(kek).unwrap(segments.slice(0, part), header))).toBe(true);
    }
  });
});

describe('a keyring where node:crypto has no AES key wrap, or a wrong one', () => {
  const node = process.getBuiltinModule('node:crypto');
  const create = node.createCipheriv as (name: string, ...rest: unknown[]) => object;
  const open = node.createDecipheriv as (name: string, ...rest: unknown[]) => object;
  const refuse = (): never => {
    throw new Error('this runtime has no such cipher');
  };
  const RUNTIMES: readonly (readonly [string, object])[] = [
    ['is missing', { createCipheriv: refuse, createDecipheriv: refuse }],
    [
      'has no key wrap',
      {
        createCipheriv: (name: string, ...rest: unknown[]) =>
          name.includes('wrap') ? refuse() : create(name, ...rest),
      },
    ],
    [
      'does not check what it unwraps',
      {
        createDecipheriv: (name: string, ...rest: unknown[]) =>
          name.includes('wrap')
            ? {
                update: () => new Uint8Array(32).map((_, index) => index + 2),
                final: () => new Uint8Array(0),
              }
            : open(name, ...rest),
      },
    ],
    [
      'wraps to other bytes',
      {
        createCipheriv: (name: string, ...rest: unknown[]) =>
          name.includes('wrap')
            ? { update: () => new Uint8Array(40), final: () => new Uint8Array(0) }
            : create(name, ...rest),
      },
    ],
  ];
  freshModules();

  it.each(RUNTIMES)('%s: jose does it, with the same results', async (_, parts) => {
    const { generateKey, keyring } = await import('../../src/index.ts');
    const key = await generateKey();
    const here = keyring({ current: key });
    vi.resetModules();
    vi.stubGlobal('process', { ...process, getBuiltinModule: () => ({ ...node, ...parts }) });
    const elsewhere = await import('../../src/index.ts');
    const there = elsewhere.keyring({ current: key });
    vi.unstubAllGlobals();
    const dek = new Uint8Array(32).fill(7);
    const binding = { contextHash: 'context' };
    for (const [one, other] of [
      [here, there],
      [there, here],
    ] as const) {
      const { wrapped } = await one.wrap(dek, binding);
      expect((await other.unwrap(wrapped, binding)).dek).toEqual(dek);
      const at = wrapped.length - 4;
      const changed = `${wrapped.slice(0, at)}${wrapped[at] === 'A' ? 'B' : 'A'}${wrapped.slice(at + 1)}`;
      expect(await failure(() => other.unwrap(changed, binding))).toEqual(
        coded('ERR_AUTHENTICATION', /does not open with the key/),
      );
    }
  });
});
