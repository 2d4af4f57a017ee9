import assert from 'node:assert/strict';
import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { wrapSession } from '../src/index.ts';
import { openMysql } from '../src/stores/mysql.ts';
import { openPostgres } from '../src/stores/postgres.ts';
import { openRedis } from '../src/stores/redis.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { isStrongroomError } from '../src/errors.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './stores/cleaning.ts';
import { emptyPGlite } from './stores/empty-pglite.ts';
import { announce, uniqueName } from './stores/servers.ts';
import { rounds } from './support/soak.ts';
import { STACKS } from './support/stacks.ts';

/** What may stand in no message and in no cause. */
const SECRET = 'api-key-4f1c';
const ID = 'operation-1';

type Args = { operationId: unknown; transaction: unknown };
/** Makes the arguments anew for each session: a session may not see what another one did to them. */
type Hostile = readonly [name: string, args: () => unknown];

function message(text: string, rest: object = {}): AgentInputItem {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }], ...rest };
}

const append = (items: unknown, rest: object = {}): Args => ({
  operationId: ID,
  transaction: { type: 'append_items', items, ...rest },
});

function defined(target: object, key: PropertyKey, descriptor: PropertyDescriptor): object {
  return Object.defineProperty(target, key, descriptor);
}

function leak(): never {
  throw new Error(SECRET);
}

class Account {
  readonly name = SECRET;
}

function cycle(): object {
  const value: Record<string, unknown> = { secret: SECRET };
  value['self'] = value;
  return value;
}

/** Values that no copy keeps whole. Each is put into every place of a transaction where a value can stand. */
const VALUES: Readonly<Record<string, () => unknown>> = {
  'a date': () => new Date(0),
  'a cycle': cycle,
  'a bigint': () => 42n,
  'a symbol': () => Symbol(SECRET),
  'a function': () => (): string => SECRET,
  'an instance of a class': () => new Account(),
  'a map': () => new Map([[SECRET, SECRET]]),
  'a set': () => new Set([SECRET]),
  'a regular expression': () => /api/,
  'an error': () => new Error(SECRET),
  'a promise': () => Promise.resolve(SECRET),
  'a boxed string': () => Object(SECRET) as object,
  'an object that inherits': () => Object.create({ inherited: SECRET }) as object,
  'an array buffer': () => new ArrayBuffer(2),
  'a data view': () => new DataView(new ArrayBuffer(2)),
  'a typed array of 16 bits': () => new Uint16Array([300]),
  'a typed array of floats': () => new Float64Array([0.5]),
  'clamped bytes': () => new Uint8ClampedArray([3]),
  'bytes with a property': () => Object.assign(new Uint8Array([1]), { secret: SECRET }),
  'bytes with a symbol': () => Object.assign(new Uint8Array([1]), { [Symbol(SECRET)]: 1 }),
  'a proxy of an object': () => new Proxy({ secret: SECRET }, {}),
  'a proxy of a list': () => new Proxy([SECRET], {}),
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  'an accessor': () => defined({}, 'secret', { enumerable: true, get: () => SECRET }),
  'an accessor that throws': () => defined({}, 'secret', { enumerable: true, get: leak }),
  'a hidden property': () => defined({}, 'secret', { enumerable: false, value: SECRET }),
  'a symbol as a key': () => ({ [Symbol(SECRET)]: 1 }),
  'a list with a hole': () => Object.assign([], { length: 2 }),
  'a list with a property': () => Object.assign([1], { secret: SECRET }),
  'a list with a symbol': () => Object.assign([1], { [Symbol(SECRET)]: 1 }),
  'a list with an accessor': () => defined([1], 0, { enumerable: true, configurable: true, get: leak }),
  'a list with a hidden element': () => defined([1], 0, { enumerable: false, value: SECRET }),
};

const PLACES: Readonly<Record<string, (value: unknown) => Args>> = {
  'as provider data': (value) => append([message('text', { providerData: { value } })]),
  'as a part of a message': (value) => append([{ type: 'message', role: 'user', content: [value] }]),
  'as an item': (value) => append([value]),
  'as the list of items': (value) => append(value),
  'as the transaction': (value) => ({ operationId: ID, transaction: value }),
  'in what is expected': (value) => ({
    operationId: ID,
    transaction: {
      type: 'replace_suffix',
      expectedSuffix: [message('x', { providerData: { value } })],
      replacement: [],
    },
  }),
  'in a replacement': (value) => ({
    operationId: ID,
    transaction: {
      type: 'replace_suffix',
      expectedSuffix: [],
      replacement: [message('x', { providerData: { value } })],
    },
  }),
};

const SHAPES: readonly Hostile[] = [
  ['no arguments', () => undefined],
  ['null', () => null],
  ['a text', () => SECRET],
  ['a function', () => Object.assign(() => undefined, append([message('x')]))],
  ['an empty list', () => []],
  ['no operation id', () => ({ transaction: { type: 'append_items', items: [] } })],
  ['an empty operation id', () => ({ ...append([message('x')]), operationId: '' })],
  ['a blank operation id', () => ({ ...append([message('x')]), operationId: ' \n' })],
  ['a number as operation id', () => ({ ...append([message('x')]), operationId: 7 })],
  ['a boxed operation id', () => ({ ...append([message('x')]), operationId: Object(SECRET) as object })],
  ['an operation id that throws', () => defined({}, 'operationId', { get: leak })],
  ['a transaction that throws', () => defined({ operationId: ID }, 'transaction', { get: leak })],
  [
    'a hidden operation id',
    () => defined(append([message('x')]), 'operationId', { enumerable: false, value: 'a' }),
  ],
  ['no transaction', () => ({ operationId: ID })],
  ['null as transaction', () => ({ operationId: ID, transaction: null })],
  ['a text as transaction', () => ({ operationId: ID, transaction: SECRET })],
  ['a list as transaction', () => ({ operationId: ID, transaction: [] })],
  ['a function as transaction', () => ({ operationId: ID, transaction: () => undefined })],
  ['no type', () => ({ operationId: ID, transaction: { items: [] } })],
  ['an unknown type', () => ({ operationId: ID, transaction: { type: SECRET, items: [] } })],
  ['an append without items', () => ({ operationId: ID, transaction: { type: 'append_items' } })],
  ['an append of no list', () => append({ 0: message('x'), length: 1 })],
  ['an append with another field', () => append([message('x')], { metadata: SECRET })],
  ['an append with an undefined field', () => append([message('x')], { metadata: undefined })],
  ['an append with a symbol', () => append([message('x')], { [Symbol(SECRET)]: 1 })],
  [
    'a replacement without what is expected',
    () => ({ operationId: ID, transaction: { type: 'replace_suffix', replacement: [] } }),
  ],
  [
    'a replacement with another field',
    () => ({
      operationId: ID,
      transaction: { type: 'replace_suffix', expectedSuffix: [], replacement: [], secret: SECRET },
    }),
  ],
  [
    'a replacement of no list',
    () => ({
      operationId: ID,
      transaction: { type: 'replace_suffix', expectedSuffix: SECRET, replacement: [] },
    }),
  ],
  [
    'a type that is an accessor',
    () => ({
      operationId: ID,
      transaction: defined({ items: [] }, 'type', { enumerable: true, get: () => 'append_items' }),
    }),
  ],
  ['a number as an item', () => append([42])],
  ['null as an item', () => append([null])],
  ['a list as an item', () => append([[message('x')]])],
  ['an item of no type of the protocol', () => append([{ type: SECRET }])],
  ['a message of an unknown role', () => append([{ type: 'message', role: SECRET, content: [] }])],
  ['a call without an id', () => append([{ type: 'function_call', name: 'work', arguments: '{}' }])],
  ['provider data that is no record', () => append([message('x', { providerData: SECRET })])],
  [
    'a hidden field of an item',
    () => append([defined(message('x'), 'providerData', { enumerable: false, value: { secret: SECRET } })]),
  ],
  [
    'an accessor as a field of an item',
    () => append([defined(message('x'), 'providerData', { enumerable: true, get: leak })]),
  ],
  ['arguments that are a proxy', () => new Proxy(append([message('x')]), {})],
  ['a proxied item', () => append([new Proxy(message('x'), {})])],
];

const HARMLESS: readonly Hostile[] = [
  ['an empty append', () => append([])],
  [
    'an accessor as operation id',
    () => defined({ ...append([message('x')]) }, 'operationId', { enumerable: true, get: () => ID }),
  ],
  ['inherited arguments', () => Object.create(append([message('x')])) as object],
  ['frozen arguments', () => Object.freeze(append(Object.freeze([Object.freeze(message('x'))])))],
  ['other fields beside the transaction', () => ({ ...append([message('x')]), more: SECRET })],
  [
    'an object without a prototype',
    () => append([message('x', { providerData: Object.assign(Object.create(null) as object, { a: 1 }) })]),
  ],
  [
    'a key named __proto__',
    () => append([message('x', { providerData: JSON.parse('{"__proto__":{"a":1}}') as object })]),
  ],
  [
    'bytes of shared memory',
    () => append([message('x', { providerData: { bytes: new Uint8Array(new SharedArrayBuffer(2)) } })]),
  ],
  [
    'one object in two places',
    () => {
      const shared = { a: 1 };
      return append([message('x', { providerData: { one: shared, two: shared } })]);
    },
  ],
];

const CASES: readonly Hostile[] = [
  ...SHAPES,
  ...Object.entries(VALUES).flatMap(([value, make]) =>
    Object.entries(PLACES).map(([place, put]): Hostile => [`${value} ${place}`, () => put(make())]),
  ),
  ...HARMLESS,
];

/** What MemorySession takes and JSON cannot hold; refused by us with the sentence that it has for such values. */
const NOT_JSON: readonly Hostile[] = [
  ['not a number', () => append([message('x', { providerData: { value: Number.NaN } })])],
  ['an infinite number', () => append([message('x', { providerData: { value: -Infinity } })])],
];

type Transacting = Session & { applyHistoryTransaction(args: unknown): Promise<void> | void };

async function outcomeOf(session: Session, args: unknown): Promise<Error | 'applied'> {
  try {
    await (session as Transacting).applyHistoryTransaction(args);
    return 'applied';
  } catch (error) {
    return error as Error;
  }
}

function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.message} ${error.stack ?? ''} ${everythingIn(error.cause)}`;
}

/** Asks both sessions, and then whether the refused operation was recorded, which it may not be. */
async function compare(model: Session, session: Session, args: () => unknown): Promise<void> {
  const start = [message('start')];
  await model.addItems(start);
  await session.addItems(start);
  const expected = await outcomeOf(model, args());
  const actual = await outcomeOf(session, args());
  if (expected === 'applied' || actual === 'applied') assert.equal(actual, expected);
  else {
    assert.equal(actual.message, expected.message);
    assert.ok(!everythingIn(actual).includes(SECRET), 'something of the arguments is in the error');
    // An empty stack over the SDK's session has nothing to say itself.
    if (isStrongroomError(actual)) assert.equal(actual.code, 'ERR_INVALID_ITEM');
    for (const one of [model, session]) {
      assert.equal(await outcomeOf(one, append([message('after')])), 'applied');
    }
  }
  assert.deepEqual(await session.getItems(), await model.getItems());
}

/**
 * What of the table comes out otherwise than with the session of the SDK.
 *
 * @param part Which eighth of the table the short form tries; all of it when absent.
 */
async function differences(open: (index: number) => Session, part?: number): Promise<string[]> {
  const found: string[] = [];
  for (const [index, [name, args]] of CASES.entries()) {
    if (part !== undefined && rounds((index + part) % 8, 0) !== 0) continue;
    try {
      await compare(new MemorySession(), open(index), args);
    } catch (error) {
      found.push(`${name}: ${(error as Error).message}`);
    }
  }
  return found;
}

const postgres = await announce('PostgreSQL', 'hostile transactions');
const mysql = await announce('MariaDB', 'hostile transactions');
const redis = await announce('Redis', 'hostile transactions');

describe('a transaction that the session of the SDK refuses is refused with the same message', () => {
  const stacks = STACKS.map((stack, index) => ({ ...stack, index }));
  describe.each(stacks)('under $name', (stack) => {
    const part = stack.name === 'all layers' ? undefined : stack.index;

    test('around a MemorySession', async () => {
      expect(await differences(() => stack.wrap(new MemorySession()), part)).toEqual([]);
    });

    test('around an SQLite store', async () => {
      await using store = openSqlite(':memory:');
      // Another quarter than around the session of the SDK.
      const other = part === undefined ? undefined : part + 2;
      expect(await differences((index) => stack.wrap(store.session(`s${index}`)), other)).toEqual([]);
    });
  });

  test('by a bare store on SQLite', async () => {
    await using store = openSqlite(':memory:');
    expect(await differences((index) => store.session(`s${index}`))).toEqual([]);
  });

  test('by a bare store on PGlite', async () => {
    const pool = await emptyPGlite();
    await using store = openPostgres({ pool });
    expect(await differences((index) => store.session(`s${index}`))).toEqual([]);
    await pool.close();
  });

  test.skipIf(postgres.absent)('by a bare store on PostgreSQL', async () => {
    const schema = uniqueName('hostile');
    await using store = openPostgres(postgres.url, { schema });
    expect(await differences((index) => store.session(`s${index}`))).toEqual([]);
    await dropPostgresSchema(postgres.url, schema);
  });

  test.skipIf(mysql.absent)('by a bare store on MariaDB', async () => {
    const prefix = `${uniqueName('hostile')}_`;
    await using store = openMysql(mysql.url, { prefix });
    expect(await differences((index) => store.session(`s${index}`))).toEqual([]);
    await dropMysqlTables(mysql.url, prefix);
  });

  test.skipIf(redis.absent)('by a bare store on Redis', async () => {
    const prefix = uniqueName('hostile');
    await using store = openRedis(redis.url, { prefix });
    expect(await differences((index) => store.session(`s${index}`))).toEqual([]);
    await deleteRedisKeys(redis.url, prefix);
  });

  test.each(NOT_JSON)('refuses %s, which JSON cannot hold, with the same sentence', async (_name, args) => {
    const store = openSqlite(':memory:');
    const words = 'Session history transaction items contain invalid or unsupported data.';
    for (const session of [store.session('bare'), wrapSession(store.session('a'), [])]) {
      expect(await outcomeOf(session, args())).toMatchObject({ code: 'ERR_INVALID_ITEM', message: words });
    }
    await store.close();
  });
});
