import { RunContext, type AgentInputItem, type Session } from '@openai/agents';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  audit,
  authorize,
  cache,
  encrypt,
  generateKey,
  keyring,
  wrapStore,
  type AuditEvent,
  type Keyring,
  type Store,
} from '../../src/index.ts';
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
import { eraseSubject, exportSubject, retention } from '../../src/operations/retention.ts';
import { transfer } from '../../src/operations/transfer.ts';
import { branches } from '../../src/history/branches.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { CallKind, CallOrigin, SessionCall } from '../../src/layer.ts';

function user(text: string): AgentInputItem {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

const ORIGIN: CallOrigin = {
  runContext: new RunContext({ role: 'operator' }),
  actor: 'privacy team',
  purpose: 'request 4711',
};

interface Place {
  readonly store: Store;
  readonly session: Session;
  readonly keys: Keyring;
  readonly holdId: string;
}

type Work = (place: Place, origin: CallOrigin) => Promise<unknown>;

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of list) found.push(each);
  return found;
}

/** Another store, empty and without layers. */
async function withStore<T>(work: (other: Store) => Promise<T>): Promise<T> {
  await using other = openSqlite(':memory:');
  return await work(other);
}

/** What calls a function makes: on the session, on the whole store, or on the store and then on each session. */
const CALLS_OF = {
  session: ['s'],
  store: [''],
  both: ['', 's'],
  // Destroying the old keys, after a time of grace, is a call of its own.
  'both, twice': ['', 's', 's'],
};

/** Each function on a session or a store, by the kind that its calls have. `where`: which calls it makes. */
const FUNCTIONS: readonly [kind: CallKind, where: keyof typeof CALLS_OF, work: Work][] = [
  ['shred', 'session', ({ session }, o) => shred(session, o)],
  ['hold', 'session', ({ session }, o) => hold(session, { reason: 'case 7', ...o })],
  ['hold', 'store', ({ store }, o) => hold(store, { reason: 'case 7', sessionId: 's', ...o })],
  ['release', 'session', ({ session, holdId }, o) => release(session, holdId, o)],
  ['exportSession', 'session', ({ session }, o) => exportSession(session, { open: true, ...o })],
  ['exportSession', 'session', ({ session }, o) => exportSession(session, { open: false, ...o })],
  ['migrate', 'session', ({ session }, o) => migrate(session, o)],
  ['migrate', 'both', ({ store }, o) => migrate(store, o)],
  ['rewrap', 'session', ({ session }, o) => rewrap(session, o)],
  ['rewrap', 'both', ({ store }, o) => rewrap(store, o)],
  ['reencrypt', 'session', ({ session }, o) => reencrypt(session, { grace: 0, ...o })],
  ['reencrypt', 'both, twice', ({ store }, o) => reencrypt(store, { grace: 0, ...o })],
  ['checkKeys', 'session', ({ session, keys }, o) => checkKeys(session, { keys, ...o })],
  ['checkKeys', 'store', ({ store, keys }, o) => checkKeys([store], { keys, ...o })],
  ['purgeDataKeys', 'session', ({ session }, o) => purgeDataKeys(session, { after: '1d', ...o })],
  ['purgeDataKeys', 'store', ({ store }, o) => purgeDataKeys(store, { after: '1d', ...o })],
  ['destroyKey', 'store', ({ store, keys }, o) => destroyKey(keys, 'old', { dekStores: store, ...o })],
  ['purgeExpired', 'store', ({ store }, o) => store.purgeExpired(o)],
  ['deleteSession', 'session', ({ store }, o) => store.deleteSession('s', o)],
  [
    'appendMany',
    'store',
    async ({ store }, o) => store.appendMany?.([{ id: 's', items: [user('many')] }], o),
  ],
  ['exportSubject', 'both', ({ store }, o) => all(exportSubject(store, 'ada', o))],
  ['eraseSubject', 'both', ({ store }, o) => eraseSubject(store, 'ada', o)],
  ['sessions', 'store', ({ store }, o) => all(store.sessions(o))],
  ['transfer', 'both', async ({ store }, o) => withStore((other) => transfer(store, other, o))],
  ['transfer', 'store', async ({ store }, o) => withStore((other) => transfer(other, store, o))],
];

describe('functions on sessions and stores go through the layers', () => {
  let events: AuditEvent[];
  let allowed: boolean;
  let refused: string | undefined;
  let decide: (call: SessionCall) => boolean;
  let bare: Store<StoreSession>;
  let place: Place;

  beforeEach(async () => {
    events = [];
    allowed = true;
    refused = undefined;
    decide = () => true;
    bare = openSqlite(':memory:');
    const keys = keyring({
      current: await generateKey(),
      previous: [{ ...(await generateKey()), kid: 'old' }],
    });
    const store = wrapStore(bare, [
      audit({ sink: (event) => void events.push(event) }),
      authorize({ check: (call) => allowed && call.sessionId !== refused && decide(call) }),
      cache({ maxItems: 100 }),
      encrypt({ keys, unsafeAllowPlaintext: { until: new Date(Date.now() + 1e6) } }),
    ]);
    const session = store.session('s', { subject: 'ada' });
    await session.addItems([user('hello')]);
    const { id } = await hold(session, { reason: 'case 1' });
    await release(session, id);
    await session.getItems();
    place = { store, session, keys, holdId: id };
    events = [];
  });
  afterEach(async () => {
    await bare.close();
  });

  async function dataKeys(): Promise<number> {
    return (await checkKeys(bare, { keys: place.keys })).reduce((sum, use) => sum + use.dataKeys, 0);
  }

  test.each(FUNCTIONS)('%s (%s) is a call of its kind, with actor and purpose', async (kind, where, work) => {
    await work(place, ORIGIN);
    const mine = events.filter(({ operation }) => operation === kind);
    expect(mine.map(({ sessionId }) => sessionId).toSorted()).toEqual(CALLS_OF[where]);
    for (const event of events) {
      expect(event).toMatchObject({ outcome: 'success', actor: 'privacy team', purpose: 'request 4711' });
    }
    // The engine makes no call in the name of a member that nobody called.
    const members = events.filter(({ operation }) => operation !== kind).map(({ operation }) => operation);
    expect(members).toEqual(kind === 'appendMany' ? ['addItems'] : []);
  });

  test.each(FUNCTIONS)(
    '%s (%s) does nothing when a check refuses everything, and says so',
    async (kind, _, work) => {
      const records = await bare.session('s').getItems();
      const keys = await checkKeys(bare, { keys: place.keys });
      allowed = false;
      await expect(work(place, ORIGIN)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
      expect(events).toHaveLength(1);
      expect(events[0]).toMatchObject({
        operation: kind,
        outcome: 'failure',
        error: 'ERR_ACCESS_DENIED',
        actor: 'privacy team',
        purpose: 'request 4711',
      });
      expect(await bare.session('s').getItems()).toEqual(records);
      expect(await checkKeys(bare, { keys: place.keys })).toEqual(keys);
      expect(place.keys.checkOpens('old')).toBeUndefined();
      allowed = true;
      expect(await place.session.getItems()).toEqual([user('hello')]);
    },
  );

  const refusing = FUNCTIONS.filter(([kind]) => kind !== 'appendMany');
  test.each(refusing)('%s (%s) leaves an event when its arguments are refused', async (kind, _, work) => {
    await expect(work(place, { ...ORIGIN, nonsense: 1 } as CallOrigin)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
    });
    await expect(work(place, { actor: 7 } as unknown as CallOrigin)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('actor must be a text'),
    });
    expect(events.map(({ operation, outcome, error }) => [operation, outcome, error])).toEqual([
      [kind, 'failure', 'ERR_INVALID_OPTION'],
      [kind, 'failure', 'ERR_INVALID_OPTION'],
    ]);
    expect(await place.session.getItems()).toEqual([user('hello')]);
  });

  test.each<[CallKind, (session: Session) => Promise<unknown>]>([
    ['addItems', (session) => session.addItems([{ role: 'user', content: 7 } as never, (() => 1) as never])],
    ['addItems', (session) => session.addItems('text' as never)],
    ['getItems', (session) => session.getItems(1.5)],
    [
      'applyHistoryTransaction',
      async (session) => (session as StoreSession).applyHistoryTransaction({ operationId: '' } as never),
    ],
    [
      'applyHistoryMutations',
      async (session) => (session as StoreSession).applyHistoryMutations({} as never),
    ],
    [
      'replaceHistoryWithCompaction',
      async (session) => session.replaceHistoryWithCompaction?.([{ bad: () => 1 } as never]),
    ],
    ['replacePrefix', (session) => (session as StoreSession).replacePrefix({ count: 0 } as never)],
  ])('%s leaves an event when its arguments are refused', async (kind, work) => {
    await expect(work(place.session)).rejects.toMatchObject({ name: 'StrongroomError' });
    expect(events).toMatchObject([{ operation: kind, outcome: 'failure' }]);
    allowed = false;
    await expect(work(place.session)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
  });

  test.each([{ dryRun: true }, { dryRun: false }])(
    'retention asks for the store before it looks (%o)',
    async (options) => {
      allowed = false;
      const rules = retention(place.store, { maxIdle: 1, actor: 'nightly job', purpose: 'policy 3' });
      await expect(rules.run(options)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
      const origin = { operation: 'retention', actor: 'nightly job', purpose: 'policy 3' };
      expect(events).toMatchObject([{ ...origin, sessionId: '', outcome: 'failure' }]);
      expect(await bare.session('s').getItems()).toHaveLength(1);
    },
  );

  test('retention asks for each session that it removes or cuts', async () => {
    const rules = retention(place.store, { keepLast: 1, actor: 'nightly job', purpose: 'policy 3' });
    await bare.session('s').addItems(await bare.session('s').getItems());
    expect((await rules.run()).trimmed.items).toBe(1);
    const origin = { operation: 'retention', actor: 'nightly job', purpose: 'policy 3', outcome: 'success' };
    const ofRule = events.filter(({ operation }) => operation === 'retention');
    expect(ofRule.map(({ sessionId }) => sessionId)).toEqual(['s', '']);
    expect(ofRule).toMatchObject([origin, origin]);
  });

  test('a store that is filled by transfer() is asked for each session, also where its source has no layers', async () => {
    await withStore(async (other) => {
      for (const id of ['a', 'b']) await other.session(id).addItems([user(id)]);
      await expect(transfer(other, place.store, ORIGIN)).resolves.toMatchObject({ sessions: 2 });
      expect(events.map(({ operation, sessionId }) => [operation, sessionId])).toEqual([
        ['transfer', 'a'],
        ['transfer', 'b'],
        ['transfer', ''],
      ]);
      await other.session('c').addItems([user('c')]);
      refused = 'c';
      await expect(transfer(other, place.store, ORIGIN)).rejects.toMatchObject({
        code: 'ERR_ACCESS_DENIED',
        message: expect.stringContaining('transfer on session "c"'),
      });
      expect(await bare.session('c').getItems()).toEqual([]);
    });
  });

  test('sessions() emits its event before it returns the first session, and returns none when it is refused', async () => {
    await bare.session('t').addItems([user('t')]);
    for await (const { id } of place.store.sessions(ORIGIN)) {
      expect(id).toBe('s');
      expect(events).toMatchObject([
        { operation: 'sessions', sessionId: '', outcome: 'success', actor: 'privacy team' },
      ]);
      break;
    }
    allowed = false;
    await expect(branches(place.store, 's').list()).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    expect(events).toHaveLength(2);
  });

  test('reencrypt() checks again before it destroys the old keys; the next run finishes one that was refused then', async () => {
    let asked = 0;
    decide = ({ sessionId }) => sessionId === '' || ++asked < 2;
    await expect(reencrypt(place.store, { grace: 0, ...ORIGIN })).rejects.toMatchObject({
      code: 'ERR_ACCESS_DENIED',
    });
    // Its successor has sealed everything; the old one is there, and opens nothing that a process still needs.
    expect(await dataKeys()).toBe(2);
    decide = () => true;
    await reencrypt(place.store, { grace: 0, ...ORIGIN });
    expect(await dataKeys()).toBe(1);
    expect(await place.session.getItems()).toEqual([user('hello')]);
  });

  const dekStore = memoryDekStore();
  test.each<[what: string, work: (store: Store, keys: Keyring) => Promise<unknown>]>([
    ['sessions', (store) => all(store.sessions({ actor: 'me' }))],
    ['appendMany', async (store) => store.appendMany?.([{ id: 's', items: [user('x')] }], { actor: 'me' })],
    ['purgeExpired', (store) => store.purgeExpired({ actor: 'me' })],
    ['deleteSession', (store) => store.deleteSession('s', { actor: 'me' })],
    ['exportSubject', (store) => all(exportSubject(store, 'ada', { actor: 'me' }))],
    ['eraseSubject', (store) => eraseSubject(store, 'ada', { actor: 'me' })],
    ['retention', async (store) => retention(store, { keepLast: 1, actor: 'me' }).run()],
    ['transfer', (store) => withStore((other) => transfer(store, other, { actor: 'me' }))],
    ['hold', (store) => hold(store, { reason: 'case 7', sessionId: 's', actor: 'me' })],
    ['hold', () => hold(dekStore, { reason: 'case 7', sessionId: 's', actor: 'me' })],
    ['release', () => release(dekStore, 'x', { actor: 'me' })],
    ['checkKeys', (store, keys) => checkKeys([store, dekStore], { keys, actor: 'me' })],
    ['destroyKey', (store, keys) => destroyKey(keys, 'old', { dekStores: [store], actor: 'me' })],
    ['purgeDataKeys', (store) => purgeDataKeys(store, { after: 1, actor: 'me' })],
    ['rewrap', (store, keys) => rewrap(store, { keys, actor: 'me' })],
  ])('%s on what has no layers refuses an actor, whom nobody would ask or record', async (_, work) => {
    const records = await bare.session('s').getItems();
    await expect((async () => work(bare, place.keys))()).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringMatching(
        /actor is for authorize\(\) and audit\(\), but this target has no layers/,
      ),
    });
    expect(await bare.session('s').getItems()).toEqual(records);
    expect(await dataKeys()).toBe(1);
    expect(await dekStore.holds?.list()).toEqual([]);
  });

  test('an actor is accepted when one of several targets has layers', async () => {
    await checkKeys([place.store, dekStore], { keys: place.keys, ...ORIGIN });
    expect(events).toMatchObject([{ operation: 'checkKeys', actor: 'privacy team' }]);
  });

  test('a shredded session is empty also where its plaintext was cached', async () => {
    await shred(place.session, ORIGIN);
    expect(await place.session.getItems()).toEqual([]);
  });

  test('reads with limit 0 are calls, too', async () => {
    expect(await place.session.getItems(0)).toEqual([]);
    expect(events).toMatchObject([{ operation: 'getItems', itemsOut: 0 }]);
    allowed = false;
    await expect(place.session.getItems(0)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
  });
});
