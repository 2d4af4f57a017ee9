import { DatabaseSync } from 'node:sqlite';
import { MemorySession, type Session } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import { archiveHistory, recordUsage, sessionUsage, trimHistory } from '../src/history/index.ts';
import {
  audit,
  encrypt,
  expire,
  fallback,
  generateKey,
  keyring,
  redact,
  wrapSession,
  wrapStore,
  type AuditEvent,
} from '../src/index.ts';
import { resilient } from '../src/layers/resilient.ts';
import { sessionDekStore } from '../src/keys/session-dek-store.ts';
import { readPythonStore } from '../src/operations/python-store.ts';
import { patternRecognizer } from '../src/redaction/pattern-recognizer.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { faultySession } from '../src/testing/faulty-session.ts';
import { temporaryFolder } from './stores/folder.ts';

const file = temporaryFolder();
const keys = keyring({ current: await generateKey() });
const operators = { DEFAULT: { type: 'pseudonymize', key: new Uint8Array(32).fill(3) } } as const;
const user = (content: string) => ({ type: 'message' as const, role: 'user' as const, content });

async function usageOf(price: never): Promise<unknown> {
  await using store = openSqlite(':memory:');
  const chat = store.session('chat');
  await chat.addItems([user('Hello')]);
  const usage = { requests: 1, inputTokens: 3, outputTokens: 2, totalTokens: 5 };
  await recordUsage(chat, { state: { usage }, rawResponses: [] });
  return await sessionUsage(chat, { price });
}

async function python(options: object, more: object = {}): Promise<unknown> {
  const path = file('python.db');
  const database = new DatabaseSync(path);
  database.exec(`CREATE TABLE IF NOT EXISTS agent_sessions (session_id TEXT PRIMARY KEY, created_at TIMESTAMP, updated_at TIMESTAMP);
    CREATE TABLE IF NOT EXISTS agent_messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT, message_data TEXT, created_at TIMESTAMP);
    INSERT OR IGNORE INTO agent_sessions VALUES ('s', '2026-01-01 00:00:00', '2026-01-01 00:00:00');
    INSERT OR IGNORE INTO agent_messages VALUES (1, 's', '{"role":"user","content":"Hello"}', '2026-01-01 00:00:00');`);
  database.close();
  await using source = readPythonStore({ sqlite: path }, more);
  await using to = openSqlite(':memory:');
  return await source.migrate(to, options);
}

async function read(session: Session): Promise<unknown> {
  return session.getItems();
}

async function changed(onUndecryptable: never): Promise<unknown> {
  const inner = new MemorySession({ sessionId: 's' });
  await wrapSession(inner, [encrypt({ keys })]).addItems([user('Hello')]);
  const other = keyring({ current: await generateKey() });
  return read(wrapSession(inner, [encrypt({ keys: other, onUndecryptable })]));
}

async function swapped(onIntegrity: never): Promise<unknown> {
  const inner = new MemorySession({ sessionId: 's' });
  const session = wrapSession(inner, [encrypt({ keys, integrity: 'sequence' })]);
  await session.addItems([user('One'), user('Two')]);
  const [one, two] = await inner.getItems();
  const moved = new MemorySession({ sessionId: 's', initialItems: [two!, one!] });
  return read(wrapSession(moved, [encrypt({ keys, integrity: 'sequence', onIntegrity })]));
}

async function failingOnce(retryOn: never): Promise<unknown> {
  const faulty = faultySession(new MemorySession({ sessionId: 's' }));
  faulty.arm({ member: 'getItems', when: 'before' });
  return read(wrapSession(faulty.session, [resilient({ retryOn, retries: 1 })]));
}

/** Functions of the application that return at once, by what they would decide with a promise. */
const callbacks: readonly [string, (asynchronous: never) => Promise<unknown>][] = [
  ['price', usageOf],
  ['retryOn', failingOnce],
  ['only', async (only) => python({ only })],
  ['id', async (id) => python({ id })],
  ['subject', async (subject) => python({ subject })],
  [
    'validate',
    async (validate) => {
      const recognizer = patternRecognizer({ entity: 'CASE', pattern: /case-\d+/, validate });
      const session = wrapSession(new MemorySession(), [redact({ entities: [], recognizers: [recognizer] })]);
      await session.addItems([user('See case-4711.')]);
    },
  ],
  [
    'keySessionId',
    async (keySessionId) => sessionDekStore(() => new MemorySession(), { keySessionId }).get('s', 'd'),
  ],
  ['factory', async (factory) => sessionDekStore(factory).get('s', 'd')],
  ['pin', async (pin) => trimHistory({ maxItems: 1, pin })([user('One'), user('Two')], [])],
  [
    'vault',
    async (vault) =>
      wrapSession(new MemorySession(), [redact({ operators, vault })]).addItems([
        user('Write to jane@acme.com.'),
      ]),
  ],
  ['session', async (backup) => read(wrapSession(new MemorySession(), [fallback(backup)]))],
];

describe('a function that has to return at once', () => {
  it.each(callbacks)('is refused when it returns a promise: %s', async (name, use) => {
    const refused = {
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(name) as string,
    };
    await expect(use((async () => true) as never)).rejects.toMatchObject(refused);
    // Nobody waits for it: its error must not end the process.
    await expect(use((async () => Promise.reject(new Error('late'))) as never)).rejects.toMatchObject(
      refused,
    );
  });

  it('is not refused when it returns a value, also one with fields', async () => {
    await expect(usageOf((() => 3) as never)).resolves.toMatchObject({ cost: 3 });
    await expect(usageOf((() => '3') as never)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await expect(failingOnce((() => true) as never)).resolves.toEqual([]);
    await expect(python({ only: () => false })).resolves.toMatchObject({ sessions: 0 });
    await expect(changed((() => 'skip') as never)).resolves.toEqual([]);
    await expect(swapped((() => 'ignore') as never)).resolves.toHaveLength(2);
  });

  it('is refused by its own error where it has one, and the promise is dropped', async () => {
    const late = (async () => Promise.reject(new Error('late'))) as never;
    const inner = new MemorySession();
    await expect(
      (async () => trimHistory({ maxTokens: 1, tokenCounter: late })([user('One'), user('Two')], []))(),
    ).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('and not a promise') as string,
    });
    await expect(changed(late)).rejects.toMatchObject({ code: 'ERR_KEY_UNKNOWN' });
    await expect(swapped(late)).rejects.toMatchObject({ code: 'ERR_AUTHENTICATION' });
    await expect(
      wrapSession(inner, [expire({ after: '1d', clock: late })]).addItems([user('One')]),
    ).rejects.toMatchObject({ code: 'ERR_CLOCK' });
  });

  it('makes an event without an actor when that is a promise', async () => {
    const events: AuditEvent[] = [];
    const layer = audit({
      sink: (event) => void events.push(event),
      actor: (async () => Promise.reject(new Error('late'))) as never,
    });
    await wrapSession(new MemorySession(), [layer]).getItems();
    expect(events.map(({ actor }) => actor)).toEqual([undefined]);
  });
});

describe('archiveHistory() into what holds no items of a conversation', () => {
  it.each(['~usage~~chat', '~vault~~chat', '~branches~~chat', '~keys~~chat', '~usage~~other'])(
    'is refused, and nothing is moved: %s',
    async (id) => {
      for (const layers of [[], [encrypt({ keys })]]) {
        await using own = wrapStore(openSqlite(':memory:'), layers);
        await using other = wrapStore(openSqlite(':memory:'), layers);
        for (const store of [own, other]) {
          const chat = own.session('chat');
          await chat.clearSession();
          await chat.addItems([user('One'), user('Two'), user('Three')]);
          const to = store.session(id, { derived: true });
          await expect(archiveHistory(chat, { before: 2, to })).rejects.toMatchObject({
            code: 'ERR_INVALID_OPTION',
            message: expect.stringContaining('holds no items of a conversation') as string,
          });
          expect(await chat.getItems()).toHaveLength(3);
        }
      }
    },
  );
});
