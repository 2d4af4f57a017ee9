import { MemorySession, type AgentInputItem } from '@openai/agents';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import * as nativeHash from '../../src/crypto/hash.ts';
import * as nativeMac from '../../src/crypto/mac.ts';
import { suite as nativeSuite, SUITE_NAMES } from '../../src/crypto/suite.ts';
import { coded, failure } from './failure.ts';
import { freshModules } from '../support/fresh-modules.ts';

// Runtimes that have something named `node:crypto` which lacks a part or behaves in another way: workerd with
// nodejs_compat, builds without a cipher. Each part is tried once, and @noble does what is not exactly right.

type NodeCrypto = ReturnType<typeof process.getBuiltinModule<'node:crypto'>>;
const node = process.getBuiltinModule('node:crypto');
const bytes = Uint8Array.from({ length: 5_000 }, (_, index) => (index * 7) & 0xff);

freshModules();

/** A cipher or decipher with other members. */
function changed<T extends object>(make: (...given: never[]) => T, change: (made: T) => object): unknown {
  return (...given: never[]) => {
    const made = make(...given);
    return Object.assign(made, change(made));
  };
}
const refuse = (): never => {
  throw new Error('this runtime has no such cipher');
};
const createDecipheriv = node.createDecipheriv as (
  ...given: never[]
) => ReturnType<NodeCrypto['createDecipheriv']>;
const createCipheriv = node.createCipheriv as (...given: never[]) => ReturnType<NodeCrypto['createCipheriv']>;

const RUNTIMES: Readonly<Record<string, object>> = {
  'has no decipher': { createDecipheriv: refuse },
  'has no cipher': { createCipheriv: refuse },
  'has no ECB': {
    createCipheriv: (name: string, ...given: never[]) =>
      name.includes('ecb') ? refuse() : createCipheriv(name as never, ...given),
  },
  'has an ECB that answers at the end only': {
    createCipheriv: (name: string, ...given: never[]) => {
      const cipher = createCipheriv(name as never, ...given);
      return name.includes('ecb') ? Object.assign(cipher, { update: () => new Uint8Array(0) }) : cipher;
    },
  },
  'has no associated data': { createDecipheriv: changed(createDecipheriv, () => ({ setAAD: undefined })) },
  'ignores the associated data': {
    createCipheriv: changed(createCipheriv, (cipher) => ({ setAAD: () => cipher })),
    createDecipheriv: changed(createDecipheriv, (decipher) => ({ setAAD: () => decipher })),
  },
  'does not check the tag': {
    createDecipheriv: changed(createDecipheriv, () => ({ final: () => new Uint8Array(0) })),
  },
  'refuses to set the tag': { createDecipheriv: changed(createDecipheriv, () => ({ setAuthTag: refuse })) },
  'gives plaintext at the end only': {
    createDecipheriv: changed(createDecipheriv, () => ({ update: () => new Uint8Array(0) })),
  },
  'seals to other bytes': {
    createCipheriv: changed(createCipheriv, (cipher) => ({ getAuthTag: () => new Uint8Array(16), cipher })),
  },
  'has no key objects': { createSecretKey: refuse },
  'has no HMAC': { createHmac: refuse },
  'has no HKDF': { hkdfSync: refuse },
  'has another HKDF': { hkdfSync: () => new ArrayBuffer(42) },
  'has no hash in one call': { hash: undefined },
  'has another hash in one call': { hash: () => '0'.repeat(32) },
  'has a hash in one call that takes texts only': {
    hash: (name: string, data: unknown, encoding: never) =>
      typeof data === 'string' ? node.hash(name, data, encoding) : refuse(),
  },
  'has no hashes': { createHash: undefined },
  'is empty': Object.fromEntries(Object.keys(node).map((name) => [name, undefined])),
};

describe.each(Object.entries(RUNTIMES))('a node:crypto that %s', (_, parts) => {
  beforeEach(() => void vi.stubGlobal('process', { getBuiltinModule: () => ({ ...node, ...parts }) }));

  it.each(SUITE_NAMES)('seals, opens and refuses with %s as Node does', async (name) => {
    const { loadSuite, suite } = await import('../../src/crypto/suite.ts');
    await loadSuite(name);
    const [key, nonce, data] = [bytes.subarray(0, 32), bytes.subarray(5, 29), bytes.subarray(7, 11)];
    const aead = suite(name)(key);
    for (let call = 0; call < 2; call++) {
      const sealed = aead.seal(nonce, bytes, data);
      expect(Uint8Array.from(sealed)).toEqual(
        Uint8Array.from(nativeSuite(name)(key).seal(nonce, bytes, data)),
      );
      expect(Uint8Array.from(aead.open(sealed, data) ?? [])).toEqual(bytes);
      for (const at of [0, 24, 30, sealed.length - 1]) {
        const tampered = sealed.map((byte, index) => (index === at ? byte ^ 1 : byte));
        expect(aead.open(tampered, data)).toBeUndefined();
      }
      expect(aead.open(sealed, bytes.subarray(8, 12))).toBeUndefined();
    }
  });

  it('hashes and derives as Node does', async () => {
    const hash = await import('../../src/crypto/hash.ts');
    const mac = await import('../../src/crypto/mac.ts');
    const key = bytes.subarray(0, 32);
    expect(hash.sha256(bytes)).toEqual(nativeHash.sha256(bytes));
    expect(mac.hmacSha256(key)(bytes)).toEqual(nativeMac.hmacSha256(key)(bytes));
    expect(mac.hkdfSha256(key, key, key, 42)).toEqual(nativeMac.hkdfSha256(key, key, key, 42));
  });

  it.each(SUITE_NAMES)('gives a strongroom error for a tampered record of %s', async (name) => {
    const { encrypt, generateKey, keyring, wrapSession } = await import('../../src/index.ts');
    const keys = keyring({ current: await generateKey() });
    const inner = new MemorySession({ sessionId: 's' });
    await wrapSession(inner, [encrypt({ keys, suite: name })]).addItems([
      { role: 'user', content: 'secret' },
    ]);
    const [record] = (await inner.getItems()) as unknown as [{ content: [{ text: string }] }];
    const [version, header, body = '', wrapped] = record.content[0].text.split(/\.(?=[^.]*(?:\.|$))/, 4);
    const at = body.length - 8;
    const text = record.content[0].text.replace(
      body,
      body.slice(0, at) + (body[at] === 'A' ? 'B' : 'A') + body.slice(at + 1),
    );
    expect([version, header, wrapped]).not.toContain(undefined);
    const tampered: AgentInputItem = {
      type: 'message',
      role: 'user',
      content: [{ type: 'input_text', text }],
    };
    const session = wrapSession(new MemorySession({ sessionId: 's', initialItems: [tampered] }), [
      encrypt({ keys, suite: name }),
    ]);
    expect(await failure(() => session.getItems())).toEqual(
      coded('ERR_AUTHENTICATION', /changed after it was sealed/),
    );
  });
});
