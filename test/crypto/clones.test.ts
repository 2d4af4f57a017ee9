import { readdirSync, readFileSync } from 'node:fs';
import { MemorySession, type AgentInputItem } from '@openai/agents';
import * as fc from 'fast-check';
import { decodeProtectedHeader } from 'jose';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { bindingContext, deriveKeys } from '../../src/crypto/derive.ts';
import { pae, toBase64url, utf8 } from '../../src/crypto/encoding.ts';
import { hedgedNonces, MOST_ENTRIES, type Unsealed } from '../../src/crypto/hedged-nonces.ts';
import { randomName, randomNumber } from '../../src/crypto/random.ts';
import { SUITE_NAMES } from '../../src/crypto/suite.ts';
import { parseEnvelope } from '../../src/protocol/envelope.ts';
import { encrypt, expire, wrapSession } from '../../src/index.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { sealRunState } from '../../src/operations/run-state.ts';
import { newMark } from '../../src/stores/marks.ts';
import { user } from '../history/support/random-history.ts';
import { startupSnapshot } from '../support/startup-snapshot.ts';

// Two processes that go on from one state: a startup snapshot, a restored virtual machine.

afterEach(() => void vi.restoreAllMocks());

/** A generator that gives the same bytes at each call. */
function constantRandom(byte: number): void {
  vi.spyOn(crypto, 'getRandomValues').mockImplementation((array) => {
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).fill(byte);
    return array;
  });
}

/** The text of a carrier. */
const textOf = (item: AgentInputItem): string =>
  (item as unknown as { content: [{ text: string }] }).content[0].text;

describe.each(['native', 'noble'])('two processes of one startup snapshot (%s)', (how) => {
  it('seal under one key with different nonces, and give different names', () => {
    const source = (path: string): URL => new URL(`../../src/crypto/${path}.ts`, import.meta.url);
    // Native keys cannot be in a snapshot; the modules, warmed by a first seal, can.
    const snapshot = startupSnapshot(
      { derive: source('derive'), random: source('random'), aes: source('aes') },
      `${how === 'noble' ? 'process.getBuiltinModule = undefined;' : ''}
      const { deriveKeys, bindingContext } = load('derive');
      const { randomName, randomNumber } = load('random');
      const work = (text) => JSON.stringify([
        ...${JSON.stringify(SUITE_NAMES)}.map((name) => {
          const keys = deriveKeys(new Uint8Array(32).fill(7), name, bindingContext('s'));
          const plaintext = Buffer.from(text);
          return Buffer.from(keys.nonce('header', plaintext)).toString('hex');
        }),
        randomName(),
        randomNumber(),
      ]);
      load('aes').loadAes().then(() => work('the first seal'));
      return work;`,
    );
    try {
      const drawn = ['one', 'other', 'other'].flatMap((text) => JSON.parse(snapshot.run(text)) as string[]);
      expect(drawn).toHaveLength(3 * (SUITE_NAMES.length + 2));
      expect(new Set(drawn).size).toBe(drawn.length);
    } finally {
      snapshot.remove();
    }
  });
});

describe('a process that builds a startup snapshot', () => {
  it('loads no WebAssembly, which a snapshot cannot hold, and seals without it afterwards', () => {
    const snapshot = startupSnapshot(
      { sodium: new URL('../../src/crypto/sodium.ts', import.meta.url) },
      `const { loadSodium, sodium } = load('sodium');
      loadSodium();
      return () => String(sodium(1, 1));`,
    );
    try {
      expect(snapshot.run('')).toBe('undefined');
    } finally {
      snapshot.remove();
    }
  });
});

describe('a random generator that repeats itself', () => {
  it.each(SUITE_NAMES)('repeats the nonce of equal records only (%s)', (name) => {
    const keys = deriveKeys(new Uint8Array(32).fill(3), name, bindingContext('s'));
    const segment = fc.stringMatching(/^[\w-]{1,40}$/);
    fc.assert(
      fc.property(
        fc.nat(255),
        segment,
        segment,
        fc.uint8Array(),
        fc.uint8Array(),
        (byte, header, otherHeader, plaintext, otherPlaintext) => {
          constantRandom(byte);
          const nonce = toBase64url(keys.nonce(header, plaintext));
          expect(toBase64url(keys.nonce(header, plaintext))).toBe(nonce);
          const equal = header === otherHeader && toBase64url(plaintext) === toBase64url(otherPlaintext);
          expect(toBase64url(keys.nonce(otherHeader, otherPlaintext)) === nonce).toBe(equal);
          // No boundary between header and plaintext can be shifted, and no operation gives the same nonce.
          const shifted = keys.nonce(header.slice(0, -1), utf8(header.slice(-1) + otherHeader));
          expect(toBase64url(shifted)).not.toBe(toBase64url(keys.nonce(header, utf8(otherHeader))));
          expect(toBase64url(keys.operationNonce('', 0, header, plaintext))).not.toBe(nonce);
        },
      ),
    );
  });

  it.each(SUITE_NAMES)(
    'repeats the nonces of equal records in an equal order only, among those that are sealed together (%s)',
    (name) => {
      const keys = deriveKeys(new Uint8Array(32).fill(3), name, bindingContext('s'));
      const entry = fc.record({
        headerSegment: fc.constantFrom<string>('h', 'header', 'other'),
        plaintext: fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 300 })),
      });
      const entries = fc.array(entry, { minLength: 1, maxLength: MOST_ENTRIES });
      const shown = (list: readonly Unsealed[]): string =>
        list.map(({ headerSegment, plaintext }) => `${headerSegment} ${toBase64url(plaintext)}`).join();
      fc.assert(
        fc.property(fc.nat(255), entries, entries, (byte, some, others) => {
          constantRandom(byte);
          const nonces = keys.nonces(some).map(toBase64url);
          expect(new Set(nonces).size).toBe(some.length);
          expect(keys.nonces(some).map(toBase64url)).toEqual(nonces);
          const isEqual = shown(some) === shown(others);
          const both = new Set([...nonces, ...keys.nonces(others).map(toBase64url)]);
          expect(both.size).toBe(isEqual ? some.length : some.length + others.length);
          // Each of them depends on each header and text, also on one of the same length.
          for (const [place, { headerSegment, plaintext }] of some.entries()) {
            const otherText = { headerSegment, plaintext: plaintext.map((byte) => byte ^ 1) };
            const otherHeader = { headerSegment: `x${headerSegment.slice(1)}`, plaintext };
            for (const other of plaintext.length === 0 ? [otherHeader] : [otherHeader, otherText]) {
              const changed = keys.nonces(some.with(place, other)).map(toBase64url);
              expect(nonces.filter((nonce) => changed.includes(nonce))).toEqual([]);
            }
          }
          // No record can be taken from those that are sealed together, nor be put in their middle.
          for (let count = 1; count < some.length; count++) {
            const fewer = keys.nonces(some.slice(0, count)).map(toBase64url);
            expect(nonces.filter((nonce) => fewer.includes(nonce))).toEqual([]);
          }
        }),
      );
    },
  );

  it('makes the MAC of SPEC.md, of all entries that are sealed together', () => {
    constantRandom(5);
    const entries = ['first', 'first', 'other', 'first'].map((headerSegment, index) => ({
      headerSegment,
      plaintext: utf8(`text ${index}`),
    }));
    const pieces = entries.flatMap(({ headerSegment, plaintext }) => [headerSegment, plaintext]);
    let message: Uint8Array | undefined;
    const mac = (...given: readonly Uint8Array[]): Uint8Array => {
      message = Buffer.concat(given);
      return new Uint8Array(32).fill(0x80);
    };
    const nonces = hedgedNonces(Object.assign(mac, { wipe: () => undefined }), entries);
    expect(message).toEqual(Buffer.from(pae('hedged', new Uint8Array(32).fill(5), ...pieces)));
    expect(nonces.map((nonce) => nonce[23])).toEqual([0x80, 0x81, 0x82, 0x83]);
    expect(new Set(nonces.map((nonce) => toBase64url(nonce.slice(0, 23))))).toEqual(
      new Set([toBase64url(new Uint8Array(23).fill(0x80))]),
    );
  });

  it.each(SUITE_NAMES)(
    'seals no two texts of many appends, long and short, under one nonce (%s)',
    async (suite) => {
      constantRandom(7);
      const session = new MemorySession();
      const current = { kty: 'oct', alg: 'A256KW', kid: 'k', k: toBase64url(new Uint8Array(32)) };
      const sealed = wrapSession(session, [
        expire({ after: '1d', clock: () => 1 }),
        encrypt({ keys: keyring({ current }), suite }),
      ]);
      const texts = [3, 40, 9_000, 1, 17, 20_000, 2, 1, 1].map(
        (size, index) => `${index} ${'x'.repeat(size)}`,
      );
      const appends = [
        texts,
        texts.slice(1),
        [...texts].reverse(),
        Array.from({ length: 40 }, (_, index) => `short ${index}`),
      ];
      for (const append of appends) await sealed.addItems(append.map(user));
      const bodies = (await session.getItems()).map((item) => parseEnvelope(textOf(item)).body);
      const byNonce = new Map(bodies.map((body) => [toBase64url(body.subarray(0, 24)), toBase64url(body)]));
      expect(byNonce.size).toBe(new Set(bodies.map(toBase64url)).size);
      expect(byNonce.size).toBeGreaterThan(texts.length + 40);
      expect(await sealed.getItems()).toEqual(appends.flat().map(user));
    },
  );

  it('gives other nonces under another key, suite, session or context', () => {
    constantRandom(0);
    const plaintext = utf8('the same');
    const nonces = [
      deriveKeys(new Uint8Array(32).fill(1), 'XC20P', bindingContext('s')),
      deriveKeys(new Uint8Array(32).fill(2), 'XC20P', bindingContext('s')),
      deriveKeys(new Uint8Array(32).fill(1), 'XAES-256-GCM', bindingContext('s')),
      deriveKeys(new Uint8Array(32).fill(1), 'XC20P', bindingContext('t')),
      deriveKeys(new Uint8Array(32).fill(1), 'XC20P', bindingContext('s', { tenant: 'a' })),
    ].map((keys) => toBase64url(keys.nonce('h', plaintext)));
    expect(new Set(nonces).size).toBe(nonces.length);
  });

  it('uses the random bytes of a good generator: equal records differ', () => {
    const keys = deriveKeys(new Uint8Array(32).fill(1), 'XC20P', bindingContext('s'));
    const nonces = Array.from({ length: 1_000 }, () => toBase64url(keys.nonce('h', utf8('p'))));
    expect(new Set(nonces).size).toBe(1_000);
    expect(keys.nonce('h', utf8('p'))).toHaveLength(24);
  });

  it.each(SUITE_NAMES)('shows no two run states under one nonce (%s)', async (name) => {
    const keys = keyring({
      current: { kty: 'oct', alg: 'A256KW', kid: 'k', k: toBase64url(new Uint8Array(32)) },
    });
    constantRandom(9);
    const sealed = await Promise.all(
      ['{"a":1}', '{"b":2}', '{"b":2}'].map((state) =>
        sealRunState(state, { keys, id: 'run', suite: name, clock: () => 1 }),
      ),
    );
    const bodies = sealed.map((text) => toBase64url(parseEnvelope(text).body));
    const nonces = bodies.map((body) => body.slice(0, 32));
    expect(nonces[0]).not.toBe(nonces[1]);
    expect(bodies[1]).toBe(bodies[2]);
  });

  it('wraps two data keys under one long-lived key with different nonces and content keys', async () => {
    const kek = { kty: 'oct', alg: 'A256GCMKW', kid: 'k', k: toBase64url(new Uint8Array(32).fill(8)) };
    const ring = keyring({ current: kek });
    constantRandom(5);
    const wrapped = await Promise.all(
      [
        [1, 'context'],
        [2, 'context'],
        [1, 'another'],
      ].map(([byte, contextHash]) =>
        ring.wrap(new Uint8Array(32).fill(byte as number), { contextHash: contextHash as string }),
      ),
    );
    const nonces = wrapped.map((key) => decodeProtectedHeader(key.wrapped)['iv']);
    const contentKeys = wrapped.map((key) => key.wrapped.split('.')[1]);
    expect(new Set(nonces).size).toBe(3);
    expect(new Set(contentKeys).size).toBe(3);
    for (const [at, { wrapped: text }] of wrapped.entries()) {
      const contextHash = at === 2 ? 'another' : 'context';
      const { dek } = await ring.unwrap(text, { contextHash });
      expect(dek).toEqual(new Uint8Array(32).fill(at === 1 ? 2 : 1));
    }
  });

  it('still gives different names and numbers', () => {
    constantRandom(0);
    const names = Array.from({ length: 100 }, randomName);
    expect(new Set(names).size).toBe(100);
    expect(names.every((name) => /^[\w-]{22}$/.test(name))).toBe(true);
    for (const byte of [0, 255]) {
      constantRandom(byte);
      const number = randomNumber();
      expect(Number.isSafeInteger(number) && number >= 1 && number < 2 ** 48).toBe(true);
    }
  });
});

describe('two restored copies of a virtual machine, whose random generators and monotonic clocks go on from one state', () => {
  it('give different names, numbers and marks, by the clock of the system', () => {
    constantRandom(0);
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    vi.spyOn(performance, 'now').mockReturnValue(1_234.567_8);
    const draw = (milliseconds: number): readonly (string | number)[] => {
      vi.spyOn(Date, 'now').mockReturnValue(milliseconds);
      // A name has the time in its first half and a count in its second one, which is the same in both copies.
      const half = Buffer.from(randomName(), 'base64url').subarray(0, 8).toString('hex');
      return [half, randomNumber(), newMark()];
    };
    const restored = Date.UTC(2026, 10, 28);
    const [some, others] = [draw(restored), draw(restored + 1)];
    expect(new Set([...some, ...others]).size).toBe(6);
  });

  it('differ within a millisecond as well, by the fraction of it that has passed', () => {
    constantRandom(0);
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    vi.spyOn(Date, 'now').mockReturnValue(Date.UTC(2026, 10, 28));
    const drawn = [0.001, 0.002, 0.999].map((fraction) => {
      vi.spyOn(performance, 'now').mockReturnValue(1_234 + fraction + 0.000_1);
      return [randomNumber(), newMark()];
    });
    expect(new Set(drawn.flat()).size).toBe(6);
  });
});

it('no source takes random values from a pool of Node', () => {
  const root = new URL('../../src/', import.meta.url);
  const sources = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  );
  const pooled = sources.filter((path) => {
    const code = readFileSync(new URL(path, root), 'utf8').replaceAll(/\/\/.*|\/\*[^]*?\*\//g, '');
    return !path.startsWith('testing') && /\brandom(?:UUID|Int)\b/.test(code);
  });
  expect(sources.length).toBeGreaterThan(100);
  expect(pooled).toEqual([]);
});
