/** Writes test/vectors/sr1.json. A change of that file is a change of the format: SPEC.md gets a line about it. */
import { writeFileSync } from 'node:fs';
import { CompactEncrypt, type JWK } from 'jose';
import { bindingContext, deriveKeys } from '../src/crypto/derive.ts';
import type { SuiteName } from '../src/crypto/suite.ts';
import { clearOperationTag, formatEnvelope, formatHeader, sealClear } from '../src/protocol/envelope.ts';
import type { Header } from '../src/layer.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (first: number): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, index) => (first + index) & 0xff);
const oct = (kid: string, first: number): JWK => ({
  kty: 'oct',
  alg: 'A256KW',
  k: Buffer.from(bytes(first)).toString('base64url'),
  kid,
});

// Published keys: they protect nothing.
const keks = [oct('vector-1', 0), oct('vector-2', 64)];

interface Case {
  readonly name: string;
  readonly suite: SuiteName;
  readonly sessionId: string;
  readonly context: Readonly<Record<string, string>>;
  readonly kek: JWK;
  readonly stamps: Header;
  readonly operationId: string;
  readonly index: number;
  readonly json: string;
}

const user = (content: string): string => JSON.stringify({ type: 'message', role: 'user', content });
const base = {
  sessionId: 'session-1',
  context: {},
  kek: keks[0] as JWK,
  stamps: { t: 1_700_000_000_000 },
  operationId: 'op-1',
  index: 0,
  json: user('Hello'),
};
const cases: Case[] = (['XC20P', 'XAES-256-GCM'] as const).flatMap((suite): Case[] => [
  { ...base, suite, name: `${suite}: the smallest header` },
  {
    ...base,
    suite,
    name: `${suite}: expiry, group and an extension`,
    stamps: { t: 1_700_000_000_000, e: 1_702_592_000_000, g: 1_699_999_000_000, 'x-note': 'ß' },
    index: 7,
  },
  {
    ...base,
    suite,
    name: `${suite}: a context, and ids beyond ASCII`,
    sessionId: 'sëssion-世界',
    context: { tenant: 'acme', Ä: '', zone: 'eu-1' },
    operationId: 'öp:2',
    kek: keks[1] as JWK,
  },
  { ...base, suite, name: `${suite}: padding after the JSON`, json: `${user('padded')}${' '.repeat(32)}` },
  {
    ...base,
    suite,
    name: `${suite}: bytes in an item`,
    json: '{"role":"user","content":"b","providerData":{"data":{"$bytes":"AP8="},"$$bytes":"mine"}}',
  },
]);

const sealed = await Promise.all(
  cases.map(async ({ name, suite, sessionId, context, kek, stamps, operationId, index, json }, position) => {
    const dek = bytes(100 + 3 * position);
    const keys = deriveKeys(dek, suite, bindingContext(sessionId, context));
    const { t, e, g, ...extensions } = stamps;
    const header: Header = {
      s: suite,
      d: keys.did,
      ...(t !== undefined && { t }),
      ...(e !== undefined && { e }),
      ...(g !== undefined && { g }),
      o: keys.operationTag(operationId, index),
      ...extensions,
    };
    const segment = formatHeader(header);
    const plaintext = new TextEncoder().encode(json);
    const nonce = keys.operationNonce(operationId, index, segment, plaintext);
    const body = keys.aead.seal(nonce, plaintext, keys.associatedData(segment));
    const wrapped = await new CompactEncrypt(dek)
      .setProtectedHeader({ alg: 'A256KW', enc: 'A256GCM', typ: 'sr1-dek', kid: kek.kid as string })
      .encrypt(Buffer.from(kek.k as string, 'base64url'));
    return {
      name,
      sessionId,
      context,
      kek: kek.kid,
      dek: hex(dek),
      header,
      operationId,
      index,
      nonce: hex(nonce),
      json,
      wrapped,
      envelope: formatEnvelope(segment, body),
    };
  }),
);

const clear = {
  operationId: 'op-1',
  index: 3,
  json: user('Hello'),
  envelope: sealClear(
    { t: 1_700_000_000_000, e: 1_702_592_000_000, o: clearOperationTag('op-1', 3) },
    user('Hello'),
  ),
};

const target = new URL('../test/vectors/sr1.json', import.meta.url);
writeFileSync(
  target,
  `${JSON.stringify({ version: 'sr1', status: 'draft', keks, sealed, clear }, null, 2)}\n`,
);
console.log(`${sealed.length} sealed vectors and one clear one are in test/vectors/sr1.json`);
