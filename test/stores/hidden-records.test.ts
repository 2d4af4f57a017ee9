import type { PGlite } from '@electric-sql/pglite';
import { Agent, MemorySession, run, type AgentInputItem } from '@openai/agents';
import { assistantMessage, modelResponder, ScriptedModel } from '@openai/agents/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { cache, type CacheOptions } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire, type ExpireOptions } from '../../src/layers/expire.ts';
import type { Layers, SessionLayer } from '../../src/layer.ts';
import { historyDigest } from '../../src/protocol/digest.ts';
import { DEK_STORE, REFERENCE } from '../../src/session-contract.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { wrapSession, type Wrapped } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { emptyPGlite } from './empty-pglite.ts';
import { temporaryFolder } from './folder.ts';
import { announce, uniqueName } from './servers.ts';

const DAY = 86_400_000;

/** The clock of the machine, set by this much. */
const realNow = Date.now;
let offset = 0;
beforeAll(() => void (Date.now = () => realNow() + offset));
afterEach(() => void (offset = 0));
afterAll(() => void (Date.now = realNow));

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const CALL: AgentInputItem = {
  type: 'function_call',
  callId: 'call_1',
  name: 'look_up',
  arguments: '{"q":1}',
  status: 'completed',
};
const RESULT: AgentInputItem = {
  type: 'function_call_result',
  callId: 'call_1',
  name: 'look_up',
  status: 'completed',
  output: 'found',
};

type Session = Wrapped<StoreSession>;

/** What is there, and for how many days. A clock 40 days ahead hides what lasts for 30. */
const HISTORY: readonly (readonly [days: 30 | 365, item: AgentInputItem])[] = [
  [365, message('first')],
  [30, message('hidden in the middle')],
  [365, CALL],
  [365, RESULT],
  [30, message('hidden at the end')],
];
const VISIBLE = HISTORY.flatMap(([days, item]) => (days === 365 ? [item] : []));

/** Every change that removes hidden records along with what it names. */
const CHANGES: readonly (readonly [
  name: string,
  change: (session: Session, archive: Session) => Promise<unknown>,
])[] = [
  [
    'replaceHistoryWithCompaction',
    async (session) => session.replaceHistoryWithCompaction([message('summary')]),
  ],
  [
    'replacePrefix',
    async (session) =>
      session.replacePrefix({
        count: 2,
        digest: historyDigest(VISIBLE.slice(0, 2)),
        replacement: [message('summary')],
        operationId: 'prefix',
      }),
  ],
  [
    'replacePrefix with an archive',
    async (session, archive) =>
      session.replacePrefix({
        count: 2,
        digest: historyDigest(VISIBLE.slice(0, 2)),
        replacement: [message('summary')],
        operationId: 'prefix',
        archiveTo: archive,
      }),
  ],
  [
    'applyHistoryTransaction',
    async (session) =>
      session.applyHistoryTransaction({
        operationId: 'suffix',
        transaction: { type: 'replace_suffix', expectedSuffix: [RESULT], replacement: [message('other')] },
      }),
  ],
  [
    'applyHistoryMutations',
    async (session) =>
      session.applyHistoryMutations?.({
        mutations: [
          {
            type: 'replace_function_call',
            callId: 'call_1',
            replacement: { ...CALL, arguments: '{"q":2}' },
          },
        ],
      }),
  ],
  ['popItem', async (session) => session.popItem()],
];

const keys = fixedKeyring('hidden records');
const STACKS: readonly (readonly [name: string, layers: (expiring: SessionLayer) => Layers])[] = [
  ['expire', (expiring) => [expiring]],
  ['expire, encrypt', (expiring) => [expiring, encrypt({ keys })]],
  ...(['tail', 'verify', 'owner'] satisfies CacheOptions['mode'][]).map(
    (mode) =>
      [
        `expire, cache by ${mode}, encrypt`,
        (expiring: SessionLayer) => [expiring, cache({ maxItems: 1_000, mode }), encrypt({ keys })],
      ] as const,
  ),
];

interface Setting {
  readonly store: () => Store<StoreSession>;
  /** How a stack gets a clock that is this far ahead. */
  readonly ahead: (by: number) => Pick<ExpireOptions, 'clock'>;
  readonly of: string;
  readonly stacks?: typeof STACKS;
}

function refuses({ store: open, ahead, of, stacks = STACKS.slice(1, 3) }: Setting): void {
  let store: Store<StoreSession>;
  beforeAll(() => void (store = open()));
  afterAll(() => store.close());

  const right = (id: string, layers: (expiring: SessionLayer) => Layers): Session =>
    wrapSession(store.session(id), layers(expire({ after: '365d' })));
  const written = async (
    layers: (expiring: SessionLayer) => Layers,
    history: typeof HISTORY = HISTORY,
  ): Promise<string> => {
    const id = uniqueName('hidden');
    for (const [days, item] of history) {
      await wrapSession(store.session(id), layers(expire({ after: `${days}d` }))).addItems([item]);
    }
    return id;
  };
  const done = async (id: string): Promise<void> => {
    await store.deleteSession(id);
    await store.deleteSession(`${id}-archive`);
  };

  for (const [stackName, layers] of stacks) {
    test.each(CHANGES)(`%s is refused, under ${stackName}`, async (name, change) => {
      const id = await written(layers);
      const before = await store.session(id).getItems();
      const wrong = (maxAhead?: ExpireOptions['maxAhead']): [Session, Session] => {
        const stack = layers(
          expire({ after: '365d', ...ahead(40 * DAY), ...(maxAhead !== undefined && { maxAhead }) }),
        );
        return [wrapSession(store.session(id), stack), wrapSession(store.session(`${id}-archive`), stack)];
      };
      const [session, archive] = wrong();
      expect(await session.getItems()).toEqual(VISIBLE);
      const member = name.split(' ')[0] as string;
      await expect(change(session, archive)).rejects.toMatchObject({
        code: 'ERR_CLOCK',
        written: 'no',
        message: expect.stringMatching(
          new RegExp(
            `^expire: ${member} on session "${id}" would remove items that are hidden: the clock is (39|40) days ahead of ${of}, ` +
              'more than .* Nothing was deleted. Correct the clock, or raise maxAhead\\.$',
          ),
        ) as string,
      });
      offset = 0;
      expect(await store.session(id).getItems()).toEqual(before);
      expect(await store.session(`${id}-archive`).getItems()).toEqual([]);
      expect(await right(id, layers).getItems()).toEqual(HISTORY.map(([, item]) => item));

      await expect(change(...wrong('30d'))).rejects.toMatchObject({ code: 'ERR_CLOCK' });
      await change(...wrong('any'));
      expect(await store.session(id).getItems()).not.toContainEqual(
        before[name.startsWith('replacePrefix') ? 1 : 4],
      );
      offset = 0;
      await done(id);
    });

    test(`a suffix that only grows keeps hidden records, under ${stackName}`, async () => {
      const id = await written(layers);
      const session = wrapSession(store.session(id), layers(expire({ after: '365d', ...ahead(40 * DAY) })));
      await session.applyHistoryTransaction({
        operationId: 'grow',
        transaction: {
          type: 'replace_suffix',
          expectedSuffix: [RESULT],
          replacement: [RESULT, message('new')],
        },
      });
      offset = 0;
      expect(await store.session(id).getItems()).toHaveLength(HISTORY.length + 1);
      await done(id);
    });
  }

  test('the clock is read once when hidden records would be removed, and never otherwise', async () => {
    const [, layers] = STACKS[1] as (typeof STACKS)[number];
    for (const [name, change] of CHANGES) {
      for (const [history, asked] of [
        [HISTORY.filter(([days]) => days === 365), 0],
        [HISTORY, 1],
      ] as const) {
        const id = await written(layers, history);
        let count = 0;
        const counting = (sessionId: string): StoreSession => {
          const session = store.session(sessionId);
          const dekStore = session[DEK_STORE] as StoreSession[typeof DEK_STORE] & {
            [REFERENCE]: () => Promise<unknown>;
          };
          const counted = {
            ...dekStore,
            async [REFERENCE]() {
              count++;
              return dekStore[REFERENCE]();
            },
          };
          return { ...session, [DEK_STORE]: counted };
        };
        const stack = layers(expire({ after: '365d', maxAhead: '41d', ...ahead(40 * DAY) }));
        const session = wrapSession(counting(id), stack);
        const archive = wrapSession(store.session(`${id}-archive`), stack);
        if (name.endsWith('archive')) continue;
        await change(session, archive);
        offset = 0;
        expect([name, count]).toEqual([name, asked]);
        await done(id);
      }
    }
  });

  test('a failing run with such a clock, and its repetition, keep hidden records', async () => {
    const [, layers] = STACKS[1] as (typeof STACKS)[number];
    const id = await written(layers);
    const sessions = wrapStore(store, layers(expire({ after: '365d', ...ahead(40 * DAY) })));
    const model = new ScriptedModel([
      modelResponder(() => Promise.reject(new Error('503'))),
      modelResponder(() => [assistantMessage('fine')]),
    ]);
    const agent = new Agent({ name: 'assistant', model });
    await expect(run(agent, 'question', { session: sessions.session(id) })).rejects.toThrow('503');
    await run(agent, 'question', { session: sessions.session(id) });
    await expect(sessions.session(id).replaceHistoryWithCompaction([])).rejects.toMatchObject({
      code: 'ERR_CLOCK',
    });
    offset = 0;
    const stored = await store.session(id).getItems();
    expect(stored.length).toBeGreaterThan(HISTORY.length);
    expect(stored.slice(0, HISTORY.length)).toHaveLength(HISTORY.length);
    await done(id);
  });
}

const given = (by: number): Pick<ExpireOptions, 'clock'> => ({ clock: () => realNow() + by });
/** The machine's clock jumps after the store was opened. */
const jumped = (by: number): Pick<ExpireOptions, 'clock'> => {
  offset = by;
  return {};
};
const OF_SERVER = 'the clock of the database';
const OF_PROCESS = 'the time since the store was opened';

describe('hidden records in SQLite', () => {
  const file = temporaryFolder();
  refuses({ store: () => openSqlite(file('hidden.db')), ahead: jumped, of: OF_PROCESS, stacks: STACKS });
});

describe('hidden records in PGlite', () => {
  let pool: PGlite;
  beforeAll(async () => {
    pool = await emptyPGlite();
  });
  afterAll(() => pool.close());
  refuses({ store: () => openPostgres({ pool }), ahead: jumped, of: OF_PROCESS });
});

const postgres = await announce('PostgreSQL', 'hidden records in PostgreSQL');
describe.skipIf(postgres.absent)('hidden records in PostgreSQL', () => {
  const schema = uniqueName('hidden');
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  refuses({ store: () => openPostgres(postgres.url, { schema }), ahead: given, of: OF_SERVER });

  test('the time that hid them counts, also when the clock is set back before the removal', async () => {
    await using store = openPostgres(postgres.url, { schema });
    const id = uniqueName('hidden');
    for (const after of ['365d', '30d'] as const) {
      await wrapSession(store.session(id), [expire({ after })]).addItems([message(after)]);
    }
    let by = 40 * DAY;
    const settingBack: SessionLayer = { name: 'setting back', inspect: () => void (by = 0) };
    const expiring = expire({ after: '365d', clock: () => realNow() + by });
    const session = wrapSession(store.session(id), [settingBack, expiring]);
    await expect(session.replaceHistoryWithCompaction([])).rejects.toMatchObject({ code: 'ERR_CLOCK' });
    expect(await store.session(id).getItems()).toHaveLength(2);
  });
});

const mariadb = await announce('MariaDB', 'hidden records in MariaDB');
describe.skipIf(mariadb.absent)('hidden records in MariaDB', () => {
  const prefix = `${uniqueName('hidden')}_`;
  afterAll(() => dropMysqlTables(mariadb.url, prefix));
  refuses({ store: () => openMysql(mariadb.url, { prefix }), ahead: given, of: OF_SERVER });
});

const redis = await announce('Redis', 'hidden records in Redis');
describe.skipIf(redis.absent)('hidden records in Redis', () => {
  const prefix = uniqueName('hidden');
  afterAll(() => deleteRedisKeys(redis.url, prefix));
  refuses({ store: () => openRedis(redis.url, { prefix }), ahead: given, of: OF_SERVER });
});

describe('hidden records without a clock to compare with', () => {
  const history = async (session: Pick<Session, 'addItems'>, days: number): Promise<void> => {
    await wrapSession(session as MemorySession, [expire({ after: `${days}d` })]).addItems([
      message(`${days} days`),
    ]);
  };

  test('a clock of yours is trusted beside a database in this process', async () => {
    await using store = openSqlite(':memory:');
    for (const days of [365, 30]) await history(store.session('one'), days);
    const session = wrapSession(store.session('one'), [expire({ after: '365d', ...given(40 * DAY) })]);
    await session.replaceHistoryWithCompaction([]);
    expect(await store.session('one').getItems()).toEqual([]);
  });

  test('a session without a store removes them', async () => {
    const inner = new MemorySession();
    for (const days of [365, 30]) await history(inner, days);
    const session = wrapSession(inner, [expire({ after: '365d', ...given(40 * DAY) })]);
    expect(await session.popItem()).toEqual(message('365 days'));
    expect(await inner.getItems()).toEqual([]);
  });

  test('maxAhead is a duration or "any"', () => {
    for (const maxAhead of ['ever', 0, -1, Number.POSITIVE_INFINITY] as never[]) {
      expect(() => expire({ after: '30d', maxAhead })).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
      );
    }
  });
});
