import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { MemorySession, type AgentInputItem } from '@openai/agents';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  encrypt,
  expire,
  generateKey,
  keyring,
  redact,
  trimHistory,
  wrapSession,
  type Keyring,
} from '../src/index.ts';
import { awsKms } from '../src/kms/aws.ts';
import { pkcs11 } from '../src/kms/pkcs11.ts';
import { vaultTransit } from '../src/kms/vault.ts';
import { sealRunState } from '../src/operations/index.ts';
import { openMysql } from '../src/stores/mysql.ts';
import { openPostgres } from '../src/stores/postgres.ts';
import { openRedis } from '../src/stores/redis.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { failure } from './crypto/failure.ts';

// Keys of objects are text like any other, and a secret can be a number.

let keys: Keyring;
beforeAll(async () => void (keys = keyring({ current: await generateKey() })));

const TEXTS = [
  'jane.roe@example.com',
  'Jane Roe, HIV positive',
  '4111 1111 1111 1111',
  'hunter2',
  'sk-live-4242',
];
const NUMBERS = [31_337_2024, 9_988_776_655, -424_242, 0.7357, 4_111_111_111_111_111];

/** The messages of an error and of its causes. */
async function said(action: () => unknown): Promise<string> {
  const messages: string[] = [];
  let error: unknown = await failure(action);
  for (; error instanceof Error; error = error.cause)
    messages.push(`${error.message} ${String(error.stack)}`);
  expect(messages.length).toBeGreaterThan(0);
  return messages.join('\n');
}

describe.each(TEXTS)('a message does not hold the key %j', (key) => {
  const wrong: readonly (readonly [string, unknown])[] = [
    ['NaN', Number.NaN],
    ['a function', () => 1],
    ['a Map', new Map()],
    ['a bigint', 5n],
    ['something deep', { a: [{ [`${key} again`]: Number.POSITIVE_INFINITY }] }],
  ];
  it.each(wrong)('of an item with %s', async (_, value) => {
    const items = [
      { type: 'function_call', callId: 'c', name: 'n', arguments: { [key]: value } },
      { role: 'user', content: 'x', providerData: { [key]: value } },
      { role: 'user', content: [{ type: 'input_text', text: 'x', [key]: value }] },
      { role: 'user', content: 'x', [key]: value },
    ] as unknown as AgentInputItem[];
    for (const layers of [
      [redact()],
      [encrypt({ keys })],
      [redact(), expire({ after: '1d' }), encrypt({ keys })],
    ]) {
      for (const inner of [new MemorySession({ sessionId: 's' }), openSqlite(':memory:').session('s')]) {
        const session = wrapSession(inner, layers);
        for (const item of items) {
          expect(await said(() => session.addItems([item]))).not.toContain(key);
          const transaction = { type: 'append_items' as const, items: [item] };
          expect(
            await said(() => session.applyHistoryTransaction({ operationId: 'o', transaction })),
          ).not.toContain(key);
        }
      }
    }
    for (const item of items) {
      expect(await said(() => openSqlite(':memory:').session('s').addItems([item]))).not.toContain(key);
    }
  });

  it('of a blocked entity or of text that is too long', async () => {
    const blocking = redact({ operators: { DEFAULT: 'block' }, maxScanBytes: 1_000 });
    const session = wrapSession(new MemorySession(), [blocking]);
    for (const text of ['mail to ada@example.org', 'x'.repeat(2_000)]) {
      const item = { role: 'user', content: 'x', providerData: { [key]: { deep: text } } } as const;
      expect(await said(() => session.addItems([item]))).not.toContain(key);
      const call = { type: 'function_call', callId: 'c', name: 'n', status: 'completed' } as const;
      const withArguments = { ...call, arguments: JSON.stringify({ [key]: text }) };
      expect(await said(() => session.addItems([withArguments]))).not.toContain(key);
    }
  });

  it('of options', async () => {
    const odd = { [key]: 1 } as never;
    for (const act of [
      () => encrypt(odd),
      () => encrypt({ keys, dataKeys: odd }),
      () => encrypt({ keys, context: odd }),
      () => redact(odd),
      () => redact({ operators: odd }),
      () => redact({ operators: { [key]: 'redact' } as never }),
      () => redact({ operators: { DEFAULT: { type: 'mask', [key]: 1 } as never } }),
      () => redact({ denyList: { [key]: [5] } as never }),
      () => redact({ entities: [key] as never }),
      () => redact({ countries: [key] as never }),
      () => keyring(odd),
      () => keyring({ current: odd }),
      () => openSqlite(':memory:', odd),
      () => trimHistory(odd),
      () => sealRunState('{}', odd),
    ]) {
      expect(await said(act)).not.toContain(key);
    }
  });
});

it.each(NUMBERS)('a message does not hold the number %d', async (secret) => {
  const given = secret as never;
  for (const act of [
    () => pkcs11({ pkcs11: { C_EncryptAsync() {} } as never, token: 't', keyLabel: 'k', pin: given }),
    () => pkcs11({ pkcs11: { C_EncryptAsync() {} } as never, token: given, keyLabel: given, pin: given }),
    () => vaultTransit({ address: 'https://v.example', key: 'k', token: given }),
    () => vaultTransit({ address: given, key: given, token: 't' }),
    () => awsKms({ client: given, keyId: given }),
    () => keyring({ current: { kty: 'oct', alg: 'A256KW', kid: 'x', k: given } }),
    () => keyring({ current: given }),
    () => keyring({ current: { kty: 'oct', alg: 'A256KW', kid: given, k: 'x' } }),
    () => encrypt({ keys: given }),
    () => encrypt({ keys, context: { tenant: given } }),
    () => redact({ operators: { DEFAULT: { type: 'hash', key: given } } }),
    () => redact({ allowList: [given] }),
    () => redact({ denyList: { PERSON: [given] } }),
    () => openPostgres(given),
    () => openMysql(given),
    () => openRedis(given),
    () => openSqlite(given),
    () => sealRunState('{}', { keys, id: given }),
  ]) {
    expect(await said(act)).not.toContain(String(secret));
  }
});

it('a message names an option that a programmer mistyped', async () => {
  expect(await said(() => encrypt({ keys, algorithm: 1 } as never))).toContain(
    'encrypt: unknown option "algorithm". Known: keys,',
  );
  expect(await said(() => encrypt({ keys, 'sekrit-value': 1 } as never))).toContain(
    'encrypt: unknown option (number 2 of 2). Known: keys,',
  );
});

it('no message says a sentence twice', () => {
  const folder = resolve(import.meta.dirname, '../src');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  const repeated = files.filter((file) =>
    /([A-Z][^'"`\n]{15,}\.) \1/.test(readFileSync(resolve(folder, file), 'utf8')),
  );
  expect(files.length).toBeGreaterThan(100);
  expect(repeated).toEqual([]);
});
