import { CompactEncrypt, compactDecrypt, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { MemorySession } from '@openai/agents';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { toBase64url, utf8 } from '../../src/crypto/encoding.ts';
import { encrypt, wrapSession } from '../../src/index.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { StrongroomError } from '../../src/errors.ts';
import { keyring } from '../../src/keys/keyring.ts';
import type { KeyProvider } from '../../src/keys/provider.ts';
import { coded, failure } from '../crypto/failure.ts';

const dek = new Uint8Array(32).fill(42);
const binding = { contextHash: toBase64url(new Uint8Array(32)) };
const password = (kid: string): JWK => ({
  kty: 'oct',
  alg: 'PBES2-HS512+A256KW',
  k: toBase64url(utf8('correct horse battery staple')),
  kid,
});

let secret: JWK;
let gcmSecret: JWK;
let curve: JWK;
let madeRsa: Promise<JWK> | undefined;
/** Made by the first test that needs it: it takes long. */
function rsaKey(): Promise<JWK> {
  madeRsa ??= generateKey({ alg: 'RSA-OAEP-256' }).then((key) => ({ ...key, kid: 'rsa' }));
  return madeRsa;
}

beforeAll(async () => {
  secret = { ...(await generateKey()), kid: 'secret' };
  gcmSecret = { ...(await generateKey({ alg: 'A256GCMKW' })), kid: 'gcm' };
  curve = { ...(await generateKey({ alg: 'ECDH-ES+A256KW' })), kid: 'curve' };
});

const publicHalf = ({ kty, crv, x, y, n, e, kid, alg }: JWK): JWK =>
  JSON.parse(JSON.stringify({ kty, crv, x, y, n, e, kid, alg })) as JWK;

describe('wrapping', () => {
  it.each(['A256KW', 'A256GCMKW', 'ECDH-ES+A256KW', 'RSA-OAEP-256', 'PBES2-HS512+A256KW'])(
    'with %s gives a JWE that jose opens with the same JWK, and unwraps again',
    async (alg) => {
      const given = [secret, gcmSecret, curve, password('password')].find((jwk) => jwk.alg === alg);
      const key = given ?? (await rsaKey());
      const keys = keyring({ current: key });
      const { wrapped, kid } = await keys.wrap(dek, binding);
      expect(kid).toBe(key.kid);
      expect((await keys.unwrap(wrapped, binding)).dek).toEqual(dek);
      const { plaintext, protectedHeader } = await compactDecrypt(wrapped, await importJWK(key, alg), {
        keyManagementAlgorithms: [alg],
        maxPBES2Count: 210_000,
      });
      expect(plaintext).toEqual(dek);
      expect(protectedHeader).toMatchObject({ alg, enc: 'A256GCM', typ: 'sr1-dek', kid: key.kid });
    },
  );

  it('with X25519 works like the other curves', async () => {
    const pair = await generateKeyPair('ECDH-ES+A256KW', { crv: 'X25519', extractable: true });
    const jwk = await exportJWK(pair.privateKey);
    const keys = keyring({ current: { ...jwk, alg: 'ECDH-ES+A256KW', kid: 'x' } });
    const { wrapped } = await keys.wrap(dek, binding);
    expect((await keys.unwrap(wrapped, binding)).dek).toEqual(dek);
  });

  it('stays as small as it can be', async () => {
    const size = async (key: JWK): Promise<number> =>
      (await keyring({ current: key }).wrap(dek, binding)).wrapped.length;
    const kid = toBase64url(new Uint8Array(12));
    expect(await size({ ...secret, kid })).toBeLessThanOrEqual(250);
    expect(await size({ ...curve, kid })).toBeLessThanOrEqual(430);
  });

  it('with a public JWK works, reading does not', async () => {
    for (const key of [curve, await rsaKey()]) {
      const writer = keyring({ current: publicHalf(key) });
      const { wrapped } = await writer.wrap(dek, binding);
      expect(writer.writeOnly).toBe(true);
      expect(await failure(() => writer.unwrap(wrapped, binding))).toEqual(
        coded('ERR_KEY_UNAVAILABLE', /public half/),
      );
      expect((await keyring({ current: key }).unwrap(wrapped, binding)).dek).toEqual(dek);
    }
  });

  it('drops use, key_ops and ext of an asymmetric JWK, which would forbid one direction', async () => {
    const keys = keyring({ current: { ...curve, use: 'enc', key_ops: ['deriveBits'], ext: false } });
    const { wrapped } = await keys.wrap(dek, binding);
    expect((await keys.unwrap(wrapped, binding)).dek).toEqual(dek);
  });

  it('copies the JWK, so that a later change of the object changes nothing', async () => {
    const mutable = { ...secret };
    const keys = keyring({ current: mutable });
    const { wrapped } = await keys.wrap(dek, binding);
    mutable.k = toBase64url(new Uint8Array(32));
    expect((await keys.unwrap(wrapped, binding)).dek).toEqual(dek);
  });
});

describe('a password', () => {
  it('is derived once to write and once for each writer that is read', async () => {
    const keys = keyring({ current: password('p') });
    const first = await keys.wrap(dek, binding);
    const second = await keys.wrap(dek, binding);
    const salts = [first, second].map(({ wrapped }) => {
      const header = Buffer.from(wrapped.slice(0, wrapped.indexOf('.')), 'base64url').toString();
      return (JSON.parse(header) as { p2s: string; p2c: number }).p2s;
    });
    expect(salts[0]).toBe(salts[1]);
    expect(first.wrapped).not.toBe(second.wrapped);
    const other = keyring({ current: password('p') });
    expect((await other.unwrap(first.wrapped, binding)).dek).toEqual(dek);
    expect((await other.unwrap(second.wrapped, binding)).dek).toEqual(dek);
  });

  it('opens what jose wrapped', async () => {
    const wrapped = await new CompactEncrypt(dek)
      .setProtectedHeader({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', typ: 'sr1-dek', kid: 'p' })
      .setKeyManagementParameters({ p2c: 210_000 })
      .encrypt(await importJWK(password('p'), 'PBES2-HS512+A256KW'));
    expect((await keyring({ current: password('p') }).unwrap(wrapped, binding)).dek).toEqual(dek);
  });

  it('with too few or far too many iterations is refused, given or stored', async () => {
    for (const p2c of [209_999, 10_000_001, 250_000.5, '210000']) {
      const jwk = { ...password('p'), p2c } as JWK;
      expect(await failure(() => keyring({ current: jwk }))).toEqual(coded('ERR_INVALID_OPTION', /p2c of/));
    }
    const weak = await new CompactEncrypt(dek)
      .setProtectedHeader({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', typ: 'sr1-dek', kid: 'p' })
      .encrypt(await importJWK(password('p'), 'PBES2-HS512+A256KW'));
    expect(await failure(() => keyring({ current: password('p') }).unwrap(weak, binding))).toEqual(
      coded('ERR_UNSUPPORTED', /p2c/),
    );
  });

  it('that is wrong does not unwrap', async () => {
    const { wrapped } = await keyring({ current: password('p') }).wrap(dek, binding);
    const wrong = keyring({ current: { ...password('p'), k: toBase64url(utf8('incorrect horse')) } });
    expect(await failure(() => wrong.unwrap(wrapped, binding))).toEqual(
      coded('ERR_AUTHENTICATION', /does not open with the key "p"/),
    );
  });
});

describe('unwrapping', () => {
  it('uses the key that the header names and no other', async () => {
    const { wrapped } = await keyring({ current: secret }).wrap(dek, binding);
    const stranger = keyring({ current: { ...(await generateKey()), kid: 'other' } });
    expect(await failure(() => stranger.unwrap(wrapped, binding))).toEqual(
      coded('ERR_KEY_UNKNOWN', /no key with the kid "secret"\. Add that key to `previous`/),
    );
    const impostor = keyring({ current: { ...(await generateKey()), kid: 'secret' } });
    expect(await failure(() => impostor.unwrap(wrapped, binding))).toEqual(
      coded('ERR_AUTHENTICATION', /another key under this kid/),
    );
  });

  it('pins the algorithm of the key, where jose alone would take another', async () => {
    const { wrapped } = await keyring({ current: secret }).wrap(dek, binding);
    const asOther = keyring({ current: { ...secret, alg: 'A256GCMKW' } });
    expect(await failure(() => asOther.unwrap(wrapped, binding))).toEqual(
      coded('ERR_AUTHENTICATION', /a different algorithm/),
    );
  });

  it('opens nothing after a change of any one character', async () => {
    const keys = keyring({ current: secret });
    const { wrapped } = await keys.wrap(dek, binding);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(wrapped.length - 1),
        fc.constantFrom('A', 'B', 'Q', 'g', 'w', '0', '9', '-', '_', '.', '='),
        async (at, character) => {
          fc.pre(wrapped[at] !== character);
          const changed = wrapped.slice(0, at) + character + wrapped.slice(at + 1);
          const error = await failure(() => keys.unwrap(changed, binding));
          expect(error).toHaveProperty(
            'code',
            expect.stringMatching(/^ERR_(?:MALFORMED|UNSUPPORTED|KEY_UNKNOWN|AUTHENTICATION)$/),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it('refuses every last character that base64url would ignore', async () => {
    const keys = keyring({ current: secret });
    const { wrapped } = await keys.wrap(dek, binding);
    const segments = wrapped.split('.');
    for (let index = 0; index < segments.length; index++) {
      const segment = segments[index] as string;
      const last = segment.at(-1) as string;
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const next = alphabet[(alphabet.indexOf(last) + 1) % 64] as string;
      const changed = segments.with(index, segment.slice(0, -1) + next).join('.');
      const error = await failure(() => keys.unwrap(changed, binding));
      expect(error).toHaveProperty('code', expect.stringMatching(/^ERR_(?:MALFORMED|AUTHENTICATION)$/));
    }
  });

  it.each([
    ['typ', { typ: 'JWT' }],
    ['no typ', { typ: undefined }],
    ['enc', { enc: 'A256CBC-HS512' }],
  ])('refuses a JWE with another %s', async (_, change) => {
    const header = { alg: 'A256KW', enc: 'A256GCM', typ: 'sr1-dek', kid: 'secret', ...change };
    const jwe = await new CompactEncrypt(dek)
      .setProtectedHeader(JSON.parse(JSON.stringify(header)) as { alg: string; enc: string })
      .encrypt(await importJWK(secret, 'A256KW'));
    expect(await failure(() => keyring({ current: secret }).unwrap(jwe, binding))).toEqual(
      coded('ERR_UNSUPPORTED', /header that this version does not know/),
    );
  });

  it.each([
    ['four segments', 'e30.e30.e30.e30'],
    ['a header that is no JSON', 'AAAA.AA.AA.AA.AA'],
    ['a header that is an array', `${toBase64url(utf8('[]'))}.AA.AA.AA.AA`],
    ['a header without kid', `${toBase64url(utf8('{"alg":"A256KW"}'))}.AA.AA.AA.AA`],
  ])('reports %s as malformed', async (_, text) => {
    expect(await failure(() => keyring({ current: secret }).unwrap(text, binding))).toEqual(
      coded('ERR_MALFORMED', /not a compact JWE/),
    );
  });
});

describe('the header of a wrapped key', () => {
  const jwe = async (change: object): Promise<string> =>
    new CompactEncrypt(dek)
      .setProtectedHeader({ alg: 'A256KW', enc: 'A256GCM', typ: 'sr1-dek', kid: 'secret', ...change })
      .encrypt(await importJWK(secret, 'A256KW'));
  const edited = (wrapped: string, edit: (header: Record<string, unknown>) => unknown): string => {
    const [head = '', ...rest] = wrapped.split('.');
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>;
    return [toBase64url(utf8(JSON.stringify(edit(header)))), ...rest].join('.');
  };

  it('can state that the data key must seal nothing new, and is authenticated', async () => {
    for (const key of [secret, gcmSecret, password('p')]) {
      const keys = keyring({ current: key });
      const { wrapped } = await keys.wrap(dek, binding, { openOnly: true });
      expect(await keys.unwrap(wrapped, binding)).toEqual({ dek, kid: key.kid, openOnly: true });
      const plain = await keys.wrap(dek, binding, { openOnly: false });
      expect(await keys.unwrap(plain.wrapped, binding)).toEqual({ dek, kid: key.kid, openOnly: false });
      const without = edited(wrapped, (header) => ({ ...header, use: undefined }));
      expect(await failure(() => keys.unwrap(without, binding))).toEqual(
        coded(
          'ERR_AUTHENTICATION',
          /^A wrapped data key does not open with the key .* Check the keyring, then restore/,
        ),
      );
    }
  });

  it('opens with use "open" and with no other', async () => {
    const keys = keyring({ current: secret });
    expect(await keys.unwrap(await jwe({ use: 'open' }), binding)).toMatchObject({ openOnly: true });
    expect(await failure(async () => keys.unwrap(await jwe({ use: 'seal' }), binding))).toEqual(
      coded(
        'ERR_UNSUPPORTED',
        /typ must be "sr1-dek", enc "A256GCM", without zip and crit\. Update strongroom, or restore the record from a backup\.$/,
      ),
    );
  });

  it.each([
    ['zip', { zip: 'DEF' }],
    ['crit', { crit: ['exp'], exp: 1 }],
  ])('has no %s', async (_, change) => {
    const keys = keyring({ current: secret });
    const { wrapped } = await keys.wrap(dek, binding);
    expect(
      await failure(() =>
        keys.unwrap(
          edited(wrapped, (header) => ({ ...header, ...change })),
          binding,
        ),
      ),
    ).toEqual(coded('ERR_UNSUPPORTED', /without zip and crit/));
  });

  it.each<[string, unknown, RegExp]>([
    ['null', null, /its header is not an object\. Restore the record from a backup\.$/],
    ['text', 'a', /its header is not an object/],
    ['no kid', { alg: 'A256KW' }, /its header names no kid or alg/],
    ['no alg', { kid: 'secret' }, /its header names no kid or alg/],
  ])('is malformed when it is %s', async (_, header, message) => {
    const text = `${toBase64url(utf8(JSON.stringify(header)))}.AA.AA.AA.AA`;
    expect(await failure(() => keyring({ current: secret }).unwrap(text, binding))).toEqual(
      coded('ERR_MALFORMED', message),
    );
  });

  it.each([
    ['six segments', 'e30.AA.AA.AA.AA.AA', /not five segments of canonical base64url/],
    ['a segment that is no base64url', 'e30.AA.A.AA.AA', /not five segments/],
    ['a header that is no JSON', 'AAAA.AA.AA.AA.AA', /its header is not JSON in UTF-8/],
  ])('is malformed with %s', async (_, text, message) => {
    expect(await failure(() => keyring({ current: secret }).unwrap(text, binding))).toEqual(
      coded('ERR_MALFORMED', message),
    );
  });

  it('of a password needs a salt of at least 8 bytes', async () => {
    const keys = keyring({ current: password('p') });
    const { wrapped } = await keys.wrap(dek, binding);
    for (const p2s of [undefined, 7, toBase64url(new Uint8Array(7)), 'A']) {
      expect(
        await failure(() =>
          keys.unwrap(
            edited(wrapped, (header) => ({ ...header, p2s })),
            binding,
          ),
        ),
      ).toEqual(coded('ERR_MALFORMED', /has no usable salt \(p2s\)\. Restore the record from a backup\.$/));
    }
    const eight = edited(wrapped, (header) => ({ ...header, p2s: toBase64url(new Uint8Array(8)) }));
    const error = await failure(() => keys.unwrap(eight, binding));
    expect(error).toEqual(coded('ERR_AUTHENTICATION', /"p"/));
    expect(error).toHaveProperty('cause');
    const weak = edited(wrapped, (header) => ({ ...header, p2c: 209_999 }));
    expect(await failure(() => keys.unwrap(weak, binding))).toEqual(
      coded('ERR_UNSUPPORTED', /has an iteration count outside 210000 to 10000000 \(p2c\)\. Restore/),
    );
  });
});

describe('the life cycle', () => {
  it('changes states only along the allowed transitions', async () => {
    const keys = keyring({ current: secret, previous: [gcmSecret], destroyed: ['gone'] });
    keys.enable('secret');
    expect(keys.current).toBe('secret');
    expect(keys.state('secret')).toBe('current');
    keys.disable('gcm');
    keys.disable('gcm');
    expect(keys.keys()).toContainEqual({ kid: 'gcm', state: 'disabled', alg: 'A256GCMKW' });
    expect(await failure(() => keys.disable('gone'))).toEqual(
      coded(
        'ERR_INVALID_OPTION',
        /^keyring\.disable: the key "gone" is destroyed; it must be previous or disabled\.$/,
      ),
    );
    expect(await failure(() => keys.enable('gone'))).toEqual(
      coded('ERR_INVALID_OPTION', /^keyring\.enable: .* it must be disabled or previous or current\.$/),
    );
    expect(await failure(() => keys.destroy('secret'))).toEqual(
      coded('ERR_INVALID_OPTION', /^keyring\.destroy: .* it must be previous or disabled or destroyed\.$/),
    );
    keys.enable('gcm');
    keys.enable('gcm');
    keys.destroy('gcm');
    keys.destroy('gcm');
    expect(await failure(() => keys.add(gcmSecret))).toEqual(
      coded(
        'ERR_INVALID_OPTION',
        /^keyring\.add: the key has the kid "gcm", which another key of the keyring already has\. Give each key a kid of its own\.$/,
      ),
    );
    expect(await failure(() => keys.promote('gone'))).toEqual(
      coded('ERR_INVALID_OPTION', /^keyring\.promote: the key "gone" is destroyed; it must be previous\.$/),
    );
    expect(keys.writeOnly).toBe(false);
    expect(await failure(() => keyring({ current: secret, destroyed: [''] }))).toEqual(
      coded('ERR_INVALID_OPTION', /destroyed must be an array of kids/),
    );
    expect(await failure(() => keyring({ current: secret, destroyed: 'a' } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /destroyed must be an array of kids/),
    );
  });

  it('adds and promotes in two steps, and data keys of the old key still open', async () => {
    const keys = keyring({ current: secret });
    const old = await keys.wrap(dek, binding);
    keys.add(gcmSecret);
    expect(keys.current).toBe('secret');
    keys.promote('gcm');
    expect(keys.keys()).toEqual([
      { kid: 'gcm', state: 'current', alg: 'A256GCMKW' },
      { kid: 'secret', state: 'previous', alg: 'A256KW' },
    ]);
    expect((await keys.wrap(dek, binding)).kid).toBe('gcm');
    expect((await keys.unwrap(old.wrapped, binding)).dek).toEqual(dek);
    keys.promote('gcm');
    expect(keys.current).toBe('gcm');
  });

  it('refuses to open with a disabled or destroyed key, and names the state', async () => {
    const keys = keyring({ current: gcmSecret, previous: [secret] });
    const { wrapped } = await keyring({ current: secret }).wrap(dek, binding);
    keys.disable('secret');
    expect(keys.state('secret')).toBe('disabled');
    expect(await failure(() => keys.unwrap(wrapped, binding))).toEqual(
      coded('ERR_KEY_DISABLED', /"secret" is disabled in the keyring\. Enable it again, or treat/),
    );
    expect(await failure(() => keys.promote('secret'))).toEqual(
      coded('ERR_INVALID_OPTION', /is disabled; it must be previous/),
    );
    keys.enable('secret');
    expect((await keys.unwrap(wrapped, binding)).dek).toEqual(dek);
    keys.destroy('secret');
    expect(await failure(() => keys.unwrap(wrapped, binding))).toEqual(
      coded(
        'ERR_KEY_DISABLED',
        /"secret" is destroyed in the keyring\. Treat .* another process still wraps with it/,
      ),
    );
    expect(await failure(() => keys.enable('secret'))).toEqual(coded('ERR_INVALID_OPTION', /is destroyed/));
    expect(keys.keys()).toContainEqual({ kid: 'secret', state: 'destroyed' });
  });

  it('starts with the states that the options give', async () => {
    const keys = keyring({ current: secret, disabled: [gcmSecret], destroyed: ['gone'] });
    expect(keys.state('gcm')).toBe('disabled');
    expect(keys.state('gone')).toBe('destroyed');
    expect(keys.state('other')).toBeUndefined();
    expect(await failure(() => keys.checkOpens('gone'))).toEqual(coded('ERR_KEY_DISABLED', /destroyed/));
    expect(keys.checkOpens('secret')).toBeUndefined();
  });

  it('never disables or destroys the current key', async () => {
    const keys = keyring({ current: secret });
    for (const method of ['disable', 'destroy'] as const) {
      expect(await failure(() => keys[method]('secret'))).toEqual(
        coded('ERR_INVALID_OPTION', /"secret" is current/),
      );
    }
    expect(await failure(() => keys.promote('other'))).toEqual(coded('ERR_KEY_UNKNOWN', /"other"/));
  });
});

describe('the checks of a keyring', () => {
  const k = toBase64url(new Uint8Array(32));
  it.each<[string, unknown, RegExp]>([
    ['no object', 'secret', /current is not a JWK object/],
    ['no kid', { kty: 'oct', alg: 'A256KW', k }, /needs a kid/],
    ['a long kid', { kty: 'oct', alg: 'A256KW', k, kid: 'x'.repeat(129) }, /needs a kid/],
    ['a kid with a line break', { kty: 'oct', alg: 'A256KW', k, kid: 'a\nb' }, /needs a kid/],
    ['no alg', { kty: 'oct', k, kid: 'a' }, /needs an alg of A256KW, /],
    ['an unsupported alg', { kty: 'oct', k, kid: 'a', alg: 'A128KW' }, /needs an alg/],
    ['a short secret', { kty: 'oct', alg: 'A256KW', k: 'AAAA', kid: 'a' }, /exactly 32 bytes/],
    ['a padded secret', { kty: 'oct', alg: 'A256KW', k: `${k}=`, kid: 'a' }, /canonical base64url/],
    ['another kty', { kty: 'RSA', alg: 'A256KW', k, kid: 'a' }, /kty must be "oct"/],
    ['use sig', { kty: 'oct', alg: 'A256KW', k, kid: 'a', use: 'sig' }, /not for encryption/],
    ['a short password', { kty: 'oct', alg: 'PBES2-HS512+A256KW', k: 'AAAA', kid: 'a' }, /at least 15/],
    ['an unknown curve', { kty: 'EC', crv: 'secp256k1', alg: 'ECDH-ES+A256KW', kid: 'a' }, /must be EC on/],
    ['a signature key', { kty: 'OKP', crv: 'Ed25519', x: k, alg: 'ECDH-ES+A256KW', kid: 'a' }, /X25519/],
    ['a cut point', { kty: 'EC', crv: 'P-256', x: k, y: 'AA', alg: 'ECDH-ES+A256KW', kid: 'a' }, /a y of/],
    [
      'a small modulus',
      { kty: 'RSA', n: toBase64url(new Uint8Array(255).fill(255)), e: 'AQAB', alg: 'RSA-OAEP-256', kid: 'a' },
      /at least 2048 bits, has 2040/,
    ],
    [
      'half a private key',
      {
        kty: 'RSA',
        n: toBase64url(new Uint8Array(256).fill(255)),
        e: 'AQAB',
        d: 'AA',
        alg: 'RSA-OAEP-256',
        kid: 'a',
      },
      /needs a p in canonical base64url\.$/,
    ],
    ['null instead', null, /current is not a JWK object\. Make one with generateKey\(\)/],
    ['an array instead', [], /current is not a JWK object/],
    ['an empty kid', { kty: 'oct', alg: 'A256KW', k, kid: '' }, /1 to 128 printable ASCII characters\.$/],
    ['a kid outside ASCII', { kty: 'oct', alg: 'A256KW', k, kid: 'é' }, /needs a kid/],
    ['no secret', { kty: 'oct', alg: 'A256KW', kid: 'a' }, /needs a k in canonical base64url/],
    ['an empty secret', { kty: 'oct', alg: 'A256KW', k: '', kid: 'a' }, /needs a k in canonical base64url/],
    [
      'a long secret',
      { kty: 'oct', alg: 'A256GCMKW', k: `${k.slice(0, -1)}AA`, kid: 'a' },
      /exactly 32 bytes/,
    ],
    [
      'a password of 14 characters',
      { kty: 'oct', alg: 'PBES2-HS512+A256KW', k: toBase64url(utf8('pässwörter süß')), kid: 'a' },
      /needs a password \(k\) of at least 15 characters, the minimum of NIST SP 800-63B/,
    ],
    [
      'a password of another kty',
      { kty: 'EC', alg: 'PBES2-HS512+A256KW', k, kid: 'a' },
      /has alg PBES2-HS512\+A256KW, so its kty must be "oct"\.$/,
    ],
    ['a curve and no kty', { crv: 'P-256', x: k, y: k, alg: 'ECDH-ES+A256KW', kid: 'a' }, /must be EC on/],
    [
      'X25519 as EC',
      { kty: 'EC', crv: 'X25519', x: k, y: k, alg: 'ECDH-ES+A256KW', kid: 'a' },
      /must be EC on/,
    ],
    ['no y', { kty: 'EC', crv: 'P-256', x: k, alg: 'ECDH-ES+A256KW', kid: 'a' }, /needs a y in/],
    [
      'the x of another curve',
      { kty: 'EC', crv: 'P-384', x: k, y: k, alg: 'ECDH-ES+A256KW', kid: 'a' },
      /x of exactly 48/,
    ],
    [
      'the x of P-521',
      { kty: 'EC', crv: 'P-521', x: k, y: k, alg: 'ECDH-ES+A256KW', kid: 'a' },
      /x of exactly 66/,
    ],
    [
      'a cut private part',
      { kty: 'EC', crv: 'P-256', x: k, y: k, d: 'AA', alg: 'ECDH-ES+A256KW', kid: 'a' },
      /needs a d of exactly 32 bytes\.$/,
    ],
    ['another kty for RSA', { kty: 'oct', k, alg: 'RSA-OAEP-256', kid: 'a' }, /so its kty must be "RSA"\.$/],
    ['no modulus', { kty: 'RSA', e: 'AQAB', alg: 'RSA-OAEP-256', kid: 'a' }, /needs a n in/],
    [
      'no exponent',
      { kty: 'RSA', n: toBase64url(new Uint8Array(256).fill(255)), alg: 'RSA-OAEP-256', kid: 'a' },
      /needs a e in/,
    ],
    [
      'a modulus that is small behind zeros',
      {
        kty: 'RSA',
        n: toBase64url(Uint8Array.of(1, ...new Uint8Array(255))),
        e: 'AQAB',
        alg: 'RSA-OAEP-256',
        kid: 'a',
      },
      /at least 2048 bits, has 2041\.$/,
    ],
    [
      'three primes',
      {
        kty: 'RSA',
        n: toBase64url(new Uint8Array(256).fill(255)),
        e: 'AQAB',
        oth: [],
        alg: 'RSA-OAEP-256',
        kid: 'a',
      },
      /more than two primes \(oth\), which is not supported\.$/,
    ],
    ...['q', 'dp', 'dq', 'qi'].map((missing): [string, unknown, RegExp] => [
      `no ${missing}`,
      {
        kty: 'RSA',
        n: toBase64url(new Uint8Array(256).fill(255)),
        e: 'AQAB',
        d: 'AA',
        p: 'AA',
        q: 'AA',
        dp: 'AA',
        dq: 'AA',
        qi: 'AA',
        [missing]: undefined,
        alg: 'RSA-OAEP-256',
        kid: 'a',
      },
      new RegExp(`needs a ${missing} in canonical`),
    ]),
    [
      'a provider without kid',
      { unwrap: () => undefined },
      /current needs a kid of 1 to 128 printable ASCII characters\.$/,
    ],
  ])('refuse a key with %s', async (_, key, message) => {
    const error = await failure(() => keyring({ current: key as JWK }));
    expect(error).toEqual(coded('ERR_INVALID_OPTION', message));
    expect((error as Error).message).not.toContain(k);
  });

  it.each<[string, JWK]>([
    ['a kid of one character', { kty: 'oct', alg: 'A256KW', k, kid: ' ' }],
    ['a kid of 128 characters', { kty: 'oct', alg: 'A256KW', k, kid: '~'.repeat(128) }],
    ['use enc', { kty: 'oct', alg: 'A256KW', k, kid: 'a', use: 'enc' }],
    [
      'a password of 15 characters',
      { kty: 'oct', alg: 'PBES2-HS512+A256KW', k: toBase64url(utf8('pässwörter süßi')), kid: 'a' },
    ],
    ['the fewest iterations', { ...password('a'), p2c: 210_000 } as JWK],
    ['the most iterations', { ...password('a'), p2c: 10_000_000 } as JWK],
    [
      'a modulus of 2048 bits',
      {
        kty: 'RSA',
        n: toBase64url(Uint8Array.of(128, ...new Uint8Array(255))),
        e: 'AQAB',
        alg: 'RSA-OAEP-256',
        kid: 'a',
      },
    ],
    [
      'a point on P-384',
      { kty: 'EC', crv: 'P-384', x: 'A'.repeat(64), y: 'A'.repeat(64), alg: 'ECDH-ES+A256KW', kid: 'a' },
    ],
    [
      'a point on P-521',
      { kty: 'EC', crv: 'P-521', x: 'A'.repeat(88), y: 'A'.repeat(88), alg: 'ECDH-ES+A256KW', kid: 'a' },
    ],
  ])('accept a key with %s', (_, key) => {
    expect(keyring({ current: key }).keys()).toEqual([{ kid: key.kid, state: 'current', alg: key.alg }]);
  });

  it('name the position of the key and refuse unknown options', async () => {
    expect(await failure(() => keyring({ current: secret, previous: [{}] as JWK[] }))).toEqual(
      coded('ERR_INVALID_OPTION', /previous\[0\] needs a kid/),
    );
    expect(await failure(() => keyring({ current: secret, previous: [{ ...secret }] }))).toEqual(
      coded('ERR_INVALID_OPTION', /previous\[0\] has the kid "secret", which another key/),
    );
    expect(await failure(() => keyring({ current: secret, destroyed: ['secret'] }))).toEqual(
      coded('ERR_INVALID_OPTION', /destroyed\[0\]/),
    );
    expect(await failure(() => keyring({ current: secret, next: secret } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /unknown option "next"/),
    );
    expect(await failure(() => keyring({ current: secret, previous: secret } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /previous must be an array/),
    );
  });

  it('report a point that is not on its curve when it is first used', async () => {
    const { x, y } = curve;
    const keys = keyring({ current: { ...publicHalf(curve), x: y as string, y: x as string } });
    expect(await failure(() => keys.wrap(dek, binding))).toEqual(
      coded('ERR_INVALID_OPTION', /key "curve" of the keyring cannot be imported/),
    );
  });
});

describe('generateKey', () => {
  it('makes a 256-bit secret with a random kid', async () => {
    const [one, other] = await Promise.all([generateKey(), generateKey()]);
    expect(Object.keys(one)).toEqual(['kty', 'alg', 'k', 'kid']);
    expect(one).toMatchObject({
      kty: 'oct',
      alg: 'A256KW',
      kid: expect.stringMatching(/^[\w-]{16}$/) as string,
    });
    expect(one.k).not.toBe(other.k);
    expect(one.kid).not.toBe(other.kid);
  });

  it.each([
    ['A256GCMKW', { kty: 'oct' }],
    ['ECDH-ES+A256KW', { kty: 'EC', crv: 'P-256', d: expect.any(String) as string }],
    ['RSA-OAEP-256', { kty: 'RSA', n: expect.stringMatching(/^.{512}$/) as string }],
  ] as const)('makes a key for %s', async (alg, members) => {
    const key = alg === 'RSA-OAEP-256' ? await rsaKey() : await generateKey({ alg });
    expect(key).toMatchObject({ alg, ...members });
    expect(keyring({ current: key }).writeOnly).toBe(false);
  });

  it('refuses algorithms that it cannot generate', async () => {
    expect(await failure(() => generateKey({ alg: 'PBES2-HS512+A256KW' as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /alg must be A256KW, A256GCMKW, ECDH-ES\+A256KW, RSA-OAEP-256\.$/),
    );
    expect(await failure(() => generateKey({ size: 1 } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /unknown option "size"/),
    );
  });
});

describe('a key that cannot be used', () => {
  const curves = ['P-256', 'P-384', 'P-521', 'X25519'] as const;
  const pairOf = async (crv: string): Promise<JWK> => {
    const { privateKey } = await generateKeyPair('ECDH-ES+A256KW', { crv, extractable: true });
    return { ...(await exportJWK(privateKey)), alg: 'ECDH-ES+A256KW', kid: 'k' };
  };
  const atTheDoor = async (key: JWK): Promise<unknown> =>
    failure(async () => keyring({ current: key }).wrap(dek, binding));

  it.each(curves)(
    'with the halves of two keys of %s is refused before it wraps, in both directions',
    async (crv) => {
      const [one, other] = [await pairOf(crv), await pairOf(crv)];
      for (const { d } of [other, { d: undefined }]) expect(d === one.d).toBe(false);
      const mixed = [
        { ...one, d: other.d as string },
        { ...publicHalf(other), d: one.d as string },
      ];
      for (const key of mixed) {
        expect(await atTheDoor(key)).toEqual(
          coded('ERR_INVALID_OPTION', /halves? of different keys|do not fit together|half of different keys/),
        );
      }
      await expect(keyring({ current: one }).wrap(dek, binding)).resolves.toMatchObject({ kid: 'k' });
    },
  );

  it('with the halves of two RSA keys is refused before it wraps', async () => {
    const one = await rsaKey();
    const other = await generateKey({ alg: 'RSA-OAEP-256' });
    expect(await atTheDoor({ ...one, n: other.n as string })).toEqual(
      coded('ERR_INVALID_OPTION', /different keys|do not fit together/),
    );
    const { d, p, q, dp, dq, qi } = other as Record<string, string>;
    expect(await atTheDoor({ ...one, d, p, q, dp, dq, qi } as JWK)).toEqual(
      coded('ERR_INVALID_OPTION', /different keys|do not fit together/),
    );
  });

  it('that is made the current one later is tried then', async () => {
    const [one, other] = [await pairOf('P-256'), await pairOf('P-256')];
    const keys = keyring({ current: secret });
    keys.add({ ...one, d: other.d as string });
    keys.promote('k');
    expect(await failure(async () => keys.wrap(dek, binding))).toEqual(
      coded('ERR_INVALID_OPTION', /different keys|do not fit together/),
    );
  });

  it.each([
    ['P-256', 32],
    ['P-384', 48],
    ['P-521', 66],
  ])('with a point that is not on %s is refused, public or private', async (crv, size) => {
    const key = await pairOf(crv);
    const y = toBase64url(new Uint8Array(size).fill(1));
    for (const point of [
      { y },
      { x: toBase64url(new Uint8Array(size)), y: toBase64url(new Uint8Array(size)) },
    ]) {
      expect(await atTheDoor({ ...key, ...point })).toEqual(
        coded('ERR_INVALID_OPTION', /"k" of the keyring/),
      );
      expect(await atTheDoor({ ...publicHalf(key), ...point })).toEqual(
        coded('ERR_INVALID_OPTION', /"k" of the keyring/),
      );
    }
  });

  it('with a public key of X25519 that gives everybody the same secret is refused', async () => {
    const lowOrder = [0, 1].map((first) => Uint8Array.of(first, ...new Uint8Array(31)));
    // p - 1, p and p + 1, little-endian.
    for (const first of [0xec, 0xed, 0xee])
      lowOrder.push(Uint8Array.of(first, ...new Uint8Array(30).fill(0xff), 0x7f));
    const key = await pairOf('X25519');
    for (const point of lowOrder) {
      const given = { ...publicHalf(key), x: toBase64url(point) };
      expect(await atTheDoor(given)).toEqual(coded('ERR_INVALID_OPTION', /"k" of the keyring cannot wrap/));
    }
  });
});

describe('a provider of the application', () => {
  const providerThat = (fails: () => never | Promise<never>): KeyProvider => ({
    kid: 'own',
    alg: 'dir',
    writeOnly: false,
    wrap: fails,
    unwrap: fails,
  });

  const wrapLikeOwn = async (key: Uint8Array): Promise<string> =>
    new CompactEncrypt(key)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', typ: 'sr1-dek', kid: 'own' })
      .encrypt(dek);

  it.each([
    ['rejects', (cause: unknown) => async () => Promise.reject(cause)],
    [
      'throws',
      (cause: unknown) => (): never => {
        throw cause;
      },
    ],
  ])(
    'that %s with an error that is not ours is unavailable, with that error as the cause',
    async (_name, failing) => {
      for (const cause of [new TypeError('socket hang up'), 'a text']) {
        const keys = keyring({ current: providerThat(failing(cause)) });
        const wrapping = await failure(async () => keys.wrap(dek, binding));
        expect(wrapping).toEqual(
          coded('ERR_KEY_UNAVAILABLE', /The provider of the key "own" did not wrap a data key/),
        );
        expect((wrapping as Error).cause).toBe(cause);
        const inner = new MemorySession({ sessionId: 's' });
        const writing = wrapSession(inner, [encrypt({ keys })]).addItems([
          { role: 'user', content: 'Hello' },
        ]);
        expect(await failure(async () => writing)).toEqual(coded('ERR_KEY_UNAVAILABLE', /see the cause/));
        expect(await inner.getItems()).toEqual([]);
        const working = keyring({
          current: { ...providerThat(failing(cause)), wrap: wrapLikeOwn },
        });
        await wrapSession(inner, [encrypt({ keys: working })]).addItems([{ role: 'user', content: 'Hello' }]);
        const opening = await failure(async () => wrapSession(inner, [encrypt({ keys })]).getItems());
        expect(opening).toEqual(coded('ERR_KEY_UNAVAILABLE', /did not unwrap a data key/));
        expect((opening as Error).cause).toBe(cause);
      }
    },
  );

  it('that says what happened by an error of ours keeps it', async () => {
    const disabled = new StrongroomError('ERR_KEY_DISABLED', 'The key is disabled.');
    const keys = keyring({ current: providerThat(() => Promise.reject(disabled)) });
    expect(await failure(async () => keys.wrap(dek, binding))).toBe(disabled);
  });

  it('without the function wrap is refused', async () => {
    const provider = { ...providerThat(() => Promise.reject(new Error('x'))), wrap: undefined as never };
    expect(await failure(() => keyring({ current: provider }))).toEqual(
      coded('ERR_INVALID_OPTION', /without the function wrap/),
    );
  });
});
