import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { createCipheriv, createHmac, hkdfSync, randomFillSync } from 'node:crypto';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { envelopeText, parseEnvelope, sealClear } from '../../src/protocol/envelope.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import {
  exportSession,
  importSession,
  memoryDekStore,
  migrate,
  openRunState,
  readPythonSession,
  readRunState,
  sealRunState,
} from '../../src/operations/index.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import type { SessionCall, SessionLayer } from '../../src/layer.ts';
import { encrypt, type EncryptOptions } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { coded, failure } from '../crypto/failure.ts';
import { userMessage } from '../layers/hand-made-call.ts';
import python from '../vectors/python-encrypted-session.json' with { type: 'json' };

let keys: Keyring;
beforeAll(async () => {
  keys = keyring({ current: { ...(await generateKey()), kid: 'kek' } });
});
const until = new Date(Date.now() + 3_600_000);
const migrating = (more: Partial<EncryptOptions> = {}): ReturnType<typeof encrypt> =>
  encrypt({ keys, unsafeAllowPlaintext: { until }, ...more });

describe('a sealed run state', () => {
  const state = JSON.stringify({ $schemaVersion: '1.0', history: ['secret'] });

  it('is restored unchanged, and shows nothing in clear', async () => {
    for (const given of [state, { toString: () => state }]) {
      const sealed = await sealRunState(given, { keys, id: 'u', clock: () => 5 });
      expect(sealed).toMatch(/^sr1\.[\w.-]+$/);
      expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('secret');
      expect(parseEnvelope(sealed).header.t).toBe(5);
      expect(await openRunState(sealed, { keys, id: 'u' })).toBe(state);
    }
  });

  it('opens for its own id, context and keys only, and unchanged', async () => {
    const sealed = await sealRunState(state, {
      keys,
      id: 'u',
      context: { tenant: 'a' },
      suite: 'XAES-256-GCM',
    });
    expect(await openRunState(sealed, { keys, id: 'u', context: { tenant: 'a' } })).toBe(state);
    for (const other of [{ id: 'v', context: { tenant: 'a' } }, { id: 'u' }]) {
      expect(await failure(() => openRunState(sealed, { keys, ...other }))).toEqual(
        coded('ERR_COMMITMENT', /a different id or context/),
      );
    }
    const stranger = keyring({ current: await generateKey() });
    expect(await failure(() => openRunState(sealed, { keys: stranger, id: 'u' }))).toEqual(
      coded('ERR_KEY_UNKNOWN', /"kek"/),
    );
    const at = sealed.indexOf('.', 5) + 60;
    const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1);
    expect(await failure(() => openRunState(changed, { keys, id: 'u', context: { tenant: 'a' } }))).toEqual(
      coded('ERR_AUTHENTICATION', /changed after it was sealed/),
    );
  });

  describe('has a lifetime', () => {
    const day = 86_400_000;
    const seal = (more: object): Promise<string> =>
      sealRunState(state, { keys, id: 'u', clock: () => 1_000 * day, ...more });
    const at = (days: number, more: object = {}): { keys: Keyring; id: string; clock: () => number } => ({
      keys,
      id: 'u',
      clock: () => Math.round(days * day),
      ...more,
    });
    const over = coded('ERR_EXPIRED', /the state has expired/);

    it('that the sealer sets and every opener respects', async () => {
      const sealed = await seal({ expireAfter: '7d' });
      expect(await readRunState(sealed, at(1_006.9))).toEqual({
        state,
        sealedAt: 1_000 * day,
        expiresAt: 1_007 * day,
      });
      for (const open of [openRunState, readRunState]) {
        expect(await failure(() => open(sealed, at(1_007)))).toEqual(over);
        expect(await failure(() => open(sealed, at(1_007, { maxAge: '30d' })))).toEqual(over);
      }
    });

    it('that the opener can shorten, also for states without one', async () => {
      const sealed = await seal({});
      expect(await openRunState(sealed, at(9_000))).toBe(state);
      expect(await readRunState(sealed, at(1_000, { maxAge: '1d' }))).toEqual({
        state,
        sealedAt: 1_000 * day,
        expiresAt: undefined,
      });
      expect(await failure(() => openRunState(sealed, at(1_001, { maxAge: '1d' })))).toEqual(over);
      const long = await seal({ expireAfter: '7d' });
      expect(await failure(() => openRunState(long, at(1_001, { maxAge: '1d' })))).toEqual(over);
    });

    it('that cannot be extended in the header, and does not begin in the future', async () => {
      const sealed = await seal({ expireAfter: '7d' });
      const parts = sealed.split('.');
      const header = JSON.parse(Buffer.from(parts[1] as string, 'base64url').toString()) as object;
      const later = Buffer.from(JSON.stringify({ ...header, e: 9_000 * day })).toString('base64url');
      const forged = [parts[0], later, ...parts.slice(2)].join('.');
      expect(await failure(() => openRunState(forged, at(1_001)))).toEqual(
        coded('ERR_AUTHENTICATION', /changed after it was sealed/),
      );
      expect(await openRunState(sealed, at(1_000 - 60_000 / day))).toBe(state);
      expect(await failure(() => openRunState(sealed, at(1_000 - 60_001 / day)))).toEqual(
        coded('ERR_CLOCK', /sealed in the future/),
      );
    });

    it('given as a duration, with a clock that gives a time', async () => {
      for (const [act, rule] of [
        [() => seal({ expireAfter: '0d' }), /expireAfter must be a positive/],
        [() => openRunState('x', at(1, { maxAge: 'soon' })), /maxAge must be a positive/],
        [() => openRunState('x', at(1, { clock: 5 })), /clock must be a function/],
        [() => seal({ clock: 5 }), /clock must be a function/],
      ] as const) {
        expect(await failure(act)).toEqual(coded('ERR_INVALID_OPTION', rule));
      }
      expect(await failure(() => seal({ clock: () => Number.NaN }))).toEqual(
        coded('ERR_CLOCK', /Unix milliseconds/),
      );
    });
  });

  it('is never accepted as an item of the session, or the reverse', async () => {
    const inner = new MemorySession({ sessionId: 'u' });
    await wrapSession(inner, [encrypt({ keys })]).addItems([userMessage('a')]);
    const [record] = await inner.getItems();
    const item = envelopeText(record as AgentInputItem) as string;
    expect(await failure(() => openRunState(item, { keys, id: 'u' }))).toEqual(
      coded('ERR_COMMITMENT', /was replaced/),
    );
  });

  it('checks its arguments', async () => {
    expect(await failure(() => sealRunState('x', { keys, id: 'u' }))).toEqual(
      coded('ERR_INVALID_OPTION', /state must be/),
    );
    expect(await failure(() => sealRunState(state, { keys, id: '' }))).toEqual(
      coded('ERR_INVALID_OPTION', /id must be/),
    );
    expect(await failure(() => sealRunState(state, { id: 'u' } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /keys must be/),
    );
    expect(await failure(() => sealRunState(state, { keys, id: 'u', suite: 'X' as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /suite/),
    );
    expect(await failure(() => openRunState(state, { keys, id: 'u' }))).toEqual(
      coded('ERR_MALFORMED', /not a valid sr1/),
    );
    expect(await failure(() => openRunState(1 as never, { keys, id: 'u' }))).toEqual(
      coded('ERR_INVALID_OPTION', /^openRunState: sealed must be a text of sealRunState/),
    );
    expect(await failure(() => openRunState('x', { keys, id: 1 as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /^openRunState: id must be a non-empty text/),
    );
    expect(await failure(() => openRunState('x', { keys, id: 'u', ttl: 1 } as never))).toEqual(
      coded(
        'ERR_INVALID_OPTION',
        /^openRunState: unknown option "ttl"\. Known: keys, id, context, clock, maxAge\./,
      ),
    );
    expect(await failure(() => sealRunState(state, { keys, id: 'u', ttl: 1 } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /^sealRunState: unknown option "ttl"/),
    );
    const sealed = await sealRunState(state, { keys, id: 'u' });
    const withoutKey = sealed.split('.').slice(0, 3).join('.');
    for (const text of [withoutKey, sealClear({}, state)]) {
      expect(await failure(() => openRunState(text, { keys, id: 'u' }))).toEqual(
        coded(
          'ERR_NOT_SEALED',
          /^openRunState: .* it has no data key\. Seal states before you store them\.$/,
        ),
      );
    }
  });

  it('carries the time of its sealing in whole milliseconds, and leaves no data key in memory', async () => {
    const { crypto } = globalThis;
    const made: Uint8Array[] = [];
    vi.spyOn(crypto, 'getRandomValues').mockImplementation((bytes) => {
      if (bytes instanceof Uint8Array && bytes.length === 32) made.push(bytes);
      return randomFillSync(bytes);
    });
    onTestFinished(() => void vi.restoreAllMocks());
    const sealed = await sealRunState(state, { keys, id: 'u', clock: () => 5.7 });
    expect(parseEnvelope(sealed).header.t).toBe(5);
    expect(made.length).toBeGreaterThan(0);
    expect(made[0]).toEqual(new Uint8Array(32));
  });
});

describe('migrate', () => {
  it('seals the plaintext of a session through the whole stack, in its place', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    await inner.addItems([userMessage('old 1'), userMessage('sr1.old 2')]);
    const layer = {
      name: 'upper',
      write: (entries: readonly { item: AgentInputItem; header: object }[]) =>
        entries.map((entry) => ({ ...entry, header: { ...entry.header, 'x-seen': 1 } })),
    };
    const session = wrapSession(inner, [{ ...layer, stamps: true }, migrating()]);
    await session.addItems([userMessage('new')]);
    expect(await migrate(session)).toEqual({ sessions: 1, sealed: 2, already: 1, held: [] });
    const records = await inner.getItems();
    expect(records.map((record) => parseEnvelope(envelopeText(record) as string).header['x-seen'])).toEqual([
      1, 1, 1,
    ]);
    expect(await wrapSession(inner, [encrypt({ keys })]).getItems()).toEqual([
      userMessage('old 1'),
      userMessage('sr1.old 2'),
      userMessage('new'),
    ]);
    expect(await migrate(session)).toEqual({ sessions: 1, sealed: 0, already: 3, held: [] });
  });

  it('goes through all sessions of a store with progress', async () => {
    const store = openSqlite(':memory:');
    for (const id of ['1', '2']) await store.session(id).addItems([userMessage(id)]);
    const progress: unknown[] = [];
    await migrate(wrapStore(store, [migrating()]), { onProgress: (now) => progress.push(now) });
    expect(progress).toEqual([
      { sessions: 1, sealed: 1, already: 0, held: [] },
      { sessions: 2, sealed: 2, already: 0, held: [] },
    ]);
    expect(
      await wrapStore(store, [encrypt({ keys })])
        .session('2')
        .getItems(),
    ).toEqual([userMessage('2')]);
    await store.close();
  });

  it('refuses when plaintext is not allowed now, and where it would not be atomic', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    await inner.addItems([userMessage('old')]);
    expect(await failure(() => migrate(wrapSession(inner, [encrypt({ keys })])))).toEqual(
      coded(
        'ERR_NOT_SEALED',
        /^migrate: encrypt\(\) does not accept plaintext\. Give it unsafeAllowPlaintext: \{ until \} for the migration\.$/,
      ),
    );
    const plain: Session = {
      getSessionId: () => inner.getSessionId(),
      getItems: (limit) => inner.getItems(limit),
      addItems: (items) => inner.addItems(items),
      popItem: () => inner.popItem(),
      clearSession: () => inner.clearSession(),
    };
    expect(await failure(() => migrate(wrapSession(plain, [migrating()])))).toEqual(
      coded('ERR_UNSUPPORTED', /^migrate: session "s" has no transactions/),
    );
    expect(await inner.getItems()).toEqual([userMessage('old')]);
  });

  it('writes nothing when no record is plain', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrapSession(inner, [migrating()]);
    await session.addItems([userMessage('a')]);
    const transactions = vi.spyOn(inner, 'applyHistoryTransaction');
    expect(await migrate(session)).toEqual({ sessions: 1, sealed: 0, already: 1, held: [] });
    expect(transactions).not.toHaveBeenCalled();
  });

  it('passes its call to the layers of a session, without state of an earlier write', async () => {
    const calls: SessionCall[] = [];
    const watching: SessionLayer = {
      name: 'watching',
      write(entries, call) {
        calls.push(call);
        return entries;
      },
    };
    const layers = [watching, { name: 'without write' }, migrating({ dekStore: 'inline' })];
    const memory = new MemorySession({ sessionId: 's' });
    const store = openSqlite(':memory:');
    for (const inner of [memory, store.session('s')]) {
      await inner.addItems([userMessage('a')]);
      const session = wrapSession(inner, layers);
      expect(await migrate(session)).toEqual({ sessions: 1, sealed: 1, already: 0, held: [] });
    }
    for (const call of calls) {
      expect(call).toMatchObject({
        kind: 'migrate',
        sessionId: 's',
        routesByRunContext: false,
        sealed: true,
        result: {},
      });
      expect(call.layers).toHaveLength(3);
      expect(call.skipped()).toBeUndefined();
      expect(await call.lookBack(() => true)).toBeUndefined();
    }
    expect(calls.map((call) => call.dekStore !== undefined)).toEqual([false, true]);
    await store.close();
  });
});

describe('exportSession', () => {
  it('gives plain items, or the records as they are stored', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrapSession(inner, [encrypt({ keys })]);
    const withBytes = {
      type: 'message',
      role: 'user',
      content: [{ type: 'input_text', text: 'a', providerData: { raw: new Uint8Array([1, 2]) } }],
    } as AgentInputItem;
    await session.addItems([withBytes]);
    const open = await exportSession(session, { open: true });
    expect(open.items).toEqual([withBytes]);
    const json = JSON.stringify(open);
    expect(json).toContain('{"$bytes":"AQI="}');
    const head = {
      type: 'strongroom/export',
      version: 1,
      sessionId: 's',
      exportedAt: expect.any(Number) as number,
      open: true,
    };
    const details = [{ at: expect.any(Number) }];
    expect(open).toEqual({ ...head, items: [withBytes], details, toJSON: expect.any(Function) as unknown });
    expect(JSON.parse(json)).toEqual({
      ...head,
      details,
      items: [
        {
          ...withBytes,
          content: [{ type: 'input_text', text: 'a', providerData: { raw: { $bytes: 'AQI=' } } }],
        },
      ],
    });
    const sealed = await exportSession(session, { open: false });
    expect(sealed.items).toEqual(await inner.getItems());
    expect(await failure(() => exportSession(session, {} as never))).toEqual(
      coded('ERR_INVALID_OPTION', /^exportSession: open must be true or false/),
    );
  });

  it('omits shredded records, and includes records that are not sealed yet', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const dekStore = memoryDekStore();
    const session = wrapSession(inner, [migrating({ dekStore })]);
    await session.addItems([userMessage('gone')]);
    await dekStore.destroy('s');
    await inner.addItems([userMessage('plain')]);
    const reader = wrapSession(inner, [migrating({ dekStore })]);
    expect((await exportSession(reader, { open: true })).items).toEqual([userMessage('plain')]);
  });

  it('throws for a record that does not open, instead of omitting it', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    await wrapSession(inner, [encrypt({ keys })]).addItems([userMessage('a')]);
    const stranger = wrapSession(inner, [encrypt({ keys: keyring({ current: await generateKey() }) })]);
    expect(await failure(() => exportSession(stranger, { open: true }))).toEqual(
      coded('ERR_KEY_UNKNOWN', /"kek"/),
    );
    const lenient = wrapSession(inner, [
      encrypt({ keys: keyring({ current: await generateKey() }), onUndecryptable: () => 'skip' }),
    ]);
    expect(await lenient.getItems()).toEqual([]);
    expect(await failure(() => exportSession(lenient, { open: true }))).toEqual(
      coded('ERR_KEY_UNKNOWN', /"kek"/),
    );
  });
});

describe('readPythonSession', () => {
  it.each(Object.entries(python.sessions))(
    'opens items that Python encrypted, with %s as key',
    async (_, session) => {
      const { items, unmapped } = readPythonSession(session);
      expect(items).toEqual(python.expected);
      expect(unmapped).toEqual([{ index: 6, type: 'web_search_call' }]);
      const memory = new MemorySession();
      await memory.applyHistoryTransaction({
        operationId: 'import',
        transaction: { type: 'append_items', items: [...items] },
      });
      expect(await memory.getItems()).toEqual(items);
    },
  );

  it('refuses another key, another session, a changed token and plaintext', async () => {
    const session = python.sessions['a passphrase'];
    expect(await failure(() => readPythonSession({ ...session, encryptionKey: 'wrong' }))).toEqual(
      coded('ERR_AUTHENTICATION', /Item 1 cannot be decrypted/),
    );
    expect(await failure(() => readPythonSession({ ...session, sessionId: 'other' }))).toEqual(
      coded('ERR_AUTHENTICATION', /the encryption key or the session id is wrong/),
    );
    const [first] = session.items;
    const payload = first?.payload ?? '';
    const changed = {
      ...first,
      payload: payload.slice(0, 40) + (payload[40] === 'A' ? 'B' : 'A') + payload.slice(41),
    };
    const cases: [unknown, RegExp, Parameters<typeof coded>[0]][] = [
      [changed, /cannot be decrypted/, 'ERR_AUTHENTICATION'],
      [{ ...first, v: 2 }, /version/, 'ERR_UNSUPPORTED'],
      [{ ...first, payload: 'AAAA' }, /Fernet/, 'ERR_MALFORMED'],
      ['text', /not an object/, 'ERR_MALFORMED'],
      [{ role: 'user', content: 'x' }, /plain text/, 'ERR_NOT_SEALED'],
    ];
    for (const [item, message, code] of cases) {
      expect(await failure(() => readPythonSession({ ...session, items: [item] }))).toEqual(
        coded(code, message),
      );
    }
    const plain = readPythonSession({ ...session, items: [{ role: 'user', content: 'x' }], plaintext: true });
    expect(plain.items).toEqual([{ type: 'message', role: 'user', content: 'x' }]);
  });

  const [first] = python.sessions['a passphrase'].items as { payload: string }[];

  it('checks its options', async () => {
    const session = python.sessions['a passphrase'];
    const cases: [object, RegExp][] = [
      [{ encryptionKey: '' }, /encryptionKey must be a non-empty text/],
      [{ encryptionKey: 1 }, /encryptionKey must be a non-empty text/],
      [{ sessionId: 1 }, /sessionId must be a text/],
      [{ items: {} }, /items must be an array/],
      [{ key: 'k' }, /unknown option "key"/],
    ];
    for (const [change, message] of cases) {
      expect(await failure(() => readPythonSession({ ...session, ...change }))).toEqual(
        coded('ERR_INVALID_OPTION', message),
      );
    }
  });

  it('reports the error of each record with its position', async () => {
    const session = python.sessions['a passphrase'];
    const payload = first?.payload ?? '';
    const token = Buffer.from(payload, 'base64url');
    const withVersion = Buffer.from(token);
    withVersion[0] = 0x81;
    const cases: [unknown, string, Parameters<typeof coded>[0]][] = [
      [null, 'it is not an object', 'ERR_MALFORMED'],
      [[], 'it is not an object', 'ERR_MALFORMED'],
      [{ ...first, payload: 1 }, 'it has no payload', 'ERR_MALFORMED'],
      [{ ...first, kid: 'other' }, 'has an unknown version', 'ERR_UNSUPPORTED'],
      [
        { ...first, payload: withVersion.toString('base64url') },
        'its payload is not a Fernet token',
        'ERR_MALFORMED',
      ],
      [
        { ...first, payload: token.subarray(0, 72).toString('base64url') },
        'its payload is not a Fernet token',
        'ERR_MALFORMED',
      ],
      [
        { ...first, payload: token.subarray(0, 73).toString('base64url') },
        'cannot be decrypted',
        'ERR_AUTHENTICATION',
      ],
      [{ ...first, payload: `${payload}===` }, 'its payload is not a Fernet token', 'ERR_MALFORMED'],
    ];
    for (const [item, what, code] of cases) {
      const error = await failure(() => readPythonSession({ ...session, items: [first, item] }));
      expect(error).toEqual(coded(code, new RegExp(`^Item 2 .*${what}`)));
    }
    const { items } = readPythonSession({
      ...session,
      items: [{ ...first, payload: token.toString('base64url') }],
    });
    expect(items).toEqual(python.expected.slice(0, 1));
  });

  it.each([
    ['no JSON', 'text', 'it is not JSON'],
    ['no object', '[]', 'its payload is not an object'],
    ['null', 'null', 'its payload is not an object'],
    ['a number', '1', 'its payload is not an object'],
    ['no UTF-8', '\u00ff', 'its token is authentic but damaged'],
  ])('refuses an authentic token of %s', async (_, plain, what) => {
    const payload = fernet('k', 's', Buffer.from(plain, plain === '\u00ff' ? 'latin1' : 'utf8'));
    const items = [{ __enc__: 1, v: 1, kid: 'hkdf-v1', payload }];
    const error = await failure(() => readPythonSession({ encryptionKey: 'k', sessionId: 's', items }));
    expect(error).toEqual(coded('ERR_MALFORMED', new RegExp(what)));
  });

  it('names the type of an item that it does not map', () => {
    const items = [{ type: 'other' }, { type: 7 }, { role: 'user' }];
    const given = { encryptionKey: 'k', sessionId: 's', items, plaintext: true };
    expect(readPythonSession(given)).toEqual({
      items: [],
      unmapped: [
        { index: 0, type: 'other' },
        { index: 1, type: 'number' },
        { index: 2, type: 'message' },
      ],
    });
  });
});

/** A Fernet token under the key that Python derives. */
function fernet(encryptionKey: string, sessionId: string, plain: Buffer): string {
  const info = 'agents.session-store.hkdf.v1';
  const key = Buffer.from(hkdfSync('sha256', encryptionKey, sessionId, info, 32));
  const iv = Buffer.alloc(16, 1);
  const cipher = createCipheriv('aes-128-cbc', key.subarray(16), iv);
  const head = Buffer.concat([
    Buffer.from([0x80]),
    Buffer.alloc(8),
    iv,
    cipher.update(plain),
    cipher.final(),
  ]);
  const tag = createHmac('sha256', key.subarray(0, 16)).update(head).digest();
  return Buffer.concat([head, tag]).toString('base64url');
}

describe('an import', () => {
  it('of an item with a time of the future gives it the time of the import', async () => {
    const now = 1_700_000_000_000;
    const clock = (): number => now;
    await using store = openSqlite(':memory:', { clock });
    const sessions = wrapStore(store, [expire({ after: '30d', clock }), encrypt({ keys })]);
    const document = {
      type: 'strongroom/export',
      version: 1,
      open: true,
      items: [userMessage('before'), userMessage('ahead')],
      details: [{ at: now - 1_000 }, { at: now + 3_600_000 }],
    };
    expect(await importSession(sessions.session('user'), document)).toEqual({ written: 2, already: 0 });
    const { details } = await exportSession(sessions.session('user'), { open: true });
    expect(details?.map((detail) => detail?.at)).toEqual([now - 1_000, now]);
  });
});
