import type { PGlite } from '@electric-sql/pglite';
import type { AgentInputItem } from '@openai/agents';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import type { DekDatabase } from '../../src/keys/dek-store.ts';
import { purgeDataKeys } from '../../src/operations/purge-data-keys.ts';
import { mysqlDekStore, openMysql } from '../../src/stores/mysql.ts';
import { openPostgres, postgresDekStore } from '../../src/stores/postgres.ts';
import { openRedis, redisDekStore } from '../../src/stores/redis.ts';
import { retention } from '../../src/operations/retention.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { emptyPGlite } from './empty-pglite.ts';
import { temporaryFolder } from './folder.ts';
import { announce, uniqueName } from './servers.ts';

const DAY = 86_400_000;
const MINUTE = 60_000;
const ahead =
  (by: number): (() => number) =>
  () =>
    Date.now() + by;

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** The clock of the machine, set by this much; stores take it when they are opened. */
const realNow = Date.now;
let offset = 0;
const jump = (by: number): void => void (offset = by);
beforeAll(() => void (Date.now = () => realNow() + offset));
afterEach(() => jump(0));
afterAll(() => void (Date.now = realNow));

const tooFarAhead = (of: string): object => ({
  code: 'ERR_CLOCK',
  message: expect.stringMatching(
    new RegExp(`ahead of ${of}.*Nothing was deleted. Correct the clock, or raise maxAhead\\.$`),
  ) as string,
});
const OF_SERVER = tooFarAhead('the clock of the database');
const OF_PROCESS = tooFarAhead('the time since the store was opened');

interface Server {
  readonly open: (clock?: () => number) => Store<StoreSession>;
  readonly openDeks: () => DekDatabase;
}

/** A server has a clock of its own. */
function compares({ open, openDeks }: Server): void {
  /** An item that expires in 30 days, by a right clock. */
  const stored = async (): Promise<string> => {
    const id = uniqueName('session');
    await using store = open();
    const layers = [expire({ after: '30d' }), encrypt({ keys: fixedKeyring('ahead') })];
    await wrapStore(store, layers)
      .session(id)
      .addItems([message('needed')]);
    return id;
  };
  const count = async (store: Store<StoreSession>, id: string): Promise<number> =>
    (await store.session(id).getItems()).length;

  test('a purge by a clock 40 days ahead is refused, and deletes nothing', async () => {
    const id = await stored();
    await using store = open(ahead(40 * DAY));
    await expect(store.purgeExpired()).rejects.toMatchObject(OF_SERVER);
    await expect(store.purgeExpired({ after: '30d' })).rejects.toMatchObject(OF_SERVER);
    await expect(wrapStore(store, []).purgeExpired()).rejects.toMatchObject(OF_SERVER);
    expect(await count(store, id)).toBe(1);
    await store.deleteSession(id);
  });

  test('also by the clock of the machine', async () => {
    const id = await stored();
    await using store = open();
    jump(40 * DAY);
    await expect(store.purgeExpired()).rejects.toMatchObject(OF_SERVER);
    jump(0);
    expect(await count(store, id)).toBe(1);
    await store.purgeExpired();
    expect(await count(store, id)).toBe(1);
    await store.deleteSession(id);
  });

  test('five minutes are the default bound, maxAhead sets another one, and "any" trusts the clock', async () => {
    const id = await stored();
    await using store = open(ahead(31 * DAY));
    await using near = open(ahead(4 * MINUTE));
    await using far = open(ahead(6 * MINUTE));
    await using behind = open(ahead(-40 * DAY));
    await near.purgeExpired();
    await behind.purgeExpired();
    await expect(far.purgeExpired()).rejects.toMatchObject(OF_SERVER);
    await expect(near.purgeExpired({ maxAhead: '3m' })).rejects.toMatchObject(OF_SERVER);
    await expect(store.purgeExpired({ maxAhead: '30d' })).rejects.toMatchObject(OF_SERVER);
    expect(await count(store, id)).toBe(1);
    await far.purgeExpired({ maxAhead: '10m' });
    expect(await count(store, id)).toBe(1);
    await store.purgeExpired({ maxAhead: 'any' });
    expect(await count(store, id)).toBe(0);
    for (const maxAhead of ['ever', 0, -1, Number.POSITIVE_INFINITY] as never[]) {
      await expect(store.purgeExpired({ maxAhead })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    }
  });

  test('a clock that gives no time deletes nothing', async () => {
    const id = await stored();
    for (const time of [Number.NaN, Number.POSITIVE_INFINITY]) {
      await using store = open(() => time);
      await expect(store.purgeExpired({ maxAhead: 'any' })).rejects.toMatchObject({
        code: 'ERR_CLOCK',
        message: expect.stringContaining('the clock must return Unix milliseconds') as string,
      });
    }
    await using store = open();
    expect(await count(store, id)).toBe(1);
    await store.deleteSession(id);
  });

  test('retention() deletes, cuts and predicts nothing by such a clock', async () => {
    const id = await stored();
    await using store = open(ahead(40 * DAY));
    for (const rule of [
      { expired: true },
      { expired: '30d' },
      { maxAge: '30d' },
      { maxIdle: '30d' },
    ] as const) {
      const rules = retention(store, { ...rule, keepLast: 1 });
      await expect(rules.run()).rejects.toMatchObject(OF_SERVER);
      await expect(rules.run({ dryRun: true })).rejects.toMatchObject(OF_SERVER);
      expect(await count(store, id)).toBe(1);
    }
    // The next run is not kept out by a lock of the one that was refused, and one without a rule of time needs no clock.
    expect((await retention(store, { keepLast: 1 }).run()).skipped).toBe(false);
    expect(await count(store, id)).toBe(1);
    const trusting = retention(store, { maxAge: '30d', maxAhead: 'any' });
    expect((await trusting.run()).deleted).toContain(id);
    expect(await count(store, id)).toBe(0);
  });

  test('a scheduled run reports it, and the next one runs', async () => {
    const clock = fakeClock(Date.now() + 40 * DAY);
    await using store = open(clock);
    const errors: unknown[] = [];
    const reports: unknown[] = [];
    await using rules = retention(store, {
      expired: true,
      every: 20,
      onError: (error) => {
        errors.push(error);
        clock.set(Date.now());
      },
      onReport: (report) => reports.push(report),
    });
    rules.start();
    await vi.waitFor(() => expect(reports.length).toBeGreaterThan(0), { timeout: 30_000 });
    expect(errors).toMatchObject([OF_SERVER]);
  });

  test('data keys are not destroyed by such a clock, in the table of a store and in a database of their own', async () => {
    const id = await stored();
    await using store = open();
    await using deks = openDeks();
    const layers = [encrypt({ keys: fixedKeyring('ahead'), dekStore: deks })];
    await wrapStore(store, layers)
      .session(`${id}-deks`)
      .addItems([message('needed')]);
    for (const target of [store, deks]) {
      const options = { after: '30d', clock: ahead(40 * DAY) } as const;
      await expect(purgeDataKeys(target, options)).rejects.toMatchObject(OF_SERVER);
      expect((await purgeDataKeys(target, { after: '30d' })).destroyed).toEqual([]);
      const { destroyed } = await purgeDataKeys(target, { ...options, maxAhead: 'any' });
      expect(destroyed.map(({ sessionId }) => sessionId)).toContain(target === store ? id : `${id}-deks`);
    }
    await store.deleteSession(id);
    await store.deleteSession(`${id}-deks`);
  });
}

const postgres = await announce('PostgreSQL', 'clocks that are ahead of PostgreSQL');
describe.skipIf(postgres.absent)('a clock that is ahead of PostgreSQL', () => {
  const schema = uniqueName('ahead');
  afterAll(() => dropPostgresSchema(postgres.url, schema));
  afterAll(() => dropPostgresSchema(postgres.url, `${schema}_keys`));
  compares({
    open: (clock) => openPostgres(postgres.url, { schema, ...(clock !== undefined && { clock }) }),
    openDeks: () => postgresDekStore(postgres.url, { schema: `${schema}_keys` }),
  });
});

const mariadb = await announce('MariaDB', 'clocks that are ahead of MariaDB');
describe.skipIf(mariadb.absent)('a clock that is ahead of MariaDB', () => {
  const prefix = `${uniqueName('ahead')}_`;
  afterAll(() => dropMysqlTables(mariadb.url, prefix));
  afterAll(() => dropMysqlTables(mariadb.url, `${prefix}k_`));
  compares({
    open: (clock) => openMysql(mariadb.url, { prefix, ...(clock !== undefined && { clock }) }),
    openDeks: () => mysqlDekStore(mariadb.url, { prefix: `${prefix}k_` }),
  });
});

const redis = await announce('Redis', 'clocks that are ahead of Redis');
describe.skipIf(redis.absent)('a clock that is ahead of Redis', () => {
  const prefix = uniqueName('ahead');
  afterAll(() => deleteRedisKeys(redis.url, prefix));
  afterAll(() => deleteRedisKeys(redis.url, `${prefix}-keys`));
  compares({
    open: (clock) => openRedis(redis.url, { prefix, ...(clock !== undefined && { clock }) }),
    openDeks: () => redisDekStore(redis.url, { prefix: `${prefix}-keys` }),
  });
});

/** A database in this process has the clock of this process. */
function seesJumps(open: (clock?: () => number) => Store<StoreSession>): void {
  test('a jump of the clock since the store was opened is refused, beyond 30 days', async () => {
    await using store = open();
    const id = uniqueName('jump');
    const layers = [expire({ after: '30d' }), encrypt({ keys: fixedKeyring('ahead') })];
    await wrapStore(store, layers)
      .session(id)
      .addItems([message('needed')]);
    jump(40 * DAY);
    await expect(store.purgeExpired()).rejects.toMatchObject(OF_PROCESS);
    await expect(retention(store, { maxIdle: '30d' }).run()).rejects.toMatchObject(OF_PROCESS);
    await expect(purgeDataKeys(store, { after: '30d' })).rejects.toMatchObject(OF_PROCESS);
    expect(await store.session(id).getItems()).toHaveLength(1);
    expect(await store.purgeExpired({ maxAhead: '41d' })).toMatchObject({ items: 1 });
    await store.purgeExpired({ maxAhead: 'any' });
    jump(29 * DAY);
    await store.purgeExpired();
    await expect(store.purgeExpired({ maxAhead: '1d' })).rejects.toMatchObject(OF_PROCESS);
  });

  test('an explicit clock is trusted, because there is no other', async () => {
    const clock = fakeClock();
    await using store = open(clock);
    const id = uniqueName('given');
    await store.session(id).addItems([message('old')]);
    clock.advance('400d');
    expect(await store.purgeExpired({ after: '30d' })).toMatchObject({ items: 1 });
    expect((await purgeDataKeys(store, { after: '30d', clock })).held).toEqual([]);
  });
}

describe('a clock that jumps beside SQLite', () => {
  const file = temporaryFolder();
  seesJumps((clock) => openSqlite(file('jumps.db'), clock === undefined ? {} : { clock }));
});

describe('a clock that jumps beside PGlite', () => {
  let pool: PGlite;
  beforeAll(async () => {
    pool = await emptyPGlite();
  });
  afterAll(() => pool.close());
  seesJumps((clock) => openPostgres({ pool }, clock === undefined ? {} : { clock }));
});
