import { createPool } from 'mysql2/promise';
import { Pool } from 'pg';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { LEASES, type Leases } from '../../src/session-contract.ts';
import { mysqlDialect } from '../../src/stores/mysql/dialect.ts';
import { mysqlFailure } from '../../src/stores/mysql/failure.ts';
import { fromPool as fromMysqlPool } from '../../src/stores/mysql/pool.ts';
import { postgresDialect } from '../../src/stores/postgres/dialect.ts';
import { fromPool as fromPostgresPool, postgresFailure } from '../../src/stores/postgres/pool.ts';
import { redisCommands } from '../../src/stores/redis/client.ts';
import { nodeCommands } from '../../src/stores/redis/node-redis.ts';
import { leaseKey } from '../../src/stores/redis/keys.ts';
import { redisLeases } from '../../src/stores/redis/leases.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { createRunner, type SqlRunner } from '../../src/stores/sql/client.ts';
import type { SqlDialect } from '../../src/stores/sql/dialect.ts';
import { leasePurge, sqlLeases } from '../../src/stores/sql/leases.ts';
import type { Store } from '../../src/stores/store.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { temporaryFolder } from './folder.ts';
import { openStore } from './open-store.ts';
import { announce, uniqueName } from './servers.ts';

const HOUR = 3_600_000;
const TIME = 15_000;
/** What `exclusive()` waits by default. */
const PATIENCE = 30_000;
const NAME = 'session anna';

/** How much the clock of the server is ahead of what it was. */
let ahead = 0;

interface Bench {
  /** The leases as another process sees them. */
  another(): Leases;
  open(): Store<StoreSession>;
  /** The clock of the server goes on, or is set. */
  move?(milliseconds: number): Promise<void>;
  purge(): Promise<unknown>;
}

function keepsItsTime(bench: () => Bench): void {
  const message = { type: 'message', role: 'user', content: 'hello' } as const;

  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance', 'hrtime'] }));
  afterEach(() => void vi.useRealTimers());

  async function move(milliseconds: number): Promise<void> {
    ahead += milliseconds;
    await bench().move?.(milliseconds);
  }
  /** The clocks of the machine and of the server are set. */
  async function jump(milliseconds: number): Promise<void> {
    vi.setSystemTime(Date.now() + milliseconds);
    await move(milliseconds);
  }
  async function pass(milliseconds: number): Promise<void> {
    vi.advanceTimersByTime(milliseconds);
    await move(milliseconds);
  }
  const ask = (leases: Leases): Promise<boolean> => leases.acquire(NAME, 'two', TIME, PATIENCE);

  /** How many seconds it takes until somebody who waits has the lease of an owner that does not renew it. */
  async function secondsUntilTaken(jumpOf: (second: number) => number): Promise<number> {
    const leases = bench().another();
    for (let second = 0; second <= 60; second++) {
      if (jumpOf(second) !== 0) await jump(jumpOf(second));
      if (await ask(leases)) return second;
      await pass(1_000);
    }
    return Infinity;
  }

  test.each([HOUR, -HOUR])(
    'an owner that renews its lease keeps it when the clock jumps by %d ms, also during a purge',
    async (by) => {
      const [mine, theirs] = [bench().another(), bench().another()];
      expect(await mine.acquire(NAME, 'one', TIME)).toBe(true);
      for (let second = 0; second < 40; second++) {
        if (second === 12) {
          await jump(by);
          await bench().purge();
        }
        expect(await ask(theirs)).toBe(false);
        await pass(1_000);
        const due = second % 5 === 4;
        expect(due ? await mine.renew(NAME, 'one', TIME) : true).toBe(true);
      }
      await mine.release(NAME, 'one');
      expect(await ask(theirs)).toBe(true);
      await theirs.release(NAME, 'two');
    },
  );

  test.each([
    { clock: 'is right', jumpOf: () => 0 },
    { clock: 'jumps an hour ahead', jumpOf: (second: number) => (second === 2 ? HOUR : 0) },
    { clock: 'jumps an hour back', jumpOf: (second: number) => (second === 2 ? -HOUR : 0) },
    { clock: 'was an hour ahead', jumpOf: (second: number) => (second === 0 ? -HOUR : 0) },
    { clock: 'jumps to and fro', jumpOf: (second: number) => (second % 2 === 0 ? HOUR : -HOUR) },
  ])('a dead owner loses its lease soon, and not at once, when the clock $clock', async ({ jumpOf }) => {
    expect(await bench().another().acquire(NAME, 'one', TIME)).toBe(true);
    const seconds = await secondsUntilTaken(jumpOf);
    expect(seconds).toBeGreaterThan(5);
    // All its time, and once more when the end was too far away and had to be cut.
    expect(seconds).toBeLessThanOrEqual(32);
    await bench().another().release(NAME, 'two');
  });

  test('a caller that tries once trusts the clock', async () => {
    const [mine, theirs] = [bench().another(), bench().another()];
    await mine.acquire(NAME, 'one', TIME);
    await pass(TIME - 1_000);
    expect(await theirs.acquire(NAME, 'two', TIME)).toBe(false);
    await pass(2_000);
    expect(await theirs.acquire(NAME, 'two', TIME)).toBe(true);
    expect(await mine.renew(NAME, 'one', TIME)).toBe(false);
    await theirs.release(NAME, 'two');
  });

  test('an owner that was suspended for longer than its lease keeps it until another owner takes it', async () => {
    await using store = bench().open();
    const session = store.session('anna');
    const mine = bench().another();
    await mine.acquire(NAME, 'one', TIME);
    await pass(10 * TIME);
    session[LEASES].fence({ lease: NAME, owner: 'one' });
    await session.addItems([message]);
    expect(await mine.renew(NAME, 'one', TIME)).toBe(true);
    expect(await secondsUntilTaken(() => 0)).toBeLessThan(20);
    await expect(session.addItems([message])).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('this run lost session "anna" to another run') as string,
    });
    session[LEASES].fence(undefined);
    expect(await session.getItems()).toEqual([message]);
    await mine.release(NAME, 'two');
    await session.clearSession();
  });
}

/** The leases of a database whose clock can be set. */
function clockedBench(
  dialect: SqlDialect,
  runner: SqlRunner,
  open: () => Store<StoreSession>,
  purge: SqlDialect,
): Bench {
  return { another: () => sqlLeases(dialect, runner), open, purge: leasePurge(purge, runner) };
}

function withClock(dialect: SqlDialect): SqlDialect {
  return {
    ...dialect,
    get clock() {
      return `(${dialect.clock} + ${ahead})`;
    },
  };
}

describe('Leases in SQLite', () => {
  const file = temporaryFolder();
  let store: Store<StoreSession>;
  const open = (): Store<StoreSession> => openStore(file('clocks.db'), '');
  beforeAll(() => void (store = open()));
  afterAll(() => store.close());
  keepsItsTime(() => ({
    another: () => store.session('anna')[LEASES],
    open,
    purge: () => store.purgeExpired(),
  }));
});

const postgres = await announce('PostgreSQL', 'leases in PostgreSQL');
describe.skipIf(postgres.absent)('Leases in PostgreSQL', () => {
  const schema = uniqueName('clocks');
  const pool = new Pool({ connectionString: postgres.url, max: 2 });
  const open = (): Store<StoreSession> => openStore(postgres.url, schema);
  const dialect = withClock(postgresDialect({ schema, prefix: 'strongroom_' }));
  const connections = fromPostgresPool(pool, 10_000, { close: () => pool.end() });
  const runner = createRunner(
    'test',
    () => Promise.resolve(connections),
    dialect.begin(10_000),
    postgresFailure,
  );
  beforeAll(async () => {
    await using store = open();
    await store.ping();
  });
  afterAll(async () => {
    await connections.close();
    await dropPostgresSchema(postgres.url, schema);
  });
  const bench = clockedBench(dialect, runner, open, dialect);
  keepsItsTime(() => bench);
});

const mariadb = await announce('MariaDB', 'leases in MariaDB');
describe.skipIf(mariadb.absent)('Leases in MariaDB', () => {
  const name = uniqueName('clocks');
  const pool = createPool({ uri: mariadb.url, connectionLimit: 2 });
  const open = (): Store<StoreSession> => openStore(mariadb.url, name);
  const dialect = withClock(mysqlDialect(`${name}_`));
  const connections = fromMysqlPool(pool, {
    timeout: 10_000,
    own: true,
    close: () => pool.end(),
  });
  const runner = createRunner(
    'test',
    () => Promise.resolve(connections),
    dialect.begin(10_000),
    mysqlFailure,
  );
  beforeAll(async () => {
    await using store = open();
    await store.ping();
  });
  afterAll(async () => {
    await connections.close();
    await dropMysqlTables(mariadb.url, `${name}_`);
  });
  const bench = clockedBench(dialect, runner, open, dialect);
  keepsItsTime(() => bench);
});

const redis = await announce('Redis', 'leases in Redis');
describe.skipIf(redis.absent)('Leases in Redis', () => {
  const name = uniqueName('clocks');
  const client = createClient({ url: redis.url });
  const send = nodeCommands(client);
  const commands = redisCommands(() => Promise.resolve(send), 10_000);
  const clocked: typeof commands = {
    ...commands,
    script(script, keys, args) {
      const source = script.source.replace(
        "local time = redis.call('TIME')",
        `local time = redis.call('TIME')\ntime[1] = tonumber(time[1]) + ${ahead / 1_000}`,
      );
      return commands.script({ ...script, source }, keys, args);
    },
  };
  const open = (): Store<StoreSession> => openStore(redis.url, name);
  let store: Store<StoreSession>;
  beforeAll(async () => {
    store = open();
    await client.connect();
  });
  afterAll(async () => {
    await store.close();
    client.destroy();
    await deleteRedisKeys(redis.url, name);
  });
  keepsItsTime(() => ({
    another: () => redisLeases(name, clocked),
    open,
    purge: () => store.purgeExpired(),
    /** What is left of a key's time is less on a clock that went ahead. */
    async move(milliseconds) {
      const key = leaseKey(name, NAME);
      const left = await client.pTTL(key);
      if (left > 0) await client.pExpire(key, left - milliseconds);
    },
  }));
});
