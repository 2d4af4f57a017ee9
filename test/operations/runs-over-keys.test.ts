import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { setImmediate } from 'node:timers/promises';
import type { JWK } from 'jose';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { carrierOf, envelopeText, parseEnvelope } from '../../src/protocol/envelope.ts';
import { StrongroomError, type ErrorCode } from '../../src/errors.ts';
import type { DekRecord, DekStore } from '../../src/keys/dek-store.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import {
  checkKeys,
  destroyKey,
  exportSession,
  hold,
  memoryDekStore,
  migrate,
  purgeDataKeys,
  reencrypt,
  release,
  rewrap,
  shred,
} from '../../src/operations/index.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import type { KeyProvider } from '../../src/keys/provider.ts';
import { parseWrappedKey } from '../../src/keys/wrapped-key.ts';
import { encrypt, type EncryptOptions } from '../../src/layers/encrypt.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { coded, failure } from '../crypto/failure.ts';
import { userMessage } from '../layers/hand-made-call.ts';
import { DEK_STORE } from '../../src/session-contract.ts';

// What the functions that walk over many data keys do with their options, with what they cannot open, and with errors.

let old: JWK;
let older: JWK;
let next: JWK;
beforeAll(async () => {
  old = { ...(await generateKey()), kid: 'old' };
  older = { ...(await generateKey()), kid: 'older' };
  next = { ...(await generateKey()), kid: 'next' };
});

const only = (key: JWK): Keyring => keyring({ current: key });
const rotated = (): Keyring => keyring({ current: next, previous: [old, older] });
const wrap = (inner: Session, keys: Keyring, more: Partial<EncryptOptions> = {}): Session =>
  wrapSession(inner, [encrypt({ keys, ...more })]);
const record = (sessionId: string, did: string, kid: string, createdAt = 1): DekRecord => ({
  sessionId,
  did,
  kid,
  wrapped: `${did}-wrapped`,
  createdAt,
});

async function kids(store: DekStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { kid } of store.list()) found.push(kid);
  return found;
}

async function inlineKids(inner: Session): Promise<(string | undefined)[]> {
  return (await inner.getItems()).map((item) => {
    const text = envelopeText(item);
    if (text === undefined || text === 'sr1.broken') return undefined;
    const { wrapped } = parseEnvelope(text);
    return wrapped === undefined ? undefined : parseWrappedKey(wrapped).kid;
  });
}

/** A key that answers every question with this error. */
function failing(key: JWK, error: Error): Keyring {
  const provider: KeyProvider = {
    kid: key.kid as string,
    alg: 'A256KW',
    writeOnly: false,
    wrap: () => Promise.reject(error),
    unwrap: () => Promise.reject(error),
  };
  return keyring({ current: next, previous: [provider] });
}

describe('rewrap', () => {
  it('with a kid takes the data keys of that key only, wherever they are', async () => {
    const dekStore = memoryDekStore();
    const inner = new MemorySession({ sessionId: 'inline' });
    for (const key of [old, older]) {
      await wrap(new MemorySession({ sessionId: 's' }), only(key), { dekStore }).addItems([userMessage('a')]);
      await wrap(inner, keyring({ current: key, previous: key === older ? [old] : [] })).addItems([
        userMessage('a'),
      ]);
    }
    expect(await rewrap(dekStore, { keys: rotated(), kid: 'older' })).toMatchObject({ examined: 1 });
    expect((await kids(dekStore)).sort()).toEqual(['next', 'old']);
    expect(await rewrap(wrap(inner, rotated()), { kid: 'old' })).toMatchObject({ examined: 1, rewrapped: 1 });
    expect(await inlineKids(inner)).toEqual(['next', 'older']);
  });

  it('over a session takes the data keys of that session only', async () => {
    const dekStore = memoryDekStore();
    const inner = new MemorySession({ sessionId: 's' });
    await wrap(inner, only(old), { dekStore }).addItems([userMessage('a')]);
    await wrap(new MemorySession({ sessionId: 't' }), only(old), { dekStore }).addItems([userMessage('a')]);
    expect(await rewrap(wrap(inner, rotated(), { dekStore }))).toMatchObject({ examined: 1, rewrapped: 1 });
    expect(await kids(dekStore)).toEqual(['next', 'old']);
  });

  it('leaves records that it cannot read, and every field that a backend added', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const dekStore = memoryDekStore();
    await wrap(inner, only(old)).addItems([userMessage('a')]);
    await wrap(inner, only(old), { dekStore }).addItems([userMessage('b')]);
    const [inline, kept] = await inner.getItems();
    const strange = [userMessage('plain'), carrierOf('sr1.broken')];
    await inner.clearSession();
    await inner.addItems([...strange, { ...inline, id: 'msg_1' } as AgentInputItem, kept as AgentInputItem]);
    const before = await inner.getItems();
    expect(await rewrap(wrap(inner, rotated()))).toMatchObject({ examined: 1, rewrapped: 1, failed: 0 });
    const after = await inner.getItems();
    expect(after.map((item, index) => JSON.stringify(item) === JSON.stringify(before[index]))).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect(after[2]).toMatchObject({ id: 'msg_1' });
  });

  it('writes nothing when nothing has to be done', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrap(inner, only(next));
    const transactions = vi.spyOn(inner, 'applyHistoryTransaction');
    expect(await rewrap(session)).toEqual({ examined: 0, rewrapped: 0, failed: 0, failures: [] });
    await session.addItems([userMessage('a')]);
    transactions.mockClear();
    expect(await rewrap(session)).toMatchObject({ examined: 0 });
    expect(transactions).not.toHaveBeenCalled();
  });

  it('tries an inline data key that does not open once, and reports it', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const stranger = { ...(await generateKey()), kid: 'stranger' };
    await wrap(inner, only(stranger)).addItems([userMessage('a'), userMessage('b')]);
    const [first] = await inner.getItems();
    const { header } = parseEnvelope(envelopeText(first as AgentInputItem) as string);
    expect(await rewrap(wrap(inner, rotated()))).toEqual({
      examined: 1,
      rewrapped: 0,
      failed: 1,
      failures: [{ sessionId: 's', did: header.d, code: 'ERR_KEY_UNKNOWN' }],
    });
  });

  it('counts a data key that another process wrapped first as checked', async () => {
    const dekStore = memoryDekStore();
    await wrap(new MemorySession({ sessionId: 's' }), only(old), { dekStore }).addItems([userMessage('a')]);
    const racing: DekStore = { ...dekStore, replaceWrapped: async () => false };
    expect(await rewrap(racing, { keys: rotated() })).toMatchObject({ examined: 1, rewrapped: 0, failed: 0 });
  });

  it('names at most 1,000 data keys that do not open, and counts all', async () => {
    const dekStore = memoryDekStore();
    for (let index = 0; index < 1_001; index++) await dekStore.put(record('s', `${index}`, 'other'));
    const report = await rewrap(dekStore, { keys: rotated() });
    expect(report).toMatchObject({ examined: 1_001, failed: 1_001 });
    expect(report.failures).toHaveLength(1_000);
    expect(report.failures[999]).toEqual({ sessionId: 's', did: '999', code: 'ERR_MALFORMED' });
  });

  it.each<[ErrorCode]>([['ERR_KEY_UNAVAILABLE'], ['ERR_STORE'], ['ERR_CLOSED']])(
    'ends with %s, because it is better to try again later',
    async (code) => {
      const dekStore = memoryDekStore();
      await wrap(new MemorySession({ sessionId: 's' }), only(old), { dekStore }).addItems([userMessage('a')]);
      const keys = failing(old, new StrongroomError(code, 'not now'));
      expect(await failure(() => rewrap(dekStore, { keys }))).toEqual(coded(code, /not now/));
    },
  );

  it('ends with an error of another library', async () => {
    const dekStore = memoryDekStore();
    await wrap(new MemorySession({ sessionId: 's' }), only(old), { dekStore }).addItems([userMessage('a')]);
    const keys = failing(old, new TypeError('a bug'));
    expect(await failure(() => rewrap(dekStore, { keys }))).toBeInstanceOf(TypeError);
  });

  it('leaves no data key in memory', async () => {
    const dekStore = memoryDekStore();
    await wrap(new MemorySession({ sessionId: 's' }), only(old), { dekStore }).addItems([userMessage('a')]);
    const keys = rotated();
    const opened: Uint8Array[] = [];
    const watched: Keyring = {
      ...keys,
      current: 'next',
      async unwrap(wrapped, binding) {
        const key = await keys.unwrap(wrapped, binding);
        opened.push(key.dek);
        return key;
      },
    };
    await rewrap(dekStore, { keys: watched });
    expect(opened).toEqual([new Uint8Array(32)]);
  });

  it('keeps a data key open-only', async () => {
    const dekStore = memoryDekStore();
    const inner = new MemorySession({ sessionId: 's' });
    await wrap(inner, only(old), { dekStore }).addItems([userMessage('a')]);
    await hold(dekStore, { sessionId: 's', reason: 'keeps reencrypt from destroying it' });
    await reencrypt(wrap(inner, only(old), { dekStore }), { grace: 0 });
    await rewrap(dekStore, { keys: rotated() });
    const found: [string, boolean][] = [];
    for await (const { kid, wrapped } of dekStore.list())
      found.push([kid, parseWrappedKey(wrapped).openOnly]);
    expect(found).toEqual([
      ['next', true],
      ['next', false],
    ]);
  });

  it('stops between two data keys of one session, and writes nothing of it', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    await wrap(inner, only(old)).addItems([userMessage('a')]);
    await wrap(inner, keyring({ current: older, previous: [old] })).addItems([userMessage('b')]);
    const stop = new AbortController();
    const onProgress = vi.fn<() => void>(() => stop.abort(new Error('enough')));
    const run = rewrap(wrap(inner, rotated()), { signal: stop.signal, onProgress });
    expect(await failure(() => run)).toMatchObject({ message: 'enough' });
    expect(onProgress).toHaveBeenCalledTimes(1);
    expect(await inlineKids(inner)).toEqual(['old', 'older']);
  });

  it('takes its keys and context from the session', async () => {
    const session = wrap(new MemorySession(), only(next));
    for (const options of [{ keys: only(next) }, { context: {} }]) {
      expect(await failure(() => rewrap(session, options))).toEqual(
        coded(
          'ERR_INVALID_OPTION',
          /^rewrap: keys and context come from the encrypt\(\) layer of a wrapped session; pass them for a DEK store only\.$/,
        ),
      );
    }
    expect(await failure(() => rewrap(memoryDekStore()))).toEqual(
      coded('ERR_INVALID_OPTION', /^rewrap: keys must be a keyring, because the target is a DEK store/),
    );
  });

  it('stops between two records and between two sessions', async () => {
    const store = openSqlite(':memory:');
    const sessions = wrapStore(store, [encrypt({ keys: rotated() })]);
    await wrapStore(store, [encrypt({ keys: only(old) })])
      .session('1')
      .addItems([userMessage('a')]);
    const signal = AbortSignal.abort(new Error('enough'));
    for (const run of [
      () => rewrap(sessions, { signal }),
      () => reencrypt(sessions, { signal }),
      () => migrate(sessions, { signal }),
    ]) {
      expect(await failure(run)).toMatchObject({ message: 'enough' });
    }
    await store.close();
  });
});

describe('an invalid option', () => {
  it('is refused by every function, which names itself', async () => {
    const session = wrap(new MemorySession(), only(next));
    const store = memoryDekStore();
    const given = {
      keys: only(next),
      dekStores: [store],
      after: '1d',
      reason: 'r',
      sessionId: 's',
      open: true,
    };
    const runs: Record<string, (options: never) => Promise<unknown>> = {
      rewrap: (options) => rewrap(session, options),
      reencrypt: (options) => reencrypt(session, options),
      migrate: (options) => migrate(session, options),
      shred: (options) => shred(session, options),
      exportSession: (options) => exportSession(session, options),
      hold: (options) => hold(store, options),
      release: (options) => release(store, 'h', options),
      purgeDataKeys: (options) => purgeDataKeys(store, options),
      checkKeys: (options) => checkKeys([store], options),
      destroyKey: (options) => destroyKey(only(next), 'k', options),
    };
    for (const [name, run] of Object.entries(runs)) {
      expect(await failure(() => run({ ...given, nonsense: 1 } as never))).toEqual(
        coded('ERR_INVALID_OPTION', new RegExp(`^${name}: unknown option`)),
      );
    }
  });

  it('is a target without a stack that seals', async () => {
    for (const target of [null, undefined, 'session', {}]) {
      for (const run of [rewrap, reencrypt, migrate]) {
        expect(await failure(() => run(target as never))).toEqual(
          coded(
            'ERR_INVALID_OPTION',
            new RegExp(`^${run.name}: target must be a wrapped session or a wrapped store`),
          ),
        );
      }
      expect(await failure(() => shred(target as never))).toEqual(
        coded(
          'ERR_INVALID_OPTION',
          /^shred: the session must be one that wrapSession\(\) or wrapStore\(\) made/,
        ),
      );
    }
  });
});

describe('the stack of a session', () => {
  it('must seal: each function says so by its name', async () => {
    const session = new MemorySession();
    const runs: Record<string, () => Promise<unknown>> = {
      rewrap: () => rewrap(session),
      reencrypt: () => reencrypt(session),
      migrate: () => migrate(session),
      shred: () => shred(session),
      exportSession: () => exportSession(session, { open: true }),
      hold: () => hold(session, { reason: 'r' }),
      release: () => release(session, 'h'),
    };
    for (const [name, run] of Object.entries(runs)) {
      expect(await failure(run)).toEqual(
        coded(
          'ERR_INVALID_OPTION',
          new RegExp(`^${name}: the session must be one that .* an encrypt\\(\\) layer`),
        ),
      );
    }
  });

  it('has one clock, from any layer, in whole milliseconds', async () => {
    const clocked = { name: 'clock', clock: () => 1_000.9 };
    const dekStore = memoryDekStore();
    const layers = [{ name: 'first' }, clocked, encrypt({ keys: only(next), dekStore })];
    const session = wrapSession(new MemorySession({ sessionId: 's' }), layers);
    expect(await hold(session, { reason: 'r', id: 'h' })).toEqual({
      id: 'h',
      sessionId: 's',
      reason: 'r',
      placedAt: 1_000,
    });
    expect(await release(session, 'h')).toMatchObject({ releasedAt: 1_000 });
    expect(await exportSession(session, { open: false })).toMatchObject({ exportedAt: 1_000 });
    expect(await shred(session)).toMatchObject({ at: 1_000 });
  });
});

describe('replacing the records of a session', () => {
  async function oneSealed(): Promise<{ inner: MemorySession; session: Session }> {
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrap(inner, only(next));
    await session.addItems([userMessage('a')]);
    return { inner, session };
  }

  it('ends with the error of the store when no other process wrote', async () => {
    const { inner, session } = await oneSealed();
    let attempts = 0;
    inner.applyHistoryTransaction = async () => {
      attempts++;
      throw new Error('disk full');
    };
    expect(await failure(() => reencrypt(session, { grace: 0 }))).toMatchObject({ message: 'disk full' });
    expect(attempts).toBe(1);
  });

  it('fails after 100 conflicts with other writers', async () => {
    const { inner } = await oneSealed();
    let attempts = 0;
    inner.applyHistoryTransaction = async () => {
      attempts++;
      await inner.addItems([userMessage(`${attempts}`)]);
      throw new Error('conflict');
    };
    const lenient = wrap(inner, only(next), {
      unsafeAllowPlaintext: { until: new Date(Date.now() + 60_000) },
    });
    expect(await failure(() => reencrypt(lenient, { grace: 0 }))).toMatchObject({ message: 'conflict' });
    expect(attempts).toBe(100);
  });

  it('says when it is not possible, and what to do', async () => {
    const { inner, session } = await oneSealed();
    inner.applyHistoryTransaction = undefined as never;
    expect(await failure(() => reencrypt(session, { grace: 0 }))).toEqual(
      coded(
        'ERR_UNSUPPORTED',
        /^reencrypt: session "s" has no transactions, and clearing and writing it again could lose it in a crash\. Copy/,
      ),
    );
  });

  it('has a new operation id each time, which names the function', async () => {
    const { inner, session } = await oneSealed();
    const transactions = vi.spyOn(inner, 'applyHistoryTransaction');
    await reencrypt(session, { grace: 0 });
    await reencrypt(session, { grace: 0 });
    const ids = transactions.mock.calls.map(([{ operationId }]) => operationId);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^reencrypt-[\w-]{22}$/);
  });
});

describe('reencrypt', () => {
  it('reports its progress after each session, and destroys nothing in an empty store', async () => {
    const store = openSqlite(':memory:');
    const sessions = wrapStore(store, [encrypt({ keys: only(next) })]);
    await sessions.session('1').addItems([userMessage('a'), userMessage('b')]);
    await sessions.session('2').addItems([userMessage('c')]);
    const seen: unknown[] = [];
    const report = await reencrypt(sessions, { grace: 0, onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([
      { sessions: 1, entries: 2 },
      { sessions: 2, entries: 3 },
    ]);
    expect(report).toMatchObject({ sessions: 2, entries: 3, shredded: 0, held: [] });
    expect(report.destroyed).toHaveLength(2);
    await store.close();
    const inline = wrap(new MemorySession(), only(next));
    await inline.addItems([userMessage('a')]);
    // No data key in a store, so there is nothing to wait five minutes for.
    expect(await reencrypt(inline)).toEqual({
      sessions: 1,
      entries: 1,
      shredded: 0,
      destroyed: [],
      held: [],
    });
  });

  it('checks its grace, and ends with an error of the DEK store', async () => {
    const dekStore = memoryDekStore();
    const session = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore });
    await session.addItems([userMessage('a')]);
    expect(await failure(() => reencrypt(session, { grace: 'soon' as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /^reencrypt: grace/),
    );
    const failingStore: DekStore = {
      ...dekStore,
      destroy: () => Promise.reject(new StrongroomError('ERR_STORE', 'gone')),
    };
    const broken = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore: failingStore });
    await broken.addItems([userMessage('a')]);
    expect(await failure(() => reencrypt(broken, { grace: 0 }))).toEqual(coded('ERR_STORE', /gone/));
  });

  it('waits five minutes by default, and not at all for `0`', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const dekStore = memoryDekStore();
    const session = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore });
    await session.addItems([userMessage('a')]);
    expect((await reencrypt(session, { grace: 0 })).destroyed).toHaveLength(1);
    const running = reencrypt(session);
    while (vi.getTimerCount() === 0) await setImmediate();
    await vi.advanceTimersByTimeAsync(299_999);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect((await running).destroyed).toHaveLength(1);
  });

  it('leaves no timer when it is stopped during the wait', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const session = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore: memoryDekStore() });
    await session.addItems([userMessage('a')]);
    const stop = new AbortController();
    const stopped = failure(() => reencrypt(session, { signal: stop.signal }));
    while (vi.getTimerCount() === 0) await setImmediate();
    stop.abort(new Error('enough'));
    expect(await stopped).toMatchObject({ message: 'enough' });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('stops between the destruction of two sessions', async () => {
    const dekStore = memoryDekStore();
    const store = openSqlite(':memory:');
    const stop = new AbortController();
    const destroy = vi.fn<DekStore['destroy']>(async (sessionId, did) => {
      stop.abort(new Error('enough'));
      return dekStore.destroy(sessionId, did);
    });
    const sessions = wrapStore(store, [encrypt({ keys: only(next), dekStore: { ...dekStore, destroy } })]);
    for (const id of ['1', '2']) await sessions.session(id).addItems([userMessage(id)]);
    expect(await failure(() => reencrypt(sessions, { grace: 0, signal: stop.signal }))).toMatchObject({
      message: 'enough',
    });
    expect(destroy).toHaveBeenCalledTimes(1);
    await store.close();
  });

  it('then nothing under the old data keys opens, also in this process', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrap(inner, only(next), { dekStore: memoryDekStore() });
    await session.addItems([userMessage('a')]);
    const copy = await inner.getItems();
    await reencrypt(session, { grace: 0 });
    await inner.clearSession();
    await inner.addItems(copy);
    expect(await session.getItems()).toEqual([]);
  });

  it('destroys no data key that another process rewrapped meanwhile', async () => {
    const dekStore = memoryDekStore();
    const racing: DekStore = { ...dekStore, replaceWrapped: async () => false };
    const session = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore: racing });
    await session.addItems([userMessage('a')]);
    expect(await reencrypt(session, { grace: 0 })).toMatchObject({ entries: 1, destroyed: [] });
    expect(await kids(dekStore)).toEqual(['next', 'next']);
  });

  it('refuses a data key that does not match its id', async () => {
    const dekStore = memoryDekStore();
    const session = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore });
    await session.addItems([userMessage('a')]);
    for await (const found of dekStore.list()) await dekStore.put({ ...found, did: 'swapped' });
    expect(await failure(() => reencrypt(session, { grace: 0 }))).toEqual(
      coded(
        'ERR_COMMITMENT',
        /^A wrapped data key does not match its id, or belongs to a different session or context\./,
      ),
    );
  });

  it('keeps plaintext that was added during the wait', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrap(inner, only(next), {
      dekStore: memoryDekStore(),
      unsafeAllowPlaintext: { until: new Date(Date.now() + 60_000) },
    });
    await session.addItems([userMessage('a')]);
    const report = await reencrypt(session, {
      grace: 0,
      onProgress: () => void inner.addItems([userMessage('plain')]),
    });
    expect(report).toMatchObject({ entries: 1, destroyed: [expect.any(String)] });
    expect((await inner.getItems())[1]).toEqual(userMessage('plain'));
  });

  it('of inline keys also seals items that are appended meanwhile in the same run', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrap(inner, only(next));
    const other = wrap(inner, only(next));
    await session.addItems([userMessage('a')]);
    const [before] = await inner.getItems();
    const original = inner.applyHistoryTransaction.bind(inner);
    let late: AgentInputItem | undefined;
    inner.applyHistoryTransaction = async (args) => {
      if (late === undefined) {
        await other.addItems([userMessage('late')]);
        late = (await inner.getItems()).at(-1);
      }
      return original(args);
    };
    expect(await reencrypt(session)).toMatchObject({ entries: 2, destroyed: [] });
    const after = await inner.getItems();
    expect(after).toHaveLength(2);
    expect(after).not.toContainEqual(before);
    expect(after).not.toContainEqual(late);
    expect(await session.getItems()).toEqual([userMessage('a'), userMessage('late')]);
  });

  it('does not wait when it is stopped', async () => {
    const dekStore = memoryDekStore();
    const session = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore });
    await session.addItems([userMessage('a')]);
    const stop = new AbortController();
    const run = reencrypt(session, {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('enough')),
    });
    expect(await failure(() => run)).toMatchObject({ message: 'enough' });
  });
});

describe('checkKeys', () => {
  it('counts data keys and sessions of every key over all stores', async () => {
    const [one, other] = [memoryDekStore(), memoryDekStore()];
    for (const [sessionId, did] of [
      ['s', 'a'],
      ['s', 'b'],
      ['t', 'c'],
    ] as const) {
      await one.put(record(sessionId, did, 'old'));
    }
    await other.put(record('u', 'd', 'old'));
    await other.put(record('u', 'e', 'gone'));
    await other.put(record('u', 'f', 'next'));
    const keys = keyring({ current: next, disabled: [old] });
    expect(await checkKeys([one, other], { keys })).toStrictEqual([
      { kid: 'old', dataKeys: 4, sessions: 3, problem: 'ERR_KEY_DISABLED' },
      { kid: 'gone', dataKeys: 1, sessions: 1, problem: 'ERR_KEY_UNKNOWN' },
      { kid: 'next', dataKeys: 1, sessions: 1 },
    ]);
    const signal = AbortSignal.abort(new Error('enough'));
    expect(await failure(() => checkKeys([one], { keys, signal }))).toMatchObject({ message: 'enough' });
    const broken = {
      ...keys,
      checkOpens: () => {
        throw new TypeError('a bug');
      },
    };
    expect(await failure(() => checkKeys([one], { keys: broken }))).toBeInstanceOf(TypeError);
  });
});

describe('destroyKey', () => {
  it('counts over all stores only data keys that still need the key', async () => {
    const [one, other] = [memoryDekStore(), memoryDekStore()];
    await one.put(record('s', 'a', 'old'));
    await one.put(record('s', 'b', 'next'));
    await other.put(record('t', 'c', 'old'));
    const keys = rotated();
    expect(await failure(() => destroyKey(keys, 'old', { dekStores: [one, other] }))).toEqual(
      coded(
        'ERR_CONFLICT',
        /^destroyKey: 2 data keys .* "old"\. Run rewrap\(\) first, over a dekStore of your own with its keys, too: .*\. Or purge them\.$/,
      ),
    );
    expect(keys.state('old')).toBe('previous');
    await destroyKey(keys, 'older', { dekStores: [one, other] });
    expect(keys.state('older')).toBe('destroyed');
    // A store that ignores the filter destroys nothing by mistake, and keeps nothing either.
    const careless: DekStore = { ...one, list: () => one.list() };
    await one.destroy('s', 'a');
    await destroyKey(keys, 'old', { dekStores: [careless] });
    expect(keys.state('old')).toBe('destroyed');
  });
});

describe('purgeDataKeys', () => {
  it('destroys keys of at least this age and no younger ones', async () => {
    const store = memoryDekStore();
    await store.put(record('s', 'old', 'k', 1_000));
    await store.put(record('s', 'young', 'k', 1_001));
    const run = { after: '1s', clock: () => 2_000 } as const;
    const stopped = purgeDataKeys(store, { ...run, signal: AbortSignal.abort(new Error('enough')) });
    expect(await failure(() => stopped)).toMatchObject({ message: 'enough' });
    expect(await purgeDataKeys(store, run)).toEqual({
      destroyed: [{ sessionId: 's', did: 'old', kid: 'k' }],
      held: [],
    });
    expect(await store.get('s', 'young')).toHaveProperty('wrapped');
    // By the clock of the machine all of it is old.
    expect((await purgeDataKeys(store, { after: '1s' })).destroyed).toHaveLength(1);
  });

  it('names the function in the error for `after`', async () => {
    expect(await failure(() => purgeDataKeys(memoryDekStore(), { after: 'soon' as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /^purgeDataKeys: after/),
    );
  });

  it('asks for the destruction of no key of a held session, and ends with another error', async () => {
    const store = memoryDekStore();
    for (const did of ['a', 'b']) await store.put(record('s', did, 'k'));
    const { id } = await hold(store, { sessionId: 's', reason: 'r' });
    const destroy = vi.fn<DekStore['destroy']>(async (sessionId, did) => store.destroy(sessionId, did));
    const run = { after: '1s', clock: () => 2_000 } as const;
    expect(await purgeDataKeys({ ...store, destroy }, run)).toEqual({ destroyed: [], held: ['s'] });
    expect(destroy).not.toHaveBeenCalled();
    await release(store, id);
    destroy.mockRejectedValue(new StrongroomError('ERR_STORE', 'gone'));
    expect(await failure(() => purgeDataKeys({ ...store, destroy }, run))).toEqual(
      coded('ERR_STORE', /gone/),
    );
  });
});

describe('hold and release', () => {
  it('record who, why and when, and nothing else', async () => {
    const store = memoryDekStore();
    const placed = await hold(store, { sessionId: 's', reason: 'r' });
    expect(placed).toStrictEqual({
      id: expect.stringMatching(/^[\w-]{22}$/) as string,
      sessionId: 's',
      reason: 'r',
      placedAt: expect.any(Number) as number,
    });
    const second = await hold(store, { sessionId: 's', reason: 'r', by: 'counsel' });
    expect(second).toMatchObject({ placedBy: 'counsel' });
    expect(second.id).not.toBe(placed.id);
    expect(await release(store, placed.id)).toEqual({ ...placed, releasedAt: expect.any(Number) as number });
    expect(await failure(() => release(store, 'other'))).toEqual(
      coded('ERR_INVALID_OPTION', /^release: no hold has the id "other"\. Pass/),
    );
  });

  it('are placed in every DEK store of the session, and released in those that have them', async () => {
    const store = openSqlite(':memory:');
    const own = store.session('s')[DEK_STORE];
    const dekStore = memoryDekStore();
    const session = wrapSession(store.session('s'), [encrypt({ keys: only(next), dekStore })]);
    const { id } = await hold(session, { reason: 'r' });
    for (const { holds } of [dekStore, own]) expect(await holds?.list({ open: true })).toHaveLength(1);
    await release(session, id, { by: 'judge' });
    for (const { holds } of [dekStore, own]) expect(await holds?.list({ open: true })).toEqual([]);
    await hold(dekStore, { sessionId: 's', reason: 'r', id: 'only the first' });
    expect(await release(session, 'only the first')).toMatchObject({ id: 'only the first' });
    await hold(own, { sessionId: 's', reason: 'r', id: 'only the second' });
    expect(await release(session, 'only the second')).toMatchObject({ id: 'only the second' });
    await store.close();
  });

  it('are refused, with the name of the function, when the DEK store has no holds', async () => {
    const { holds: _, ...without } = memoryDekStore();
    const inline = wrap(new MemorySession(), only(next));
    const runs: [string, () => Promise<unknown>][] = [
      ['hold', () => hold(without, { sessionId: 's', reason: 'r' })],
      ['hold', () => hold(inline, { reason: 'r' })],
      ['release', () => release(without, 'h')],
      ['release', () => release(inline, 'h')],
    ];
    for (const [name, run] of runs) {
      expect(await failure(run)).toEqual(
        coded(
          'ERR_UNSUPPORTED',
          new RegExp(
            `^${name}: the DEK store of this session does not support holds\\. Use sqliteDekStore\\(\\), or another`,
          ),
        ),
      );
    }
    expect(await failure(() => hold(memoryDekStore(), { reason: 'r' }))).toEqual(
      coded('ERR_INVALID_OPTION', /^hold: sessionId must be a session id/),
    );
  });

  it.each<[object, RegExp]>([
    [{ reason: 1 }, /^hold: reason must be a non-empty string/],
    [{ by: 1 }, /^hold: by must be a non-empty string/],
    [{ id: 1 }, /^hold: id must be a non-empty string/],
    [{ id: '' }, /^hold: id must be a non-empty string/],
    [{ sessionId: 1 }, /^hold: sessionId must be a session id/],
  ])('do not take %j', async (change, message) => {
    const given = { sessionId: 's', reason: 'r', ...change };
    expect(await failure(() => hold(memoryDekStore(), given as never))).toEqual(
      coded('ERR_INVALID_OPTION', message),
    );
  });
});

describe('shred', () => {
  it('writes only the given fields into the receipt', async () => {
    const session = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore: memoryDekStore() });
    expect(await shred(session)).toStrictEqual({
      type: 'strongroom/shred',
      version: 1,
      sessionId: 's',
      at: expect.any(Number) as number,
      keys: [],
      derived: {},
      rowsCleared: true,
    });
    for (const [name, value] of [
      ['reason', 1],
      ['by', null],
    ] as const) {
      expect(await failure(() => shred(session, { [name]: value }))).toEqual(
        coded('ERR_INVALID_OPTION', new RegExp(`^shred: ${name} must be a text`)),
      );
    }
  });

  it('names no data key that the store did not destroy', async () => {
    const dekStore: DekStore = { ...memoryDekStore(), destroy: async () => [] };
    const session = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore });
    await session.addItems([userMessage('a')]);
    expect(await shred(session)).toMatchObject({ keys: [] });
  });

  it('destroys in no store when one of them has a hold, and ignores holds of other sessions', async () => {
    const store = openSqlite(':memory:');
    const own = store.session('s')[DEK_STORE];
    const { holds: _, ...dekStore } = memoryDekStore();
    const session = wrapSession(store.session('s'), [encrypt({ keys: only(next), dekStore })]);
    await session.addItems([userMessage('a')]);
    await hold(own, { sessionId: 't', reason: 'r' });
    const { id } = await hold(own, { sessionId: 's', reason: 'r' });
    expect(await failure(() => shred(session))).toEqual(
      coded('ERR_HELD', new RegExp(`^Session "s" is under the hold "${id}"`)),
    );
    expect(await kids(dekStore)).toEqual(['next']);
    await release(own, id);
    expect((await shred(session)).keys).toHaveLength(1);
    await store.close();
  });

  it('says which copies it does not reach, and what to do', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const inline = wrap(inner, only(next));
    await inline.addItems([userMessage('a')]);
    expect(await failure(() => shred(inline))).toEqual(
      coded(
        'ERR_UNSUPPORTED',
        /^shred: the data keys of session "s" are stored inline in its envelopes, so every copy of the items contains them\. Use a DEK store/,
      ),
    );
    const mixed = wrap(inner, only(next), { dekStore: memoryDekStore() });
    expect(await failure(() => shred(mixed))).toEqual(
      coded(
        'ERR_UNSUPPORTED',
        /^shred: session "s" has older records with inline data keys .*: destroying the other keys would not erase them\. Run reencrypt\(\)/,
      ),
    );
    await inner.clearSession();
    await inner.addItems([userMessage('plain')]);
    expect(await shred(mixed)).toMatchObject({ rowsCleared: true });
  });

  it('clears the rows of a session that the stack makes read-only', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const dekStore = memoryDekStore();
    const session = wrapSession(inner, [
      {
        name: 'read-only',
        around(call, next) {
          if (call.kind === 'clearSession') throw new StrongroomError('ERR_READ_ONLY', 'no');
          return next();
        },
      },
      encrypt({ keys: only(next), dekStore }),
    ]);
    await session.addItems([userMessage('a')]);
    expect(await failure(() => session.clearSession())).toEqual(coded('ERR_READ_ONLY', /no/));
    expect(await shred(session)).toMatchObject({ rowsCleared: true });
    expect(await inner.getItems()).toEqual([]);
  });

  it('fails with the recipient of the receipt, after the destruction', async () => {
    const dekStore = memoryDekStore();
    const session = wrap(new MemorySession({ sessionId: 's' }), only(next), { dekStore });
    await session.addItems([userMessage('a')]);
    const onReceipt = (): Promise<void> => Promise.reject(new Error('no paper'));
    expect(await failure(() => shred(session, { onReceipt }))).toMatchObject({ message: 'no paper' });
    expect(await kids(dekStore)).toEqual([]);
  });
});
