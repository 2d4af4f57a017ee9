import { describe, expect, it } from 'vitest';
import { branches, recordUsage, sessionUsage, subjectUsage, usageByTurn } from '../../src/history/index.ts';
import {
  audit,
  authorize,
  encrypt,
  generateKey,
  keyring,
  wrapStore,
  type AuditEvent,
  type CallOrigin,
  type Store,
} from '../../src/index.ts';
import { returnedSessions } from '../../src/operations/retention.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';

const keys = keyring({ current: await generateKey() });
const ANN = { actor: 'ann', purpose: 'request 7' } as const;

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

/** Reads of functions, by what they are called with: who calls. */
const reads: readonly [string, string[], (store: Store, origin: CallOrigin) => Promise<unknown>][] = [
  [
    'branches().current()',
    ['currentBranch chat'],
    async (store, origin) => branches(store, 'chat').current(origin),
  ],
  [
    'branches().list()',
    ['getItems chat', 'getItems ~branch~second~chat'],
    async (store, origin) => branches(store, 'chat').list(origin),
  ],
  [
    'sessionUsage()',
    ['getItems ~usage~~chat'],
    async (store, origin) => sessionUsage(store.session('chat'), origin),
  ],
  [
    'usageByTurn()',
    ['getItems ~usage~~chat', 'getItems chat'],
    async (store, origin) => usageByTurn(store.session('chat'), origin),
  ],
  [
    'subjectUsage()',
    ['sessions ', 'getItems ~usage~~chat'],
    async (store, origin) => subjectUsage(store, 'person-7', origin),
  ],
  ['returnedSessions()', ['checkKeys '], async (store, origin) => all(returnedSessions(store, origin))],
];

describe.each(reads)('%s', (_name, calls, read) => {
  const open = async (): Promise<{
    bare: Store;
    store: Store;
    events: AuditEvent[];
    refuse: (call: string) => void;
  }> => {
    const bare = openSqlite(':memory:');
    const events: AuditEvent[] = [];
    let refused = '';
    const store = wrapStore(bare, [
      audit({ sink: (event) => void events.push(event) }),
      authorize({ check: ({ kind, sessionId }) => `${kind} ${sessionId}` !== refused }),
      encrypt({ keys }),
    ]);
    const chat = store.session('chat', { subject: 'person-7' });
    await chat.addItems([{ type: 'message', role: 'user', content: 'Hello' }]);
    await branches(store, 'chat').create('second');
    const usage = { requests: 1, inputTokens: 3, outputTokens: 2, totalTokens: 5 };
    await recordUsage(chat, { state: { usage }, rawResponses: [] });
    events.length = 0;
    return { bare, store, events, refuse: (call) => void (refused = call) };
  };

  it('is seen by the layers, with the caller and the purpose', async () => {
    const { store, events } = await open();
    const named = await read(store, ANN);
    const seen = events.map(({ operation, sessionId, actor, purpose }) => [
      `${operation} ${sessionId}`,
      { actor, purpose },
    ]);
    expect(seen).toEqual(calls.map((call) => [call, ANN]));
    expect(named).toEqual(await read(store, {}));
    expect(events.slice(calls.length).map(({ operation, sessionId }) => `${operation} ${sessionId}`)).toEqual(
      calls,
    );
    await store.close();
  });

  it('is refused when the layers refuse it', async () => {
    const { store, refuse } = await open();
    for (const call of calls) {
      refuse(call);
      await expect(read(store, ANN)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    }
    await store.close();
  });

  it('takes no caller where no layer would see it, and none that is no text', async () => {
    const { bare, store } = await open();
    await expect(read(bare, ANN)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('is for authorize() and audit()') as string,
    });
    await expect(read(store, { actor: 7 as never })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('actor') as string,
    });
    await store.close();
  });
});
