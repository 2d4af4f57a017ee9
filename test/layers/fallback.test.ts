import { Agent, MemorySession, RunContext, Runner, type Session } from '@openai/agents';
import { assistantMessage, modelResponse, ScriptedModel } from '@openai/agents/testing';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  audit,
  authorize,
  cache,
  encrypt,
  exclusive,
  expire,
  fallback,
  generateKey,
  keyring,
  redact,
  wrapSession,
  wrapStore,
  StrongroomError,
  type AuditEvent,
  type ErrorCode,
  type SessionLayer,
} from '../../src/index.ts';
import { branches } from '../../src/history/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { faultySession } from '../../src/testing/index.ts';
import { userMessage } from './hand-made-call.ts';

const keys = keyring({ current: await generateKey() });

const warnings = vi.spyOn(process, 'emitWarning');
beforeEach(() => {
  warnings.mockReset().mockImplementation(() => undefined);
});
afterAll(() => {
  warnings.mockRestore();
});

const refused = (): Error => Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

/** A session that fails at its next read, and its backup with one message of its own. */
async function pair(error: Error = refused()) {
  const faulty = faultySession(new MemorySession({ sessionId: 'c' }));
  await faulty.session.addItems([userMessage('of the session')]);
  const backup = new MemorySession({ sessionId: 'c' });
  await backup.addItems([userMessage('old'), userMessage('of the backup')]);
  return { ...faulty, backup, fail: () => faulty.arm({ member: 'getItems', when: 'before', error }) };
}

const textsOf = async (session: Session, limit?: number): Promise<unknown[]> =>
  (await session.getItems(limit)).map((item) => {
    const { content } = item as { content?: string | readonly { text?: string }[] };
    return typeof content === 'string' ? content : content?.[0]?.text;
  });

/** As the runner calls them. */
const readIn = async (context: RunContext<unknown>, session: Session): Promise<unknown> =>
  (session.getItems as (limit?: number, context?: unknown) => Promise<unknown>)(undefined, context);
const clearIn = async (context: RunContext<unknown>, session: Session): Promise<void> =>
  (session as { clearSession(context?: unknown): Promise<void> }).clearSession(context);

describe('fallback()', () => {
  test('gives what belongs to a session its backup, by the function that opens the backup by id', async () => {
    await using replica = openSqlite(':memory:');
    await using primary = openSqlite(':memory:');
    const copies = wrapStore(replica, [encrypt({ keys })]);
    const store = wrapStore(primary, [fallback((id) => copies.session(id)), encrypt({ keys })]);
    await store.session('c').addItems([userMessage('one')]);
    const tree = branches(store, 'c');
    await tree.create('x');
    expect(await textsOf(tree.session('x'))).toEqual(['one']);
    expect((await tree.list()).map(({ name, items }) => [name, items])).toEqual([
      ['main', 1],
      ['x', 1],
    ]);
    // The function itself opens no id of this form that the stack did not ask for.
    expect(() => copies.session('~branch~x~c')).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
    );
  });

  test('reads the session while it answers, and the backup while it does not', async () => {
    const { session, backup, fail } = await pair();
    const wrapped = wrapSession(session, [fallback(backup)]);
    expect(await textsOf(wrapped)).toEqual(['of the session']);
    fail();
    expect(await textsOf(wrapped)).toEqual(['old', 'of the backup']);
    fail();
    expect(await textsOf(wrapped, 1)).toEqual(['of the backup']);
    expect(await textsOf(wrapped)).toEqual(['of the session']);
  });

  test('calls a function for the backup of an id, on every session of a store', async () => {
    await using replica = openSqlite(':memory:');
    await using primary = openSqlite(':memory:');
    const layers = [redact(), expire({ after: '30d' }), cache({ maxItems: 100 }), encrypt({ keys })];
    const copies = wrapStore(replica, layers);
    for (const id of ['a', 'b']) await copies.session(id).addItems([userMessage(`copy of ${id}`)]);
    const sessions = wrapStore(primary, [fallback((id) => copies.session(id)), ...layers]);
    const [a, b] = [sessions.session('a'), sessions.session('b')];
    await a.addItems([userMessage('a')]);
    await b.addItems([userMessage('b')]);
    const outage = new StrongroomError('ERR_STORE', 'the database is down');
    for (const session of [a, b]) {
      vi.spyOn(primary.session(await session.getSessionId()), 'getItems').mockRejectedValue(outage);
    }
    expect([await textsOf(a), await textsOf(b)]).toEqual([['copy of a'], ['copy of b']]);
    await primary.close();
    // A store that was closed on purpose is a mistake of the program, not an outage.
    await expect(a.getItems()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test.each<[string, Error]>([
    ['ERR_STORE', new StrongroomError('ERR_STORE', 'the database is down')],
    ['ERR_TIMEOUT', new StrongroomError('ERR_TIMEOUT', 'late')],
    ['ERR_LOAD', new StrongroomError('ERR_LOAD', 'too many open files')],
    ['a network error in the cause', new TypeError('fetch failed', { cause: refused() })],
    ['HTTP 503', Object.assign(new Error('unavailable'), { status: 503 })],
    ['HTTP 429', Object.assign(new Error('slow down'), { status: 429 })],
    ['a connection error of openai', Object.assign(new Error('x'), { name: 'APIConnectionError' })],
  ])('falls back after %s', async (_name, error) => {
    const { session, backup, fail } = await pair(error);
    fail();
    expect(await textsOf(wrapSession(session, [fallback(backup)]), 1)).toEqual(['of the backup']);
  });

  const codes: readonly ErrorCode[] = [
    'ERR_KEY_UNKNOWN',
    'ERR_KEY_DISABLED',
    'ERR_KEY_UNAVAILABLE',
    'ERR_COMMITMENT',
    'ERR_AUTHENTICATION',
    'ERR_SHREDDED',
    'ERR_ACCESS_DENIED',
    'ERR_MALFORMED',
    'ERR_NOT_SEALED',
    'ERR_CLOCK',
    'ERR_CLOSED',
    'ERR_CONFLICT',
    'ERR_PII_BLOCKED',
  ];
  const store = (cause: unknown): Error => new StrongroomError('ERR_STORE', 'refused', { cause });
  test.each<[string, Error]>([
    ...codes.map((code): [string, Error] => [code, new StrongroomError(code, 'no')]),
    ['HTTP 401', Object.assign(new Error('no'), { status: 401 })],
    ['HTTP 403', Object.assign(new Error('no'), { status: 403 })],
    ['a refused password of PostgreSQL', store(Object.assign(new Error('no'), { code: '28P01' }))],
    ['a missing privilege of PostgreSQL', store(Object.assign(new Error('no'), { code: '42501' }))],
    ['a refused user of MySQL', store(Object.assign(new Error('no'), { code: 'ER_ACCESS_DENIED_ERROR' }))],
    ['a refused password of Redis', store(new Error('WRONGPASS invalid username-password pair'))],
    ['a file that may not be read', store(Object.assign(new Error('no'), { code: 'EACCES' }))],
    ['an error that says nothing', new TypeError('undefined is not a function')],
  ])('never falls back after %s', async (_name, error) => {
    const { session, backup, fail } = await pair(error);
    const read = vi.spyOn(backup, 'getItems');
    const wrapped = wrapSession(session, [fallback(backup, { whenAllFail: 'start-fresh' })]);
    fail();
    await expect(wrapped.getItems()).rejects.toBe(error);
    expect(read).not.toHaveBeenCalled();
  });

  test('throws the error of the session when both are unavailable, unless told to start fresh', async () => {
    const error = new StrongroomError('ERR_STORE', 'the database is down');
    const { session, fail } = await pair(error);
    const backup = faultySession(new MemorySession());
    const failBoth = (): void => {
      fail();
      backup.arm({ member: 'getItems', when: 'before', error: refused() });
    };
    failBoth();
    await expect(wrapSession(session, [fallback(backup.session)]).getItems()).rejects.toBe(error);
    const events: AuditEvent[] = [];
    const fresh = wrapSession(session, [
      audit({ sink: (event) => void events.push(event) }),
      fallback(backup.session, { whenAllFail: 'start-fresh' }),
    ]);
    failBoth();
    expect(await fresh.getItems()).toEqual([]);
    expect(events).toMatchObject([
      { operation: 'getItems', outcome: 'success', itemsOut: 0, servedFrom: 'nothing' },
    ]);
    expect(warnings.mock.calls).toEqual([
      [
        'fallback: session "c" and its backup are unavailable (ERR_STORE, Error), so this read starts with an empty history. What is stored stays as it is.',
        { type: 'StrongroomWarning', code: 'STRONGROOM_FALLBACK' },
      ],
    ]);
  });

  test('throws key errors of a backup, and does not start fresh', async () => {
    const { session, fail } = await pair();
    const error = new StrongroomError('ERR_KEY_UNKNOWN', 'no key');
    const backup = faultySession(new MemorySession());
    backup.arm({ member: 'getItems', when: 'before', error });
    fail();
    const wrapped = wrapSession(session, [fallback(backup.session, { whenAllFail: 'start-fresh' })]);
    await expect(wrapped.getItems()).rejects.toBe(error);
  });

  test('records in the audit log that the backup answered', async () => {
    const { session, backup, fail } = await pair();
    const events: AuditEvent[] = [];
    const wrapped = wrapSession(session, [
      audit({ sink: (event) => void events.push(event) }),
      fallback(backup),
    ]);
    fail();
    await wrapped.getItems();
    await wrapped.getItems();
    expect(events.map(({ itemsOut, servedFrom }) => [itemsOut, servedFrom])).toEqual([
      [2, 'backup'],
      [1, undefined],
    ]);
  });

  test('a check that refuses is never bypassed', async () => {
    const { session, backup } = await pair();
    const wrapped = wrapSession(session, [
      fallback(backup, { whenAllFail: 'start-fresh' }),
      authorize({ check: () => false }),
    ]);
    await expect(wrapped.getItems()).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
  });

  test('an inner layer that refuses the read is never bypassed', async () => {
    const { session, backup } = await pair();
    const read = vi.spyOn(backup, 'getItems');
    const layer = fallback(backup, { whenAllFail: 'start-fresh' });
    const policy: SessionLayer = { name: 'policy', around: async () => Promise.reject(refused()) };
    await expect(wrapSession(session, [layer, policy]).getItems()).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    const inTurn = wrapSession(session, [layer, exclusive({ wait: '20ms' })]);
    const [first, second] = [new RunContext({}), new RunContext({})];
    await readIn(first, inTurn);
    await expect(readIn(second, inTurn)).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
    await clearIn(first, inTurn);
    expect(read).not.toHaveBeenCalled();
  });

  test('a layer that fails on the records of the session or a cache is never bypassed', async () => {
    await using store = openSqlite(':memory:');
    const { backup } = await pair();
    const read = vi.spyOn(backup, 'getItems');
    const answer = vi.fn<NonNullable<SessionLayer['read']>>((entries) => entries);
    const policy: SessionLayer = { name: 'policy', reads: 'view', read: answer };
    for (const [inner, layers] of [
      [new MemorySession(), []],
      [store.session('cold'), [encrypt({ keys })]],
      [store.session('warm'), [cache({ maxItems: 10 }), encrypt({ keys })]],
    ] as const) {
      const copy = wrapSession(backup, layers);
      const wrapped = wrapSession(inner, [fallback(copy, { whenAllFail: 'start-fresh' }), policy, ...layers]);
      await wrapped.addItems([userMessage('a')]);
      await wrapped.getItems();
      answer.mockImplementationOnce(() => {
        throw refused();
      });
      await expect(wrapped.getItems()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    }
    expect(read).not.toHaveBeenCalled();
  });

  test.each(['keys', 'context'] as const)('never falls back when the function %s fails', async (option) => {
    const { session, backup } = await pair();
    const read = vi.spyOn(backup, 'getItems');
    const sealed = wrapSession(backup, [encrypt({ keys })]);
    const failing = encrypt({
      keys,
      [option]: () => {
        throw refused();
      },
    });
    const wrapped = wrapSession(session, [fallback(sealed, { whenAllFail: 'start-fresh' }), failing]);
    await expect(wrapped.getItems()).rejects.toMatchObject({
      code: 'ERR_KEY_UNAVAILABLE',
      message: `encrypt: the function ${option} failed for session "c"; see the cause. Nothing was sealed or opened: repeat the call.`,
      cause: { code: 'ECONNREFUSED' },
    });
    expect(read).not.toHaveBeenCalled();
  });

  test('appends after a fallback, and removes nothing until the session was read', async () => {
    const { session, backup, fail } = await pair();
    const wrapped = wrapSession(session, [fallback(backup)]);
    fail();
    const seen = await wrapped.getItems();
    await wrapped.addItems([userMessage('new')]);
    const removals: readonly (() => Promise<unknown>)[] = [
      () => wrapped.popItem(),
      () => wrapped.clearSession(),
      () =>
        wrapped.applyHistoryTransaction({
          operationId: 'o',
          transaction: { type: 'replace_suffix', expectedSuffix: seen.slice(-1), replacement: [] },
        }),
    ];
    for (const removal of removals) {
      await expect(removal()).rejects.toMatchObject({
        code: 'ERR_READ_ONLY',
        written: 'no',
        message: expect.stringContaining('the last read was served from elsewhere'),
      });
    }
    expect(await textsOf(session)).toEqual(['of the session', 'new']);
    await wrapped.getItems();
    await wrapped.clearSession();
    expect(await session.getItems()).toEqual([]);
  });

  test('a run that was served the backup removes nothing, also after another run read the session', async () => {
    const { session, backup, fail } = await pair();
    const wrapped = wrapSession(session, [fallback(backup)]);
    const [misled, other] = [new RunContext({}), new RunContext({})];
    fail();
    await readIn(misled, wrapped);
    await readIn(other, wrapped);
    await expect(clearIn(misled, wrapped)).rejects.toMatchObject({ code: 'ERR_READ_ONLY' });
    await clearIn(other, wrapped);
  });

  test('a run that was served the backup of one session can remove from others with any ids', async () => {
    const [{ session, backup, fail }, { session: second }] = [await pair(), await pair()];
    const layers = [fallback(backup)];
    const [stale, read] = [wrapSession(session, layers), wrapSession(second, layers)];
    const run = new RunContext({});
    fail();
    await readIn(run, stale);
    await readIn(run, read);
    await expect(clearIn(run, stale)).rejects.toMatchObject({ code: 'ERR_READ_ONLY' });
    await clearIn(run, read);
    expect(await second.getItems()).toEqual([]);
    await readIn(run, stale);
    await clearIn(run, stale);
  });

  test('a run continues with the history of the backup, and is stored in the session', async () => {
    const { session, backup, fail } = await pair();
    const model = new ScriptedModel([modelResponse([assistantMessage('answer')])]);
    const wrapped = wrapSession(session, [fallback(backup)]);
    fail();
    await new Runner({ tracingDisabled: true }).run(new Agent({ name: 'a', model }), 'question', {
      session: wrapped,
    });
    expect(JSON.stringify(model.firstCall?.request.input)).toContain('of the backup');
    expect((await textsOf(session)).slice(0, 2)).toEqual(['of the session', 'question']);
  });

  test('refuses a backup that does not seal in a stack that does, before it is needed', async () => {
    const sealed = wrapSession(new MemorySession({ sessionId: 'c' }), [
      fallback(new MemorySession({ sessionId: 'c' })),
      encrypt({ keys }),
    ]);
    await expect(sealed.getItems()).rejects.toMatchObject({
      code: 'ERR_LAYER_ORDER',
      message:
        'fallback: the backup of session "c" has no encrypt() of its own, and the stack that reads it seals. Give the backup as a session that is wrapped in the same layers.',
    });
  });

  test('recognizes a seal by its properties and not by its name', async () => {
    const readingFrom = (layer: SessionLayer): Promise<unknown> =>
      wrapSession(new MemorySession(), [
        fallback(wrapSession(new MemorySession(), [layer])),
        encrypt({ keys }),
      ]).getItems();
    await expect(readingFrom({ ...encrypt({ keys }), name: 'mine' })).resolves.toEqual([]);
    await expect(readingFrom({ name: 'encrypt', read: (entries) => entries })).rejects.toMatchObject({
      code: 'ERR_LAYER_ORDER',
    });
  });

  test.each([
    [() => fallback(undefined as never), 'backup must be a session, or a function that gives one for an id'],
    [() => fallback({} as never), 'backup must be a session, or a function that gives one for an id'],
    [
      () => fallback(new MemorySession(), { whenAllFail: 'empty' as never }),
      "whenAllFail must be 'throw' or 'start-fresh'",
    ],
    [() => fallback(new MemorySession(), { fresh: true } as never), 'unknown option "fresh"'],
  ])('refuses what is no backup and no option', (make, message) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringContaining(message) }),
    );
  });
});
