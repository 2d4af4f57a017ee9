import { randomBytes } from 'node:crypto';
import type * as types from '../../src/crypto/sodium.ts';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { freshModules } from '../support/fresh-modules.ts';

// When libsodium is used. That it gives the right bytes is tested in suites.test.ts.

freshModules();
afterEach(() => vi.doUnmock('libsodium'));

const imported = async (): Promise<typeof types> => import('../../src/crypto/sodium.ts');

/** libsodium, with other members. */
async function mockSodium(change: (module: Record<string, unknown>) => object): Promise<void> {
  const { default: start } = await vi.importActual<{ default: () => Promise<Record<string, unknown>> }>(
    'libsodium',
  );
  vi.doMock('libsodium', () => ({
    default: async () => {
      const module = await start();
      return { ...module, ...change(module) };
    },
  }));
}

describe('libsodium', () => {
  it('is not loaded by a process that seals and opens little', async () => {
    const loads = vi.fn();
    vi.doMock('libsodium', () => {
      loads();
      return {};
    });
    const { sodium } = await imported();
    for (let call = 0; call < 63; call++) expect(sodium(100, 100)).toBeUndefined();
    for (let call = 0; call < 100; call++) expect(sodium(3_073, 100)).toBeUndefined();
    await new Promise(setImmediate);
    expect(loads).not.toHaveBeenCalled();
  });

  it('is loaded by the 64th small text, and used from then on', async () => {
    const { sodium } = await imported();
    for (let call = 0; call < 64; call++) expect(sodium(100, 100)).toBeUndefined();
    await vi.waitFor(() => expect(sodium(100, 100)).toBeDefined());
  });

  it('leaves neither its key nor a text of whole blocks in its memory', async () => {
    let memory: Uint8Array | undefined;
    await mockSodium((module) => {
      memory = module['HEAPU8'] as Uint8Array;
      return {};
    });
    const { loadSodium, sodium } = await imported();
    await loadSodium();
    const bulk = sodium(128, 32);
    const [key, nonce, text, data] = [randomBytes(32), randomBytes(24), randomBytes(128), randomBytes(32)];
    const sealed = new Uint8Array(24 + 128 + 16);
    sealed.set(nonce);
    bulk?.seal(key, nonce, text, data, sealed);
    expect(Buffer.from(bulk?.open(key, nonce, sealed, data) ?? [])).toEqual(text);
    const left = Buffer.from(memory ?? []);
    expect(left.includes(Buffer.from(sealed.subarray(24)))).toBe(true);
    expect(left.includes(key)).toBe(false);
    expect(left.includes(text)).toBe(false);
  });

  it.each([
    ['a runtime that has no WebAssembly', () => vi.stubGlobal('WebAssembly', undefined)],
    [
      'a runtime that compiles no WebAssembly',
      () => vi.stubGlobal('WebAssembly', { compile: async () => Promise.reject(new Error('refused')) }),
    ],
    [
      'an application without the package',
      () =>
        vi.doMock('libsodium', () => {
          throw new Error('not found');
        }),
    ],
    ['a version of it that has other functions', async () => mockSodium(() => ({ _malloc: undefined }))],
    [
      'a version of it that seals to other bytes',
      async () => mockSodium(() => ({ _crypto_aead_xchacha20poly1305_ietf_encrypt: () => 0 })),
    ],
    [
      'a version of it that opens what was changed',
      async () => mockSodium(() => ({ _crypto_aead_xchacha20poly1305_ietf_decrypt: () => 0 })),
    ],
  ])('is not used by %s', async (_, make) => {
    await make();
    const { loadSodium, sodium } = await imported();
    await loadSodium();
    for (let call = 0; call < 100; call++) expect(sodium(100, 100)).toBeUndefined();
    await loadSodium();
    expect(sodium(100, 100)).toBeUndefined();
  });
});
