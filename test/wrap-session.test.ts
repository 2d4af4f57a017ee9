import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { describe, expect, it, vi } from 'vitest';
import { StrongroomError, wrapSession, type Entry, type SessionLayer } from '../src/index.ts';

const user = (text: string): AgentInputItem => ({ type: 'message', role: 'user', content: text });

/** Writes a stamp, so that records become envelopes; hides what was written before `hideBefore`. */
function stamping(options: { hideBefore?: number; clock?: () => number } = {}): SessionLayer {
  const clock = options.clock ?? (() => 1_000);
  return {
    name: 'stamping',
    stamps: true,
    clock,
    write: (entries, call) =>
      entries.map((entry) => ({ ...entry, header: { ...entry.header, t: entry.header.t ?? call.now() } })),
    read: (entries) =>
      entries.map((entry) => ((entry.header.t ?? 0) < (options.hideBefore ?? 0) ? undefined : entry)),
  };
}

function upperCase(): SessionLayer {
  const change = (item: AgentInputItem): AgentInputItem =>
    'content' in item && typeof item.content === 'string'
      ? ({ ...item, content: item.content.toUpperCase() } as AgentInputItem)
      : item;
  return {
    name: 'upper',
    write: (entries) => entries.map((entry: Entry) => ({ ...entry, item: change(entry.item) })),
    compare: change,
  };
}

async function failure(promise: Promise<unknown>): Promise<StrongroomError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StrongroomError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('wrapSession', () => {
  it('reads items back equal, through envelopes in the inner session', async () => {
    const inner = new MemorySession();
    const session = wrapSession(inner, [stamping()]);
    await session.addItems([user('one'), user('two')]);
    expect(await session.getItems()).toEqual([user('one'), user('two')]);
    const raw = await inner.getItems();
    expect(JSON.stringify(raw[0])).toContain('sr1.');
    expect(JSON.stringify(raw)).not.toContain('"one"');
  });

  it('gives the same object for the same session and layers, and one stack for nested wrappers', async () => {
    const inner = new MemorySession();
    const [outer, lower] = [upperCase(), stamping()];
    const nested = wrapSession(wrapSession(inner, [lower]), [outer]);
    expect(wrapSession(inner, [outer, lower])).toBe(nested);
    expect(wrapSession(inner, [outer, [lower]])).toBe(nested);
    await nested.addItems([user('a')]);
    expect(await nested.getItems()).toEqual([user('A')]);
  });

  it('tells layers in another order, fewer layers and another limit from the same wrapping', () => {
    const inner = new MemorySession();
    const [one, two] = [upperCase(), upperCase()];
    const wrap = (): Session[] => [
      wrapSession(inner, []),
      wrapSession(inner, [one]),
      wrapSession(inner, [one, two]),
      wrapSession(inner, [two, one]),
      wrapSession(inner, [one], { maxItemBytes: 1_000 }),
      wrapSession(new MemorySession(), [one]),
    ];
    const [first, second] = [wrap(), wrap()];
    expect(new Set(first).size).toBe(6);
    expect(second.map((session) => first.indexOf(session))).toEqual([0, 1, 2, 3, 4, -1]);
  });

  it('looks at no other wrapper of a session that was wrapped a thousand times', () => {
    const inner = new MemorySession();
    const shared = upperCase();
    const made = Array.from({ length: 1_000 }, () => wrapSession(inner, [shared, upperCase()]));
    const layers = [shared, upperCase()];
    const looks = vi.spyOn(WeakRef.prototype, 'deref');
    try {
      const session = wrapSession(inner, layers);
      expect(looks).toHaveBeenCalledTimes(0);
      expect(wrapSession(inner, layers)).toBe(session);
      expect(looks).toHaveBeenCalledTimes(1);
    } finally {
      looks.mockRestore();
    }
    expect(new Set(made).size).toBe(1_000);
  });

  it('applies the limit after hiding, and doubles its window to find enough', async () => {
    let now = 1;
    const inner = new MemorySession();
    const session = wrapSession(inner, [stamping({ hideBefore: 100, clock: () => now })]);
    now = 200;
    await session.addItems([user('old but live')]);
    now = 1;
    for (let index = 0; index < 20; index++) await session.addItems([user(`dead ${index}`)]);
    now = 200;
    await session.addItems([user('new')]);
    expect(await session.getItems(2)).toEqual([user('old but live'), user('new')]);
    expect(await session.getItems(0)).toEqual([]);
    expect(await session.popItem()).toEqual(user('new'));
    expect(await session.popItem()).toEqual(user('old but live'));
    expect(await session.popItem()).toBeUndefined();
  });

  it('refuses a limit that is not a whole number, instead of an endless search', async () => {
    const session = wrapSession(new MemorySession(), [stamping()]);
    await session.addItems([user('a')]);
    for (const limit of [Number.NaN, 1.5, '2', null]) {
      const error = await failure(session.getItems(limit as number));
      expect(error.code).toBe('ERR_INVALID_OPTION');
      expect(error.message).toMatch(/^getItems: limit must be a whole number/);
    }
    expect(await session.getItems(Infinity)).toEqual([user('a')]);
  });

  it('applies a transaction once, and refuses other content under its id', async () => {
    const inner = new MemorySession();
    const session = wrapSession(inner, [stamping()]);
    const append = {
      operationId: 'op',
      transaction: { type: 'append_items' as const, items: [user('a'), user('b')] },
    };
    await session.applyHistoryTransaction(append);
    await session.applyHistoryTransaction(append);
    await wrapSession(inner, [stamping()]).applyHistoryTransaction(append);
    expect(await session.getItems()).toEqual([user('a'), user('b')]);
    const other = { operationId: 'op', transaction: { type: 'append_items' as const, items: [user('c')] } };
    for (const wrapper of [session, wrapSession(inner, [stamping()])]) {
      const error = await failure(Promise.resolve(wrapper.applyHistoryTransaction(other)));
      expect(error.code).toBe('ERR_CONFLICT');
      expect(error.message).toMatch(
        /^Session history operation was already applied with a different transaction\./,
      );
    }
  });

  it('replaces a suffix that it compares in plaintext, and keeps the records before the first change', async () => {
    const inner = new MemorySession();
    const session = wrapSession(inner, [stamping()]);
    await session.addItems([user('a'), user('b'), user('c')]);
    const before = await inner.getItems();
    const replace = {
      operationId: 'op',
      transaction: {
        type: 'replace_suffix' as const,
        expectedSuffix: [user('b'), user('c')],
        replacement: [user('b'), user('x'), user('c')],
      },
    };
    await session.applyHistoryTransaction(replace);
    await session.applyHistoryTransaction(replace);
    await wrapSession(inner, [stamping()]).applyHistoryTransaction(replace);
    expect(await session.getItems()).toEqual([user('a'), user('b'), user('x'), user('c')]);
    expect((await inner.getItems()).slice(0, 2)).toEqual(before.slice(0, 2));
    const error = await failure(
      Promise.resolve(session.applyHistoryTransaction({ ...replace, operationId: 'other' })),
    );
    expect(error.code).toBe('ERR_CONFLICT');
    expect(error.message).toMatch(/^Session history suffix no longer matches the transaction precondition\./);
  });

  it('mutates function calls in plaintext', async () => {
    const call = (name: string): AgentInputItem & { type: 'function_call' } => ({
      type: 'function_call',
      callId: 'c1',
      name,
      arguments: '{}',
      status: 'completed',
    });
    const session = wrapSession(new MemorySession(), [stamping()]);
    await session.addItems([user('a'), call('before'), user('b')]);
    await session.applyHistoryMutations?.({
      mutations: [{ type: 'replace_function_call', callId: 'c1', replacement: call('after') }],
    });
    expect(await session.getItems()).toEqual([user('a'), call('after'), user('b')]);
  });

  it('refuses invalid items before anything is stored', async () => {
    const inner = new MemorySession();
    const session = wrapSession(inner, [stamping()], { maxItemBytes: 100 });
    const cases: [unknown, RegExp][] = [
      [
        { ...user('a'), providerData: { when: new Date() } },
        /item\.providerData\.\* is an instance of a class/,
      ],
      [
        { ...user('a'), providerData: { n: Number.NaN } },
        /item\.providerData\.\* is a number that JSON cannot hold/,
      ],
      [{ ...user('a'), providerData: { n: 1n } }, /item\.providerData\.\* is a bigint/],
      [user('x'.repeat(101)), /has 14\d bytes of JSON, more than maxItemBytes \(100\)/],
    ];
    for (const [item, message] of cases) {
      const error = await failure(session.addItems([user('fine'), item as AgentInputItem]));
      expect(error.code).toBe('ERR_INVALID_ITEM');
      expect(error.message).toMatch(message);
    }
    expect(await inner.getItems()).toEqual([]);
  });

  it('keeps bytes, and text that looks like escaped bytes or an envelope', async () => {
    const inner = new MemorySession();
    const session = wrapSession(inner, [stamping()]);
    const items = [
      {
        ...user('a'),
        providerData: { data: new Uint8Array([1, 2, 255]), like: { $bytes: 'AQ==' }, more: { $$bytes: 1 } },
      },
      user(JSON.stringify((await inner.getItems())[0] ?? null)),
    ] as AgentInputItem[];
    await session.addItems(items);
    const [carrier] = await inner.getItems();
    await session.addItems([carrier as AgentInputItem]);
    expect(await session.getItems()).toEqual([...items, carrier]);
  });

  it('refuses an order that cannot work, with a right one in the message', () => {
    const sealing: SessionLayer = { name: 'encrypt', seals: true, unique: true };
    const caching: SessionLayer = { name: 'cache', load: () => Promise.resolve([]) };
    const inner = new MemorySession();
    expect(() => wrapSession(inner, [sealing, stamping()])).toThrow(
      'stamping cannot be below encrypt, which seals the items. Use this order, outermost first: [stamping, encrypt].',
    );
    expect(() => wrapSession(inner, [caching, upperCase(), sealing])).toThrow(/\[upper, cache, encrypt\]/);
    expect(() => wrapSession(wrapSession(inner, [sealing]), [sealing])).toThrow(
      /takes one encrypt\(\) layer/,
    );
  });

  it('checks the layers as they are for each session, also when they changed since another one', () => {
    const outer: SessionLayer & { seals?: boolean } = { name: 'outer', write: (entries) => entries };
    const layers = [outer, upperCase()];
    wrapSession(new MemorySession(), layers);
    outer.seals = true;
    expect(() => wrapSession(new MemorySession(), layers)).toThrow(
      expect.objectContaining({
        code: 'ERR_LAYER_ORDER',
        message: expect.stringContaining('upper cannot be below outer, which seals') as string,
      }) as Error,
    );
  });

  it('refuses a value that is not a session and one that is not a layer', () => {
    expect(() => wrapSession({} as Session, [])).toThrow(
      /it has no getSessionId, getItems, addItems, popItem, clearSession/,
    );
    expect(() => wrapSession(undefined as unknown as Session, [])).toThrow(
      /must be a Session of @openai\/agents, got undefined/,
    );
    expect(() => wrapSession(new MemorySession(), [{} as SessionLayer])).toThrow(
      /each layer must be an object with a name/,
    );
  });
});
