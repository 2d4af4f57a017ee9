import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { derivedId, isReserved, openDerived, parseDerivedId } from '../src/derived-id.ts';
import { carrierOf, envelopeText } from '../src/protocol/envelope.ts';
import { branches } from '../src/history/branches.ts';
import { sessionId } from '../src/history/session-id.ts';
import { reencrypt } from '../src/operations/reencrypt.ts';
import { sessionDekStore } from '../src/keys/session-dek-store.ts';
import type { DekStore } from '../src/keys/dek-store.ts';
import { shred } from '../src/operations/shred.ts';
import { encrypt } from '../src/layers/encrypt.ts';
import { eraseSubject, exportSubject } from '../src/operations/retention.ts';
import type { StoreSession } from '../src/stores/session.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import type { Store } from '../src/stores/store.ts';
import { fixedKeyring } from '../src/testing/fixed-keyring.ts';
import { wrapStore } from '../src/wrap-store.ts';

const keys = fixedKeyring();

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const derived = fc.record(
  {
    kind: fc.constantFrom('keys', 'branch', 'vault', 'a'),
    of: fc.oneof(
      fc.string({ unit: fc.constantFrom('~', '%', 'a', '7E', ':', 'keys'), minLength: 1 }),
      fc.constantFrom('~keys~~a', 'a:keys', '~', '~~'),
    ),
    name: fc.string({ unit: fc.constantFrom('~', '%', 'a', '%7E', '7E', '25'), minLength: 1 }),
  },
  { requiredKeys: ['kind', 'of'] },
);

const REFUSED: Error = expect.objectContaining({
  code: 'ERR_INVALID_OPTION',
  message: expect.stringContaining('are reserved for sessions that belong to other sessions') as string,
}) as Error;

describe('a derived id', () => {
  test('parses to its parts, and different parts give different ids', () => {
    fc.assert(
      fc.property(derived, derived, (one, two) => {
        expect(parseDerivedId(derivedId(one))).toEqual(one);
        expect(isReserved(derivedId(one))).toBe(true);
        expect(derivedId(one) === derivedId(two)).toBe(JSON.stringify(one) === JSON.stringify(two));
      }),
    );
  });

  test('never equals an id of sessionId()', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1 }), (parts) => {
        expect(isReserved(sessionId(...(parts as [string])))).toBe(false);
      }),
    );
    for (const id of ['~', '~~', '~Keys~~a', '~keys', 'a~keys~~a', '~1~~a', '']) {
      expect(parseDerivedId(id)).toBeUndefined();
      expect(isReserved(id)).toBe(false);
    }
    expect(parseDerivedId('~keys~%7e~a')).toBeUndefined();
    expect(isReserved('~keys~%7e~a')).toBe(true);
  });

  test.each([
    [{ kind: 'Keys', of: 'a' }, 'derivedId(): kind must be 1 to 16 small letters'],
    [{ kind: '', of: 'a' }, 'derivedId(): kind must be 1 to 16 small letters'],
    [{ kind: 'keys', of: '' }, 'derivedId(): of must be a non-empty string'],
    [{ kind: 'keys', of: '\ud800' }, 'derivedId(): of must be well-formed text'],
    [{ kind: 'keys', of: 'a', name: '\ud800' }, 'derivedId(): name must be well-formed text'],
  ])('is not made of %j', (parts, sentence) => {
    expect(() => derivedId(parts)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(sentence) as string,
      }) as Error,
    );
  });

  test('is allowed once, for the function that opens it', () => {
    const store = openSqlite(':memory:');
    const id = derivedId({ kind: 'keys', of: 'alice' });
    expect(() => store.session(id)).toThrow(REFUSED);
    openDerived(id, () => {
      expect(() => store.session(derivedId({ kind: 'keys', of: 'bob' }))).toThrow(REFUSED);
      openDerived('other', () => expect(() => store.session(id)).toThrow(REFUSED));
      store.session(id);
    });
    expect(() =>
      openDerived(id, () => {
        throw new Error('no session');
      }),
    ).toThrow('no session');
    expect(() => store.session(id)).toThrow(REFUSED);
  });
});

describe('users cannot open', () => {
  test('the data keys of another user, with any id', async () => {
    const store = openSqlite(':memory:');
    const stackOf = (): ReturnType<typeof wrapStore> =>
      wrapStore(store, [encrypt({ keys, dekStore: sessionDekStore((id) => store.session(id)) })]);
    const sessions = stackOf();
    await sessions.session('alice').addItems([message('hello')]);
    for (const id of ['~keys~~alice', '~keys~~~keys~~alice', '~keys~x~alice']) {
      expect(() => sessions.session(id)).toThrow(REFUSED);
      await expect(sessions.deleteSession(id)).rejects.toThrow(REFUSED);
      await expect(store.deleteSession(id)).rejects.toThrow(REFUSED);
      await expect(sessions.appendMany?.([{ id, items: [message('x')] }])).rejects.toThrow(REFUSED);
    }
    for (const id of [sessionId('alice', 'keys'), 'alice:keys', 'alice~keys~']) {
      await sessions.session(id).addItems([message('mine')]);
      await sessions.session(id).clearSession();
      await sessions.deleteSession(id);
    }
    expect(await stackOf().session('alice').getItems()).toEqual([message('hello')]);
    await store.close();
  });

  test('a branch of another user, and listings show it only on request', async () => {
    const store = wrapStore(openSqlite(':memory:'), [encrypt({ keys })]);
    await store.session('alice', { subject: 'a' }).addItems([message('hello')]);
    await branches(store, 'alice').create('try');
    for (const id of ['alice~branch~try', 'alice:branch:try'])
      await store.session(id).addItems([message('x')]);
    expect((await branches(store, 'alice').list()).map(({ name }) => name)).toEqual(['main', 'try']);
    expect(await branches(store, 'alice').session('try').getItems()).toEqual([message('hello')]);
    const listed = async (derived: boolean): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { id } of store.sessions({ derived })) ids.push(id);
      return ids.sort();
    };
    expect(await listed(false)).toEqual(['alice', 'alice:branch:try', 'alice~branch~try']);
    expect(await listed(true)).toContain('~branch~try~alice');
    await branches(store, 'alice').delete('try');
    expect((await branches(store, 'alice').list()).map(({ name }) => name)).toEqual(['main']);
    await store.close();
  });
});

test('functions on all sessions include branches and exclude data keys', async () => {
  const store = openSqlite(':memory:');
  const sessions = wrapStore(store, [
    encrypt({ keys, dekStore: sessionDekStore((id) => store.session(id)) }),
  ]);
  await sessions.session('alice').addItems([message('hello')]);
  const branch = derivedId({ kind: 'branch', of: 'alice', name: 'try' });
  await sessions.session(branch, { subject: 'a', derived: true }).addItems([message('branch')]);
  expect(await reencrypt(sessions, { grace: 0 })).toMatchObject({ sessions: 2, entries: 2 });
  const exported = [];
  for await (const session of exportSubject(sessions, 'a')) exported.push(session);
  expect(exported).toEqual([
    {
      id: branch,
      kind: 'branch',
      root: 'alice',
      items: [message('branch')],
      details: [{ at: expect.any(Number) as number }],
    },
  ]);
  expect(await eraseSubject(sessions, 'a')).toMatchObject({
    deleted: [derivedId({ kind: 'keys', of: branch }), branch],
    held: [],
  });
  expect(await sessions.session('alice').getItems()).toEqual([message('hello')]);
  await store.close();
});

test('data keys of an earlier version stay readable, and move to ids that users cannot choose', async () => {
  const kept = new Map<string, MemorySession>();
  const open = (id: string): MemorySession => {
    const session = kept.get(id) ?? new MemorySession({ sessionId: id });
    kept.set(id, session);
    return session;
  };
  const earlier = sessionDekStore(open, { keySessionId: (id) => `${id}:keys` });
  const record = { sessionId: 'alice', did: 'd', kid: 'k', wrapped: 'w', createdAt: 1 };
  await earlier.put(record);
  expect([...kept.keys()]).toEqual(['alice:keys']);
  const present = sessionDekStore(open);
  expect(await present.get('alice', 'd')).toBeUndefined();
  for await (const key of earlier.list({ sessionId: 'alice' })) await present.put(key);
  expect(await present.get('alice', 'd')).toEqual(record);
  expect([...kept.keys()]).toEqual(['alice:keys', '~keys~~alice']);
});

async function wrappedIn(dekStore: DekStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { wrapped } of dekStore.list({ sessionId: 'alice' })) found.push(wrapped);
  return found;
}

test('a shredded session stays shredded when its keys move, even with copies of them', async () => {
  const store = openSqlite(':memory:');
  const factory = (id: string): StoreSession => store.session(id);
  const earlier = sessionDekStore(factory, { keySessionId: (id) => `${id}:keys` });
  const stackOf = (dekStore: DekStore): Store<Session> => wrapStore(store, [encrypt({ keys, dekStore })]);
  const alice = stackOf(earlier).session('alice');
  await alice.addItems([message('secret')]);
  const [record] = await store.session('alice').getItems();
  const [wrapped] = await wrappedIn(earlier);
  await shred(alice);
  await alice.addItems([message('later')]);

  // As docs/migration.md says; a second time does no harm.
  const log = await store.session('alice:keys').getItems();
  const next = store.session(derivedId({ kind: 'keys', of: 'alice' }), { derived: true });
  for (let time = 0; time < 2; time++) await next.addItems(log);
  await store.deleteSession('alice:keys');
  const present = sessionDekStore(factory);
  expect(await stackOf(present).session('alice').getItems()).toEqual([message('later')]);
  expect(await wrappedIn(present)).toHaveLength(1);

  // The row from a backup, as it was and with its data key in it.
  const text = envelopeText(record as AgentInputItem) as string;
  for (const copy of [text, `${text}.${wrapped}`]) {
    await store.session('alice').clearSession();
    await store.session('alice').addItems([carrierOf(copy)]);
    const strict = wrapStore(store, [encrypt({ keys, dekStore: present, onUndecryptable: () => 'throw' })]);
    await expect(strict.session('alice').getItems()).rejects.toMatchObject({ code: 'ERR_SHREDDED' });
  }
  await store.close();
});
