import { MemorySession } from '@openai/agents';
import { beforeAll, describe, expect, it } from 'vitest';
import * as core from '../src/index.ts';
import * as history from '../src/history/index.ts';
import * as keyFunctions from '../src/operations/index.ts';
import { sealRunState, openRunState, rewrap, memoryDekStore } from '../src/operations/index.ts';
import { fakeKms } from '../src/testing/index.ts';
import { observe } from '../src/layers/observe.ts';
import { createRedactor, patternRecognizer, presidioRecognizer } from '../src/redaction/index.ts';
import { resilient } from '../src/layers/resilient.ts';
import { openMysql } from '../src/stores/mysql.ts';
import { openPostgres } from '../src/stores/postgres.ts';
import { openRedis } from '../src/stores/redis.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { coded, failure } from './crypto/failure.ts';

// An object that is not plain reads as "nothing given": what was meant would be left out without a word.

let keys: core.Keyring;
let next: core.Keyring;
beforeAll(async () => {
  const current = await core.generateKey();
  keys = core.keyring({ current });
  next = core.keyring({ current: await core.generateKey(), previous: [current] });
});

class Instance {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  get tenant(): string {
    return this.#value;
  }
}

/** What looks like `{ tenant: value }` and is none. */
const FORMS: Readonly<Record<string, (value: string) => unknown>> = {
  'a Map': (value) => new Map([['tenant', value]]),
  'an instance with a getter': (value) => new Instance(value),
  'an instance with a field': (value) =>
    new (class {
      tenant = value;
    })(),
  URLSearchParams: (value) => new URLSearchParams({ tenant: value }),
  Headers: (value) => new Headers({ tenant: value }),
  'inherited keys': (value) => Object.create({ tenant: value }) as unknown,
  'keys inherited over two levels': (value) =>
    Object.create(Object.create(null, { tenant: { value, enumerable: true } }) as object) as unknown,
  'a symbol as key': (value) => ({ [Symbol('tenant')]: value }),
  'an accessor': (value) => ({
    get tenant() {
      return value;
    },
  }),
  'a property that is not enumerable': (value) => Object.defineProperty({}, 'tenant', { value }),
  'an array': (value) => [value],
  'a function': (value) => Object.assign(() => undefined, { tenant: value }),
  'a text': (value) => value,
  'a Date': () => new Date(),
  'null and nothing': () => null,
};
const VALUES: Readonly<Record<string, unknown>> = {
  'a list': ['a'],
  'a number': 5,
  bytes: new Uint8Array([1]),
  'an object with a length': { length: 0, id: 'a' },
  undefined,
  'a String object': Object('a'),
  'an unpaired surrogate': '\ud800',
};
const refused = coded('ERR_INVALID_OPTION', /context must be an object with string values/);

describe.each([
  ...Object.entries(FORMS).map(([name, form]) => [name, form('secret-tenant')] as const),
  ...Object.entries(VALUES).map(([name, value]) => [`${name} as value`, { tenant: value }] as const),
  ['an unpaired surrogate in a name', { '\ud800': 'a' }] as const,
  ['a name of the format', { 'sr1/purpose': 'run-state' }] as const,
  [
    'a proxy that answers to every name and lists none',
    new Proxy({}, { get: () => 'secret-tenant' }),
  ] as const,
  ['a proxy of a plain object', new Proxy({ tenant: 'secret-tenant' }, {})] as const,
])('a context that is %s', (name, context) => {
  const given = context as never;
  const item = { role: 'user', content: 'x' } as const;

  it('is refused by encrypt(), as a value and from a function', async () => {
    // A function is one that gives the context.
    const value = typeof context === 'function' ? ([given] as never) : given;
    expect(await failure(() => core.encrypt({ keys, context: value }))).toEqual(refused);
    const inner = new MemorySession({ sessionId: 's' });
    const lazy = core.wrapSession(inner, [core.encrypt({ keys, context: () => given })]);
    expect(await failure(() => lazy.addItems([item]))).toEqual(refused);
    expect(await inner.getItems()).toEqual([]);
    await core.wrapSession(inner, [core.encrypt({ keys })]).addItems([item]);
    expect(await failure(() => lazy.getItems())).toEqual(refused);
  });

  it('is refused by sealRunState(), openRunState() and rewrap()', async () => {
    const sealed = await sealRunState('{}', { keys, id: 'i' });
    const dekStore = memoryDekStore();
    await core
      .wrapSession(new MemorySession({ sessionId: 's' }), [core.encrypt({ keys, dekStore })])
      .addItems([item]);
    for (const act of [
      () => sealRunState('{}', { keys, id: 'i', context: given }),
      () => openRunState(sealed, { keys, id: 'i', context: given }),
      ...(typeof context === 'function' ? [] : [() => rewrap(dekStore, { keys: next, context: given })]),
      () => rewrap(dekStore, { keys: next, context: () => given }),
    ]) {
      const error = await failure(act);
      expect(error).toEqual(refused);
      expect((error as Error).message).not.toContain('secret-tenant');
    }
    expect(name).not.toBe('');
  });
});

it('a context is copied: later changes of the caller have no effect', async () => {
  const context: Record<string, string> = { tenant: 'a' };
  const inner = new MemorySession({ sessionId: 's' });
  const session = core.wrapSession(inner, [core.encrypt({ keys, context })]);
  context['tenant'] = 'b';
  await session.addItems([{ role: 'user', content: 'x' }]);
  const own = core.wrapSession(inner, [core.encrypt({ keys, context: { tenant: 'a' } })]);
  expect(await own.getItems()).toHaveLength(1);
});

it("another tenant's context does not read as tampering", async () => {
  for (const inner of [new MemorySession({ sessionId: 's' }), openSqlite(':memory:').session('s')]) {
    const of = (tenant: string): core.SessionLayer => core.encrypt({ keys, context: { tenant } });
    await core.wrapSession(inner, [of('a')]).addItems([{ role: 'user', content: 'x' }]);
    const error = (await failure(() => core.wrapSession(inner, [of('b')]).getItems())) as Error;
    expect(error).toEqual(
      coded('ERR_COMMITMENT', /sealed for a different session or context, such as another tenant/),
    );
    expect(error.message).not.toMatch(/backup/);
  }
});

describe.each(Object.entries(FORMS).filter(([name]) => name !== 'null and nothing'))(
  'options that are %s',
  (_, form) => {
    const options = form('x') as never;
    const session = new MemorySession();
    const store = openSqlite(':memory:');
    const functions: Readonly<Record<string, () => unknown>> = {
      encrypt: () => core.encrypt(options),
      'encrypt: dataKeys': () => core.encrypt({ keys, dataKeys: options }),
      'encrypt: unsafeAllowPlaintext': () => core.encrypt({ keys, unsafeAllowPlaintext: options }),
      expire: () => core.expire(options),
      redact: () => core.redact(options),
      'redact: operators': () => core.redact({ operators: options }),
      'redact: an operator': () => core.redact({ operators: { DEFAULT: options } }),
      'redact: denyList': () => core.redact({ denyList: options }),
      cache: () => core.cache(options),
      audit: () => core.audit(options),
      authorize: () => core.authorize(options),
      exclusive: () => core.exclusive(options),
      minimize: () => core.minimize(options),
      observe: () => observe(options),
      resilient: () => resilient(options),
      keyring: () => core.keyring(options),
      'a JWK': () => core.keyring({ current: options }),
      generateKey: () => core.generateKey(options),
      wrapSession: () => core.wrapSession(session, [], options),
      complianceRunConfig: () => core.complianceRunConfig(options),
      trimHistory: () => core.trimHistory(options),
      clearToolOutputs: () => history.clearToolOutputs(options),
      limitImages: () => history.limitImages(options),
      createRedactor: () => createRedactor(options),
      patternRecognizer: () => patternRecognizer(options),
      presidioRecognizer: () => presidioRecognizer(options),
      'presidioRecognizer: headers': () => presidioRecognizer({ url: 'http://p', headers: options }),
      fakeKms: () => fakeKms(options),
      openSqlite: () => openSqlite(':memory:', options),
      openPostgres: () => openPostgres('postgres://h/d', options),
      openMysql: () => openMysql('mysql://h/d', options),
      openRedis: () => openRedis('redis://h', options),
      'store.session': () => store.session('s', options),
      memoryDekStore: () => keyFunctions.memoryDekStore(options),
      sqliteDekStore: () => keyFunctions.sqliteDekStore(':memory:', options),
      sessionDekStore: () => keyFunctions.sessionDekStore(() => session, options),
      shred: () => keyFunctions.shred(session, options),
      hold: () => keyFunctions.hold(session, options),
      release: () => keyFunctions.release(session, 'h', options),
      migrate: () => keyFunctions.migrate(session, options),
      reencrypt: () => keyFunctions.reencrypt(session, options),
      rewrap: () => keyFunctions.rewrap(memoryDekStore(), options),
      exportSession: () => keyFunctions.exportSession(session, options),
      purgeDataKeys: () => keyFunctions.purgeDataKeys(memoryDekStore(), options),
      sealRunState: () => sealRunState('{}', options),
      openRunState: () => openRunState('x', options),
    };

    it.each(Object.keys(functions))('are refused by %s', async (name) => {
      expect(await failure(functions[name] as () => unknown)).toMatchObject({ code: 'ERR_INVALID_OPTION' });
    });
  },
);

it('plain objects are accepted: frozen, without a prototype, from JSON', () => {
  const plain = Object.assign(Object.create(null) as object, { after: '1d' as const });
  expect(core.expire(plain).name).toBe('expire');
  expect(core.expire(Object.freeze({ after: '1d' })).name).toBe('expire');
  expect(core.expire(JSON.parse('{"after":"1d"}') as core.ExpireOptions).name).toBe('expire');
});
