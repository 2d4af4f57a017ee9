import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import {
  audit,
  cache,
  encrypt,
  expire,
  isStrongroomError,
  redact,
  wrapSession,
  type Layers,
} from '../../src/index.ts';
import { page } from '../../src/history/index.ts';
import { exportSession, migrate, reencrypt, verifySessions } from '../../src/operations/index.ts';
import { historyDigest } from '../../src/protocol/digest.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { fixedKeyring } from '../../src/testing/index.ts';

const user = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const called: AgentInputItem = {
  type: 'function_call',
  callId: 'c',
  name: 'f',
  arguments: '{}',
  status: 'completed',
};
const answered: AgentInputItem = {
  type: 'function_call_result',
  callId: 'c',
  name: 'f',
  status: 'completed',
  output: 'x',
};
const keys = fixedKeyring();

const STACKS: readonly (readonly [name: string, layers: () => Layers])[] = [
  ['no layer', () => []],
  ['audit()', () => [audit({ sink: () => undefined })]],
  ['redact()', () => [redact()]],
  ['expire()', () => [expire({ after: '1d' })]],
  ['expire() that keeps what has no stamp', () => [expire({ after: '1d', unstamped: 'keep' })]],
  ['cache()', () => [cache({ maxItems: 100 })]],
  ['encrypt()', () => [encrypt({ keys })]],
  ['encrypt() that skips what does not open', () => [encrypt({ keys, onUndecryptable: () => 'skip' })]],
  ['encrypt() with a sequence', () => [encrypt({ keys, integrity: 'sequence' })]],
  [
    'the full stack',
    () => [
      redact(),
      expire({ after: '1d' }),
      cache({ maxItems: 100 }),
      encrypt({ keys, integrity: 'sequence' }),
    ],
  ],
];

const BROKEN: readonly (readonly [name: string, value: unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['a string', 'sr1.text'],
  ['zero', 0],
  ['a boolean', true],
  ['an array', [user('a')]],
];

/** A session whose `getItems()` and `popItem()` break their contract on demand; everything else is right. */
class BrokenSession extends MemorySession {
  broken: { readonly value: unknown } | undefined;
  popped: { readonly value: unknown } | undefined;
  gave = 0;

  override async getItems(limit?: number): Promise<AgentInputItem[]> {
    const items: unknown[] = await super.getItems(limit);
    if (this.broken === undefined || items.length === 0) return items as AgentInputItem[];
    this.gave++;
    return items.with(Math.floor((items.length - 1) / 2), this.broken.value) as AgentInputItem[];
  }

  override async popItem(): Promise<AgentInputItem | undefined> {
    const item = await super.popItem();
    return this.popped === undefined ? item : (this.popped.value as AgentInputItem);
  }

  async stored(): Promise<string> {
    return JSON.stringify(await super.getItems());
  }
}

type Call = (session: MemorySession) => unknown;
const CALLS: Readonly<Record<string, Call>> = {
  getItems: (session) => session.getItems(),
  'getItems with a limit': (session) => session.getItems(2),
  'a page': (session) => page(session, { limit: 2 }),
  popItem: (session) => session.popItem(),
  'a replaced end': (session) =>
    session.applyHistoryTransaction({
      operationId: 'replace',
      transaction: { type: 'replace_suffix', expectedSuffix: [answered], replacement: [user('z')] },
    }),
  'an appended transaction': (session) =>
    session.applyHistoryTransaction({
      operationId: 'append',
      transaction: { type: 'append_items', items: [user('z')] },
    }),
  mutations: (session) =>
    session.applyHistoryMutations({
      mutations: [
        {
          type: 'replace_function_call',
          callId: 'c',
          replacement: { ...called, arguments: '{"a":1}' },
        },
      ],
    }),
  'an append': (session) => session.addItems([{ ...answered, output: 'again' }]),
  clearSession: (session) => session.clearSession(),
};

/** What every read must do: a write may not need the records. */
const READS = ['getItems', 'getItems with a limit', 'a page'];

describe.each(STACKS)('an inner session that breaks its contract, under %s', (_stack, layers) => {
  describe.each(BROKEN)('with %s for a record', (name, value) => {
    it.each(Object.entries(CALLS))(
      '%s fails with a code and changes nothing, or needs no record',
      async (call, run) => {
        const inner = new BrokenSession();
        const session = wrapSession(inner, layers());
        await session.addItems([user('a'), called, answered]);
        const before = await inner.stored();
        inner.broken = { value };
        const error: unknown = await Promise.resolve(run(session as unknown as MemorySession)).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error === undefined && READS.includes(call)).toBe(false);
        if (error === undefined) return;
        expect(isStrongroomError(error) ? error.code : error).toBe('ERR_MALFORMED');
        expect((error as Error).message).toMatch(
          new RegExp(
            `^Record [12] of the [123] that getItems\\(\\) of the inner session returned, oldest first, is ${name} and not an object\\.`,
          ),
        );
        expect(await inner.stored()).toBe(before);
        inner.broken = undefined;
        expect(await session.getItems()).toHaveLength(3);
      },
    );
  });

  it.each(BROKEN.slice(1))(
    'popItem that removes a record and gives %s loses nothing',
    async (name, value) => {
      const inner = new BrokenSession();
      Object.assign(inner, { applyHistoryTransaction: undefined });
      const session = wrapSession(inner, layers());
      await session.addItems([user('a'), called]);
      inner.popped = { value };
      const error: unknown = await session.popItem().catch((reason: unknown) => reason);
      expect(isStrongroomError(error) ? error.code : error).toBe('ERR_MALFORMED');
      expect((error as Error).message).toMatch(
        new RegExp(`^popItem\\(\\) of the inner session returned ${name} and not an object\\.`),
      );
      const [first, ...rest] = JSON.parse(await inner.stored()) as unknown[];
      expect(first).toBeTypeOf('object');
      // Null holds nothing, and can say that nothing is left.
      expect(rest).toEqual(value === null ? [] : [value]);
    },
  );
});

describe('a session of a store whose getItems was replaced by one that breaks its contract', () => {
  it.each(BROKEN)('replacePrefix fails with a code and changes nothing (%s)', async (name, value) => {
    const store = openSqlite(':memory:');
    const inner = store.session('chat');
    const session = wrapSession(inner, [expire({ after: '1d' }), encrypt({ keys })]);
    await session.addItems([user('a'), user('b')]);
    const getItems = inner.getItems.bind(inner);
    inner.getItems = async (limit?: number) => (await getItems(limit)).with(0, value as AgentInputItem);
    const digest = historyDigest([user('a')]);
    await expect(
      session.replacePrefix({ count: 1, digest, replacement: [], operationId: 'op' }),
    ).rejects.toMatchObject({
      code: 'ERR_MALFORMED',
      message: expect.stringMatching(new RegExp(`^Record 1 of the 2 .*is ${name} and not an object`)),
    });
    inner.getItems = getItems;
    expect(await session.getItems()).toEqual([user('a'), user('b')]);
    await store.close();
  });
});

describe.each(BROKEN)('functions over a sealed session with %s for a record', (_name, value) => {
  const unsafeAllowPlaintext = { until: '2099-01-01' };

  it.each([
    ['reencrypt()', (session: Session) => reencrypt(session)],
    ['migrate()', (session: Session) => migrate(session)],
    ['exportSession()', (session: Session) => exportSession(session, { open: false })],
  ])('%s fails with a code and changes nothing', async (_call, run) => {
    const inner = new BrokenSession();
    const session = wrapSession(inner, [encrypt({ keys, unsafeAllowPlaintext })]);
    await session.addItems([user('a'), user('b')]);
    const before = await inner.stored();
    inner.broken = { value };
    await expect(run(session)).rejects.toMatchObject({
      code: 'ERR_MALFORMED',
      message: expect.stringMatching(/^Record 1 of the 2 that getItems\(\) of the inner session returned/),
    });
    expect(await inner.stored()).toBe(before);
  });

  it('verifySessions() says which record does not open, and an export of opened records fails', async () => {
    const inner = new BrokenSession();
    const session = wrapSession(inner, [encrypt({ keys })]);
    await session.addItems([user('a'), user('b')]);
    inner.broken = { value };
    expect(await verifySessions(session)).toMatchObject({
      records: 2,
      failures: [{ index: 0, code: 'ERR_NOT_SEALED' }],
    });
    await expect(exportSession(session, { open: true })).rejects.toMatchObject({ code: 'ERR_MALFORMED' });
  });
});

it.each(STACKS)(
  'a frozen list of frozen records is read and changed as any other, under %s',
  async (_name, layers) => {
    const freeze = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      Object.values(Object.freeze(value)).forEach(freeze);
    };
    class Frozen extends MemorySession {
      override async getItems(limit?: number): Promise<AgentInputItem[]> {
        const items = await super.getItems(limit);
        freeze(items);
        return items;
      }
    }
    const session = wrapSession(new Frozen(), layers());
    await session.addItems([user('a'), called, answered]);
    for (const [name, run] of Object.entries(CALLS)) {
      await run(session as unknown as MemorySession);
      if (name === 'popItem') await session.addItems([answered]);
    }
    expect(await session.getItems()).toEqual([]);
  },
);
