import {
  MemorySession,
  OpenAIResponsesCompactionSession,
  type AgentInputItem,
  type Session,
} from '@openai/agents';
import { describe, expect, test } from 'vitest';
import {
  audit,
  authorize,
  cache,
  encrypt,
  expire,
  generateKey,
  isStrongroomError,
  keyring,
  redact,
  trimHistory,
  wrapSession,
  wrapStore,
  type ErrorCode,
  type SessionLayer,
} from '../src/index.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { fixedKey, fixedKeyring } from '../src/testing/index.ts';
import { fakeOpenAI } from './support/fake-openai.ts';
import { plainSession } from './support/plain-session.ts';

type Misuse = readonly [what: string, use: () => unknown, code: ErrorCode, message: RegExp | string];

const hello: AgentInputItem = { role: 'user', content: 'Hello' };
const keys = fixedKeyring();
const seal = (): SessionLayer => encrypt({ keys });
const stamp = (): SessionLayer => expire({ after: '30d' });
const redaction = (): SessionLayer => redact();
const wrap = (...layers: SessionLayer[]): unknown => wrapSession(new MemorySession(), layers);
const unchecked = (value: unknown): never => value as never;
const SECRET = 'AAECAwQFBgcICQoLDA0ODw';

const WRONG_ORDER: readonly Misuse[] = [
  [
    'redact below encrypt',
    () => wrap(seal(), redaction()),
    'ERR_LAYER_ORDER',
    /redact cannot be below encrypt.*outermost first: \[redact, encrypt\]/,
  ],
  [
    'expire below encrypt',
    () => wrap(seal(), stamp()),
    'ERR_LAYER_ORDER',
    /expire cannot be below encrypt.*\[expire, encrypt\]/,
  ],
  [
    'cache below encrypt',
    () => wrap(seal(), cache({ maxItems: 1 })),
    'ERR_LAYER_ORDER',
    /cache cannot be below encrypt.*\[cache, encrypt\]/,
  ],
  [
    'expire below cache',
    () => wrap(cache({ maxItems: 1 }), stamp(), seal()),
    'ERR_LAYER_ORDER',
    /expire cannot be below cache.*\[expire, cache, encrypt\]/,
  ],
  [
    'redact below cache',
    () => wrap(cache({ maxItems: 1 }), redaction()),
    'ERR_LAYER_ORDER',
    /redact cannot be below cache.*\[redact, cache\]/,
  ],
  ['two encrypt layers', () => wrap(seal(), seal()), 'ERR_LAYER_ORDER', /one encrypt\(\) layer/],
  ['two expire layers', () => wrap(stamp(), stamp()), 'ERR_LAYER_ORDER', /one expire\(\) layer/],
  [
    'two cache layers',
    () => wrap(cache({ maxItems: 1 }), cache({ maxItems: 1 })),
    'ERR_LAYER_ORDER',
    /one cache\(\) layer/,
  ],
  [
    'a second encrypt, over a session that has one already',
    () => wrapSession(wrapSession(new MemorySession(), [seal()]), [seal()]),
    'ERR_LAYER_ORDER',
    /one encrypt\(\) layer/,
  ],
  [
    'redact, under a wrapper that encrypts',
    () => wrapSession(wrapSession(new MemorySession(), [redaction()]), [seal()]),
    'ERR_LAYER_ORDER',
    /redact cannot be below encrypt/,
  ],
  [
    'a data layer over a session that compacts itself',
    () =>
      wrapSession(new OpenAIResponsesCompactionSession({ client: fakeOpenAI().client, model: 'gpt-5' }), [
        seal(),
      ]),
    'ERR_LAYER_ORDER',
    /encrypt cannot be above a session that compacts itself.*Put the compaction session outside/,
  ],
  [
    'a wrong order for a store',
    () => wrapStore(openSqlite(':memory:'), [seal(), stamp()]),
    'ERR_LAYER_ORDER',
    /expire cannot be below encrypt/,
  ],
];

const WRONG_OPTIONS: readonly Misuse[] = [
  ...['', '5 minutes', '-1d', '1y', 'P30D', 0, -5, Number.NaN, Number.POSITIVE_INFINITY, null, undefined].map(
    (after): Misuse => [
      `expire after ${JSON.stringify(after) ?? String(after)}`,
      () => expire(unchecked({ after })),
      'ERR_INVALID_OPTION',
      /expire: after must be .*'15m', '12h' or '30d'/,
    ],
  ),
  [
    'expire without options',
    () => expire(unchecked(undefined)),
    'ERR_INVALID_OPTION',
    /expire: options must be an object/,
  ],
  [
    'expire with a clock that is no function',
    () => expire(unchecked({ after: '1d', clock: 5 })),
    'ERR_INVALID_OPTION',
    /expire: clock must be a function/,
  ],
  [
    'expire with an unknown option',
    () => expire(unchecked({ after: '1d', ttl: '1d' })),
    'ERR_INVALID_OPTION',
    /expire: unknown option "ttl". Known: after/,
  ],
  ['encrypt without keys', () => encrypt(unchecked({})), 'ERR_INVALID_OPTION', /encrypt: keys/],
  [
    'encrypt with a bare key',
    () => encrypt(unchecked({ keys: fixedKey('a') })),
    'ERR_INVALID_OPTION',
    /encrypt: keys/,
  ],
  [
    'encrypt with an unknown option',
    () => encrypt(unchecked({ keys, algorithm: 'AES' })),
    'ERR_INVALID_OPTION',
    /encrypt: unknown option "algorithm"/,
  ],
  [
    'encrypt with an unknown suite',
    () => encrypt(unchecked({ keys, suite: 'ROT13' })),
    'ERR_INVALID_OPTION',
    /encrypt: suite/,
  ],
  [
    'encrypt with a context that is no text',
    () => encrypt(unchecked({ keys, context: { tenant: 7 } })),
    'ERR_INVALID_OPTION',
    /encrypt: .*context/,
  ],
  ['cache without a bound', () => cache({}), 'ERR_INVALID_OPTION', /cache: set maxItems or maxBytes/],
  [
    'cache with an unknown mode',
    () => cache(unchecked({ maxItems: 1, mode: 'fast' })),
    'ERR_INVALID_OPTION',
    /cache: mode must be/,
  ],
  [
    'cache of no items',
    () => cache({ maxItems: 0 }),
    'ERR_INVALID_OPTION',
    /cache: maxItems must be a positive whole number/,
  ],
  ['audit without a sink', () => audit(unchecked({})), 'ERR_INVALID_OPTION', /audit: sink/],
  [
    'authorize without a check',
    () => authorize(unchecked({})),
    'ERR_INVALID_OPTION',
    /authorize: check must be a function/,
  ],
  [
    'redact with an unknown entity',
    () => redact(unchecked({ entities: ['SHOE_SIZE'] })),
    'ERR_INVALID_OPTION',
    /redact: .*SHOE_SIZE/,
  ],
  [
    'redact with an unknown option',
    () => redact(unchecked({ entity: 'EMAIL_ADDRESS' })),
    'ERR_INVALID_OPTION',
    /redact: unknown option "entity"/,
  ],
  ['trimHistory without a limit', () => trimHistory({}), 'ERR_INVALID_OPTION', /trimHistory/],
  [
    'trimHistory to no tokens',
    () => trimHistory({ maxTokens: 0 }),
    'ERR_INVALID_OPTION',
    /trimHistory.*maxTokens must be a positive whole number/,
  ],
  [
    'wrapSession with an unknown option',
    () => wrapSession(new MemorySession(), [], unchecked({ maxBytes: 1 })),
    'ERR_INVALID_OPTION',
    /wrapSession: unknown option "maxBytes"/,
  ],
  [
    'openSqlite without a path',
    () => openSqlite(unchecked(undefined)),
    'ERR_INVALID_OPTION',
    /openSqlite: path must be/,
  ],
  [
    'openSqlite with an unknown option',
    () => openSqlite(':memory:', unchecked({ wal: true })),
    'ERR_INVALID_OPTION',
    /openSqlite: unknown option "wal"/,
  ],
];

const WRONG_KEYS: readonly Misuse[] = [
  ['no key', () => keyring(unchecked({})), 'ERR_INVALID_OPTION', /keyring: current/],
  [
    'a password in place of a key',
    () => keyring(unchecked({ current: 'correct horse battery staple' })),
    'ERR_INVALID_OPTION',
    /keyring: current/,
  ],
  [
    'a short key',
    () => keyring({ current: { kty: 'oct', alg: 'A256KW', kid: 'short', k: SECRET } }),
    'ERR_INVALID_OPTION',
    /32 bytes/,
  ],
  [
    'a key without a kid',
    () => keyring({ current: { ...fixedKey('a'), kid: unchecked(undefined) } }),
    'ERR_INVALID_OPTION',
    /kid/,
  ],
  [
    'a key without an algorithm',
    () => keyring({ current: { ...fixedKey('a'), alg: unchecked(undefined) } }),
    'ERR_INVALID_OPTION',
    /alg/,
  ],
  [
    'a key for something else',
    () => keyring({ current: { ...fixedKey('a'), alg: 'HS256' } }),
    'ERR_INVALID_OPTION',
    /alg/,
  ],
  [
    'the same kid twice',
    () => keyring({ current: fixedKey('a'), previous: [fixedKey('a')] }),
    'ERR_INVALID_OPTION',
    /kid/,
  ],
  [
    'an unknown algorithm to generate',
    () => generateKey(unchecked({ alg: 'none' })),
    'ERR_INVALID_OPTION',
    /generateKey: alg/,
  ],
];

const NO_SESSION: readonly Misuse[] = [
  ...[undefined, null, 'user-1', 7, {}, [], () => undefined].map((value): Misuse => [
    `${JSON.stringify(value) ?? typeof value} in place of a session`,
    () => wrapSession(unchecked(value), [seal()]),
    'ERR_INVALID_OPTION',
    /wrapSession: session must be a Session/,
  ]),
  [
    'a session without popItem',
    () => wrapSession(unchecked({ ...plainSession(), popItem: undefined }), []),
    'ERR_INVALID_OPTION',
    /it has no popItem/,
  ],
  [
    'a store in place of a session',
    () => wrapSession(unchecked(openSqlite(':memory:')), []),
    'ERR_INVALID_OPTION',
    /session must be a Session/,
  ],
  [
    'a session in place of a store',
    () => wrapStore(unchecked(new MemorySession()), []),
    'ERR_INVALID_OPTION',
    /wrapStore: store must be a store/,
  ],
  [
    'a layer in place of a list',
    () => wrapSession(new MemorySession(), unchecked(seal())),
    'ERR_INVALID_OPTION',
    /layers must be an array of layers/,
  ],
  [
    'a factory in place of a layer',
    () => wrapSession(new MemorySession(), [unchecked(encrypt)]),
    'ERR_INVALID_OPTION',
    /each layer must be an object with a name/,
  ],
  [
    'an empty session id for a store',
    () => openSqlite(':memory:').session(''),
    'ERR_INVALID_OPTION',
    /session/,
  ],
  [
    'a session that gives an empty id',
    () =>
      wrapSession({ ...plainSession(), getSessionId: () => Promise.resolve('') }, [seal()]).addItems([hello]),
    'ERR_INVALID_OPTION',
    /the session's id must be a non-empty string/,
  ],
];

class Money {
  readonly cents = 5;
}
const cyclic: Record<string, unknown> = { type: 'unknown' };
cyclic['providerData'] = { itself: cyclic };

const WRONG_ITEMS: readonly Misuse[] = [
  ...(
    [
      ['a function', () => SECRET, /providerData\.\* is a function/],
      ['a symbol', Symbol(SECRET), /providerData\.\* is a symbol/],
      ['a bigint', 5n, /providerData\.\* is a bigint/],
      ['NaN', Number.NaN, /providerData\.\* is a number that JSON cannot hold/],
      ['infinity', Number.POSITIVE_INFINITY, /providerData\.\* is a number that JSON cannot hold/],
      ['a date', new Date(0), /providerData\.\* is an instance of a class/],
      ['a map', new Map([[1, SECRET]]), /providerData\.\* is an instance of a class/],
      ['an object of a class', new Money(), /providerData\.\* is an instance of a class/],
    ] as const
  ).map(([what, value, message]): Misuse => [
    `${what} in an item`,
    () => wrapSession(new MemorySession(), [seal()]).addItems([{ type: 'unknown', providerData: { value } }]),
    'ERR_INVALID_ITEM',
    message,
  ]),
  [
    'a cycle in an item',
    () => wrapSession(new MemorySession(), [seal()]).addItems([unchecked(cyclic)]),
    'ERR_INVALID_ITEM',
    /is a cycle/,
  ],
  [
    'a text in place of an item',
    () => wrapSession(new MemorySession(), [seal()]).addItems([unchecked('Hello')]),
    'ERR_INVALID_ITEM',
    /An item must be an object/,
  ],
  [
    'an item in place of a list',
    () => wrapSession(new MemorySession(), [seal()]).addItems(unchecked(hello)),
    'ERR_INVALID_ITEM',
    /takes an array of items/,
  ],
  [
    'an item of 50 MB',
    () =>
      wrapSession(new MemorySession(), [seal()]).addItems([
        { role: 'user', content: 'x'.repeat(50_000_000) },
      ]),
    'ERR_INVALID_ITEM',
    /Item 1 of 1 has 500000\d\d bytes of JSON, more than maxItemBytes \(33554432\)/,
  ],
];

async function closedStore(): Promise<Session> {
  const store = wrapStore(openSqlite(':memory:'), [seal()]);
  const session = store.session('s');
  await session.addItems([hello]);
  await store.close();
  return session;
}

const CLOSED: readonly Misuse[] = [
  ['reading after close', async () => (await closedStore()).getItems(), 'ERR_CLOSED', /closed/],
  ['writing after close', async () => (await closedStore()).addItems([hello]), 'ERR_CLOSED', /closed/],
  [
    'asking for a session after close',
    async () => {
      const store = openSqlite(':memory:');
      await store.close();
      store.session('s');
    },
    'ERR_CLOSED',
    /closed/,
  ],
];

describe.each([
  ['a wrong order of layers', WRONG_ORDER],
  ['wrong options', WRONG_OPTIONS],
  ['wrong keys', WRONG_KEYS],
  ['what is no session', NO_SESSION],
  ['items that cannot be stored', WRONG_ITEMS],
  ['a closed store', CLOSED],
])('%s', (_, table) => {
  test.each(table)('%s is refused', async (_, use, code, message) => {
    const error: unknown = await Promise.resolve()
      .then(use)
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    expect(isStrongroomError(error) ? error.code : error).toBe(code);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain(SECRET);
  });
});

describe('a refused append', () => {
  test('stores nothing of its call, and the session still works', async () => {
    const inner = new MemorySession();
    const session = wrapSession(inner, [seal()]);
    await expect(
      session.addItems([hello, { type: 'unknown', providerData: { value: unchecked(() => 1) } }]),
    ).rejects.toThrow('providerData.* is a function');
    expect(await inner.getItems()).toEqual([]);
    await session.addItems([hello]);
    expect(await session.getItems()).toEqual([hello]);
  });
});

describe('a key with a public half only', () => {
  test('seals, and reading is ERR_KEY_UNAVAILABLE, before the model is called', async () => {
    const pair = await generateKey({ alg: 'ECDH-ES+A256KW' });
    const { kty, crv, x, y, kid, alg } = pair;
    const publicOnly = { kty, crv, x, kid, alg, ...(y !== undefined && { y }) } as typeof pair;
    const inner = new MemorySession();
    const writer = wrapSession(inner, [encrypt({ keys: keyring({ current: publicOnly }) })]);
    await writer.addItems([hello]);
    const other = wrapSession(inner, [encrypt({ keys: keyring({ current: publicOnly }) })]);
    await expect(other.getItems()).rejects.toMatchObject({ code: 'ERR_KEY_UNAVAILABLE' });
    const reader = wrapSession(inner, [encrypt({ keys: keyring({ current: pair }) })]);
    expect(await reader.getItems()).toEqual([hello]);
  });
});

test('a wrong key never looks like an empty history', async () => {
  const inner = new MemorySession();
  await wrapSession(inner, [encrypt({ keys: fixedKeyring('a') })]).addItems([hello]);
  const wrong = wrapSession(inner, [encrypt({ keys: fixedKeyring('b') })]);
  await expect(wrong.getItems()).rejects.toMatchObject({
    code: 'ERR_KEY_UNKNOWN',
    message: expect.stringContaining('test-a') as string,
  });
});
