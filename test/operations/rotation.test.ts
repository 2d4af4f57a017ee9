import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import type { JWK } from 'jose';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { counters } from '../../src/crypto/counters.ts';
import { envelopeText, parseEnvelope } from '../../src/protocol/envelope.ts';
import type { DekRecord, DekStore } from '../../src/keys/dek-store.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { checkKeys, memoryDekStore, reencrypt, rewrap } from '../../src/operations/index.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import { parseWrappedKey } from '../../src/keys/wrapped-key.ts';
import { encrypt, type EncryptOptions } from '../../src/layers/encrypt.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { coded, failure } from '../crypto/failure.ts';
import { userMessage } from '../layers/hand-made-call.ts';
import { DEK_STORE } from '../../src/session-contract.ts';

let old: JWK;
let next: JWK;
beforeAll(async () => {
  old = { ...(await generateKey()), kid: 'old' };
  next = { ...(await generateKey()), kid: 'next' };
});

const rotated = (): Keyring => keyring({ current: next, previous: [old] });
const only = (key: JWK): Keyring => keyring({ current: key });
const wrap = (inner: Session, keys: Keyring, more: Partial<EncryptOptions> = {}): Session =>
  wrapSession(inner, [encrypt({ keys, ...more })]);

async function records(store: DekStore): Promise<DekRecord[]> {
  const found: DekRecord[] = [];
  for await (const record of store.list()) found.push(record);
  return found;
}

function plainInner(sessionId: string): { inner: Session; memory: MemorySession } {
  const memory = new MemorySession({ sessionId });
  return {
    memory,
    inner: {
      getSessionId: () => memory.getSessionId(),
      getItems: (limit) => memory.getItems(limit),
      addItems: (items) => memory.addItems(items),
      popItem: () => memory.popItem(),
      clearSession: () => memory.clearSession(),
    },
  };
}

const parsed = (record: AgentInputItem | undefined): ReturnType<typeof parseEnvelope> =>
  parseEnvelope(envelopeText(record as AgentInputItem) as string);

describe('rewrap', () => {
  it('wraps the data keys of a DEK store with the current key, and changes no item', async () => {
    const dekStore = memoryDekStore();
    const inner = new MemorySession({ sessionId: 's' });
    await wrap(inner, only(old), { dekStore, context: { tenant: 't' } }).addItems([userMessage('a')]);
    const before = await inner.getItems();
    const seen: unknown[] = [];
    const report = await rewrap(dekStore, {
      keys: rotated(),
      context: () => ({ tenant: 't' }),
      onProgress: (progress) => seen.push(progress),
    });
    expect(report).toEqual({ examined: 1, rewrapped: 1, failed: 0, failures: [] });
    expect(seen).toEqual([{ examined: 1, rewrapped: 1, failed: 0 }]);
    expect(await inner.getItems()).toEqual(before);
    expect((await records(dekStore)).map(({ kid }) => kid)).toEqual(['next']);
    const reader = wrap(inner, only(next), { dekStore, context: { tenant: 't' } });
    expect(await reader.getItems()).toEqual([userMessage('a')]);
    const before2 = { ...counters };
    expect(await rewrap(dekStore, { keys: rotated(), context: { tenant: 't' } })).toMatchObject({
      examined: 0,
    });
    expect(counters).toEqual(before2);
  });

  it('wraps the data keys inside envelopes in one transaction, each once', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    await wrap(inner, only(old)).addItems([userMessage('a'), userMessage('b')]);
    const bodies = (await inner.getItems()).map((record) => parsed(record).body);
    const writer = wrap(inner, rotated());
    await writer.addItems([userMessage('c')]);
    expect(await rewrap(writer)).toEqual({ examined: 1, rewrapped: 1, failed: 0, failures: [] });
    const after = await inner.getItems();
    expect(after.slice(0, 2).map((record) => parsed(record).body)).toEqual(bodies);
    expect(after.map((record) => parseWrappedKey(parsed(record).wrapped as string).kid)).toEqual([
      'next',
      'next',
      'next',
    ]);
    expect(await wrap(inner, only(next)).getItems()).toEqual([
      userMessage('a'),
      userMessage('b'),
      userMessage('c'),
    ]);
  });

  it('continues when another process appends in between', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    await wrap(inner, only(old)).addItems([userMessage('a')]);
    const writer = wrap(inner, rotated());
    const racing = wrap(inner, rotated());
    const original = inner.applyHistoryTransaction.bind(inner);
    let first = true;
    inner.applyHistoryTransaction = async (args) => {
      if (first) await racing.addItems([userMessage('late')]);
      first = false;
      return original(args);
    };
    expect(await rewrap(writer)).toEqual({ examined: 1, rewrapped: 1, failed: 0, failures: [] });
    expect(await wrap(inner, only(next)).getItems()).toEqual([userMessage('a'), userMessage('late')]);
  });

  it('refuses inline keys where it could lose the session in a crash', async () => {
    const { inner, memory } = plainInner('s');
    await wrap(inner, only(old)).addItems([userMessage('a')]);
    const before = await memory.getItems();
    expect(await failure(() => rewrap(wrap(inner, rotated())))).toEqual(
      coded('ERR_UNSUPPORTED', /rewrap: session "s" has no transactions/),
    );
    expect(await memory.getItems()).toEqual(before);
  });

  it('reports data keys that do not open, and does not change them', async () => {
    const dekStore = memoryDekStore();
    await wrap(new MemorySession({ sessionId: 's' }), only(old), { dekStore }).addItems([userMessage('a')]);
    const stranger = { ...(await generateKey()), kid: 'stranger' };
    await wrap(new MemorySession({ sessionId: 't' }), only(stranger), { dekStore }).addItems([
      userMessage('a'),
    ]);
    const [record] = await records(dekStore);
    await dekStore.put({ ...(record as DekRecord), sessionId: 'u' });
    const report = await rewrap(dekStore, { keys: rotated() });
    expect(report).toMatchObject({ examined: 3, rewrapped: 1, failed: 2 });
    expect(report.failures.map(({ sessionId, code }) => [sessionId, code])).toEqual([
      ['t', 'ERR_KEY_UNKNOWN'],
      ['u', 'ERR_COMMITMENT'],
    ]);
    expect((await records(dekStore)).map(({ kid }) => kid)).toEqual(['next', 'stranger', 'old']);
  });

  it('stops at a signal and continues in the next run', async () => {
    const dekStore = memoryDekStore();
    for (const sessionId of ['1', '2', '3']) {
      await wrap(new MemorySession({ sessionId }), only(old), { dekStore }).addItems([userMessage('a')]);
    }
    const stop = new AbortController();
    const stopped = failure(() =>
      rewrap(dekStore, {
        keys: rotated(),
        signal: stop.signal,
        onProgress: () => stop.abort(new Error('enough')),
      }),
    );
    expect(await stopped).toMatchObject({ message: 'enough' });
    expect(await rewrap(dekStore, { keys: rotated() })).toMatchObject({ examined: 2, rewrapped: 2 });
  });

  it('works over all sessions of a wrapped store', async () => {
    const store = openSqlite(':memory:');
    const writer = wrapStore(store, [encrypt({ keys: only(old) })]);
    for (const id of ['1', '2']) await writer.session(id).addItems([userMessage(id)]);
    expect(await rewrap(wrapStore(store, [encrypt({ keys: rotated() })]))).toMatchObject({ rewrapped: 2 });
    const reader = wrapStore(store, [encrypt({ keys: only(next) })]);
    expect(await reader.session('2').getItems()).toEqual([userMessage('2')]);
    await store.close();
  });

  it('checks its arguments', async () => {
    expect(await failure(() => rewrap(memoryDekStore()))).toEqual(
      coded('ERR_INVALID_OPTION', /keys must be/),
    );
    expect(await failure(() => rewrap(new MemorySession()))).toEqual(
      coded('ERR_INVALID_OPTION', /made with an encrypt\(\) layer/),
    );
    const session = wrap(new MemorySession(), only(next));
    expect(await failure(() => rewrap(session, { keys: only(next) }))).toEqual(
      coded('ERR_INVALID_OPTION', /for a DEK store only/),
    );
    expect(await failure(() => rewrap({} as Session))).toEqual(coded('ERR_INVALID_OPTION', /target must be/));
  });
});

describe('reencrypt', () => {
  it('seals everything again, destroys the old data keys, and keeps the stamps', async () => {
    const dekStore = memoryDekStore();
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrap(inner, only(next), { dekStore });
    await session.addItems([userMessage('a'), userMessage('b')]);
    const stolen = await records(dekStore);
    const copy = await inner.getItems();
    const report = await reencrypt(session, { grace: 0 });
    expect(report).toEqual({
      sessions: 1,
      entries: 2,
      shredded: 0,
      destroyed: [stolen[0]?.did],
      held: [],
    });
    expect(await session.getItems()).toEqual([userMessage('a'), userMessage('b')]);
    const after = await inner.getItems();
    expect(after.map((record) => parsed(record).header.t)).toEqual(
      copy.map((record) => parsed(record).header.t),
    );
    expect(after.map((record) => parsed(record).header.d)).not.toContain(stolen[0]?.did);
    await session.addItems([userMessage('c')]);
    const dids = new Set((await inner.getItems()).map((record) => parsed(record).header.d));
    expect(dids.size).toBe(1);
  });

  it('loses nothing of a writer that still held the old data key', async () => {
    const store = openSqlite(':memory:');
    const keys = only(next);
    const session = wrapSession(store.session('s'), [encrypt({ keys })]);
    const other = wrapSession(store.session('s'), [encrypt({ keys })]);
    await session.addItems([userMessage('a')]);
    await other.getItems();
    await other.addItems([userMessage('b')]);
    let sealed = 0;
    const report = await reencrypt(session, {
      grace: 1,
      onProgress: () => {
        // Between the two halves of the run: this one still uses the old data key from its cache.
        sealed++;
        void other.addItems([userMessage('late')]);
      },
    });
    expect(sealed).toBe(1);
    expect(report.destroyed).toHaveLength(2);
    expect(await wrapSession(store.session('s'), [encrypt({ keys })]).getItems()).toEqual([
      userMessage('a'),
      userMessage('b'),
      userMessage('late'),
    ]);
    await store.close();
  });

  it('ends in a session with constant appends, and makes one data key a round', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const dekStore = memoryDekStore();
    const session = wrap(inner, only(next), { dekStore });
    const other = wrap(inner, only(next), { dekStore });
    await session.addItems([userMessage('a')]);
    await other.addItems([userMessage('b')]);
    const old = await records(dekStore);
    const original = inner.applyHistoryTransaction.bind(inner);
    let attempts = 0;
    inner.applyHistoryTransaction = async (args) => {
      if (attempts++ < 50) await other.addItems([userMessage(`late ${attempts}`)]);
      return original(args);
    };
    const before = counters.wraps;
    const report = await reencrypt(session, { grace: 0 });
    expect(attempts).toBe(52);
    expect(report).toMatchObject({ entries: 52, destroyed: old.map(({ did }) => did) });
    // The old ones as open-only, and one for each of the two rounds that had something to seal.
    expect(counters.wraps - before).toBe(4);
    expect(await wrap(inner, only(next), { dekStore }).getItems()).toHaveLength(52);
  });

  it('destroys no data key that a running read still needs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const inner = new MemorySession({ sessionId: 's' });
    const dekStore = memoryDekStore();
    const session = wrap(inner, only(next), { dekStore });
    const writer = wrap(inner, only(next), { dekStore });
    await session.addItems([userMessage('a')]);
    await writer.addItems([userMessage('b')]);
    // A reader of another process has read the records, and asks for their data keys only after the second round.
    let secondRound = (): void => undefined;
    const rounds = new Promise<void>((resolve) => (secondRound = resolve));
    const slow = plainInner('s').inner;
    slow.getItems = async () => {
      const found = await inner.getItems();
      await rounds;
      return found;
    };
    const original = inner.applyHistoryTransaction.bind(inner);
    let transactions = 0;
    inner.applyHistoryTransaction = async (args) => {
      await original(args);
      if (++transactions === 2) secondRound();
    };
    const running = reencrypt(session, {
      grace: '5m',
      onProgress: () => void writer.addItems([userMessage('late')]),
    });
    await vi.waitFor(async () => expect(await inner.getItems()).toHaveLength(3));
    const reading = wrap(slow, only(next), { dekStore }).getItems();
    await vi.advanceTimersByTimeAsync(300_000);
    expect(await reading).toEqual([userMessage('a'), userMessage('b'), userMessage('late')]);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(await running).toMatchObject({
      entries: 3,
      destroyed: [expect.any(String), expect.any(String)],
    });
  });

  it('makes other processes stop sealing with the old data key when they load it again', async () => {
    const dekStore = memoryDekStore();
    const keys = only(next);
    let now = 1_000;
    const clocked = { name: 'clock', clock: () => now };
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrapSession(inner, [clocked, encrypt({ keys, dekStore })]);
    const other = wrapSession(inner, [clocked, encrypt({ keys, dekStore, dataKeys: { cacheFor: 10 } })]);
    await session.addItems([userMessage('a')]);
    await other.addItems([userMessage('b')]);
    const old = (await records(dekStore)).map(({ did }) => did);
    const held = memoryHold(dekStore);
    await held.place({ id: 'h', sessionId: 's', reason: 'r', placedAt: 1 });
    expect(await reencrypt(session, { grace: 0 })).toMatchObject({ destroyed: [], held: ['s'] });
    now += 10;
    await other.addItems([userMessage('c')]);
    const last = (await inner.getItems()).at(-1);
    expect(old).toHaveLength(2);
    expect(old).not.toContain(parsed(last).header.d);
    expect(await other.getItems()).toEqual([userMessage('a'), userMessage('b'), userMessage('c')]);
  });

  it('does not change a session when a record does not open', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    await wrap(inner, only(old)).addItems([userMessage('a')]);
    const session = wrap(inner, only(next));
    await session.addItems([userMessage('b')]);
    const before = await inner.getItems();
    expect(await failure(() => reencrypt(session, { grace: 0 }))).toEqual(coded('ERR_KEY_UNKNOWN', /"old"/));
    expect(await inner.getItems()).toEqual(before);
  });

  it('counts shredded records and leaves them, and refuses a session without transactions', async () => {
    const dekStore = memoryDekStore();
    const inner = new MemorySession({ sessionId: 's' });
    const keys = only(next);
    await wrap(inner, keys, { dekStore }).addItems([userMessage('gone')]);
    await dekStore.destroy('s');
    const session = wrap(inner, keys, { dekStore });
    await session.addItems([userMessage('kept')]);
    expect(await reencrypt(session, { grace: 0 })).toMatchObject({ entries: 1, shredded: 1 });
    expect(await session.getItems()).toEqual([userMessage('kept')]);
    const { inner: plain } = plainInner('p');
    const unsupported = wrap(plain, keys);
    await unsupported.addItems([userMessage('a')]);
    expect(await failure(() => reencrypt(unsupported, { grace: 0 }))).toEqual(
      coded('ERR_UNSUPPORTED', /no transactions/),
    );
  });

  it.each(['replaceWrapped', 'put', 'destroy'] as const)(
    'loses nothing when it stops at %s, and a second run finishes',
    async (method) => {
      const dekStore = memoryDekStore();
      const inner = new MemorySession({ sessionId: 's' });
      const keys = only(next);
      await wrap(inner, keys, { dekStore }).addItems([userMessage('a')]);
      const [stolen] = await records(dekStore);
      const broken = { ...dekStore, [method]: async () => Promise.reject(new Error('power cut')) };
      const crashing = failure(() => reencrypt(wrap(inner, keys, { dekStore: broken }), { grace: 0 }));
      expect(((await crashing) as Error).message).toMatch(/power cut|DEK store failed/);
      const session = wrap(inner, keys, { dekStore });
      expect(await session.getItems()).toEqual([userMessage('a')]);
      expect((await reencrypt(session, { grace: 0 })).destroyed).toContain(stolen?.did);
      expect(await session.getItems()).toEqual([userMessage('a')]);
      expect(await dekStore.get('s', stolen?.did ?? '')).toHaveProperty('destroyedAt');
    },
  );

  it('can be stopped during the wait', async () => {
    const dekStore = memoryDekStore();
    const session = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore });
    await session.addItems([userMessage('a')]);
    const stop = new AbortController();
    const stopped = failure(() =>
      reencrypt(session, {
        signal: stop.signal,
        onProgress: () => queueMicrotask(() => stop.abort(new Error('enough'))),
      }),
    );
    expect(await stopped).toMatchObject({ message: 'enough' });
    expect(await session.getItems()).toEqual([userMessage('a')]);
  });
});

describe('checkKeys', () => {
  it('says which stored keys the keyring can no longer open', async () => {
    const store = openSqlite(':memory:');
    const sessions = wrapStore(store, [encrypt({ keys: only(old) })]);
    await sessions.session('1').addItems([userMessage('a')]);
    await sessions.session('2').addItems([userMessage('a')]);
    const dekStore = store.session('1')[DEK_STORE];
    const ring = rotated();
    expect(await checkKeys([dekStore], { keys: ring })).toEqual([{ kid: 'old', dataKeys: 2, sessions: 2 }]);
    ring.disable('old');
    expect(await checkKeys([dekStore], { keys: ring })).toMatchObject([{ problem: 'ERR_KEY_DISABLED' }]);
    expect(await checkKeys([dekStore], { keys: only(next) })).toMatchObject([{ problem: 'ERR_KEY_UNKNOWN' }]);
    await store.close();
  });
});

function memoryHold(store: DekStore): NonNullable<DekStore['holds']> {
  return store.holds as NonNullable<DekStore['holds']>;
}
