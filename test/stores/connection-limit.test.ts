import { Agent, Runner, tool, type AgentInputItem } from '@openai/agents';
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { encrypt } from '../../src/layers/encrypt.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { mysqlFailure } from '../../src/stores/mysql/failure.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { postgresFailure } from '../../src/stores/postgres/pool.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { patientPool } from '../../src/stores/sql/patient-pool.ts';
import type { SqlLoan } from '../../src/stores/sql/client.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { rounds } from '../support/soak.ts';
import { dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { announce, uniqueName } from './servers.ts';

// A user of the database may open fewer connections than a pool asks for.

const LIMIT = 3;
const SESSIONS = rounds(60, 500);
const SOAKING = rounds(0, 1) === 1;

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const noop = tool({
  name: 'look',
  description: '',
  parameters: {} as never,
  strict: false,
  execute: () => 'seen',
});

/** One turn with a tool call on a session, by the SDK's runner. */
async function turn(store: Store<StoreSession>, id: string): Promise<void> {
  const session = wrapStore(store, [encrypt({ keys: fixedKeyring('limit') })]).session(id);
  const model = new ScriptedModel([
    [functionCall('look', {}, { callId: 'call' })],
    [assistantMessage('done')],
  ]);
  const agent = new Agent({ name: 'A', model, tools: [noop] });
  await new Runner({ tracingDisabled: true }).run(agent, 'hello', { session });
}

/** All that there are. The server counts one that has ended for a moment longer. */
async function connections<T>(connect: () => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  await vi.waitFor(
    async () => {
      while (made.length < LIMIT) made.push(await connect());
    },
    { timeout: 30_000, interval: 20 },
  );
  return made;
}

/** @param occupy Takes every connection that there is, and gives what frees them. */
function waits(
  open: (options: { timeout?: number }) => Store<StoreSession>,
  occupy: () => Promise<() => Promise<void>>,
): void {
  test(`${SESSIONS} runs over a pool of 10 share ${LIMIT} connections: all end, nothing is missing and nothing is duplicated`, async () => {
    const ids = Array.from({ length: SESSIONS }, () => uniqueName('run'));
    await using store = open({});
    await Promise.all(ids.map((id) => turn(store, id)));
    const read = wrapStore(store, [encrypt({ keys: fixedKeyring('limit') })]);
    for (const id of ids) {
      const items = await read.session(id).getItems();
      expect(items.map((item) => item.type)).toEqual([
        'message',
        'function_call',
        'function_call_result',
        'message',
      ]);
    }
  });

  // It takes until the first pool gives back what it does not use: ten seconds.
  test.skipIf(!SOAKING)('stores of several processes share them, too', async () => {
    const stores = Array.from({ length: 4 }, () => open({}));
    const ids = Array.from({ length: 40 }, () => uniqueName('run'));
    await Promise.all(ids.map((id, n) => turn(stores[n % stores.length] as Store<StoreSession>, id)));
    await Promise.all(stores.map((store) => store.close()));
    await using reader = open({});
    for (const id of ids) expect(await reader.session(id).getItems()).toHaveLength(4);
  });

  test('a call waits until a connection is released, also the first one of a store', async () => {
    const free = await occupy();
    await using store = open({});
    const id = uniqueName('waits');
    const appended = store.session(id).addItems([message('late')]);
    const read = store.session(id).getItems();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await free();
    await appended;
    await read;
    expect(await store.session(id).getItems()).toEqual([message('late')]);
  });

  test('when none is released in time, the error says so, what to do, and that nothing was written', async () => {
    const free = await occupy();
    await using store = open({ timeout: 300 });
    const id = uniqueName('late');
    for (const call of [
      store.session(id).addItems([message('never')]),
      store.deleteSession(id),
      store.session(id).popItem(),
    ]) {
      await expect(call).rejects.toMatchObject({
        code: 'ERR_STORE',
        retryable: true,
        message: expect.stringMatching(
          /the database has no connection left: lower maxConnections of its users, or raise .*\. Nothing was written\./,
        ) as string,
      });
    }
    await free();
    expect(await store.session(id).getItems()).toEqual([]);
  });
}

const postgres = await announce('PostgreSQL', 'the connection limit of PostgreSQL');
describe.skipIf(postgres.absent)('PostgreSQL at the connection limit of a role', () => {
  const role = uniqueName('limited');
  const admin = new Client(postgres.url);
  const url = new URL(postgres.url);
  url.username = role;
  url.password = 'secret';
  beforeAll(async () => {
    await admin.connect();
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret' CONNECTION LIMIT ${LIMIT}`);
    await admin.query(`CREATE SCHEMA ${role} AUTHORIZATION ${role}`);
  });
  afterAll(async () => {
    await dropPostgresSchema(postgres.url, role);
    await admin.query(`DROP OWNED BY ${role}`);
    await admin.query(`DROP ROLE ${role}`);
    await admin.end();
  });

  waits(
    (options) => openPostgres(url.href, { schema: role, sharePool: false, maxConnections: 10, ...options }),
    async () => {
      const clients = await connections(async () => {
        const client = new Client(url.href);
        await client.connect();
        return client;
      });
      return async () => void (await Promise.all(clients.map((client) => client.end())));
    },
  );
});

const mariadb = await announce('MariaDB', 'the connection limit of MariaDB');
describe.skipIf(mariadb.absent)('MariaDB at the connection limit of a user', () => {
  const user = uniqueName('limited');
  const prefix = `${user}_`;
  const url = new URL(mariadb.url);
  url.username = user;
  url.password = 'secret';
  const asAdmin = async (...statements: string[]): Promise<void> => {
    const admin = await createConnection(mariadb.url);
    for (const statement of statements) await admin.query(statement);
    await admin.end();
  };
  beforeAll(() =>
    asAdmin(
      `CREATE USER ${user} IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS ${LIMIT}`,
      `GRANT ALL ON ${url.pathname.slice(1)}.* TO ${user}`,
    ),
  );
  afterAll(async () => {
    await dropMysqlTables(mariadb.url, prefix);
    await asAdmin(`DROP USER ${user}`);
  });

  waits(
    (options) => openMysql(url.href, { prefix, sharePool: false, maxConnections: 10, ...options }),
    async () => {
      const clients = await connections(() => createConnection(url.href));
      return async () => void (await Promise.all(clients.map((client) => client.end())));
    },
  );
});

const noRedis = withoutBinaries('Redis', 'the connection limit of Redis');
describe.skipIf(noRedis)('Redis at its limit of clients', () => {
  let server: OwnServer;
  beforeAll(async () => {
    server = await ownServer('Redis', { settings: ['--maxclients', String(LIMIT)] });
    await server.start();
  });
  afterAll(() => server.destroy());

  const occupy = async (): Promise<() => void> => {
    const clients = Array.from({ length: LIMIT }, () => createClient({ url: server.url }));
    for (const client of clients) client.on('error', () => undefined);
    await Promise.all(clients.map((client) => client.connect()));
    return () => clients.forEach((client) => client.destroy());
  };

  test('a call waits until a connection is released', async () => {
    const free = await occupy();
    await using store = openRedis(server.url);
    const appended = store.session('a').addItems([message('late')]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    free();
    await appended;
    expect(await store.session('a').getItems()).toEqual([message('late')]);
  });

  test('when none is released in time, it fails, and nothing was written', async () => {
    const free = await occupy();
    await using store = openRedis(server.url, { timeout: 500 });
    await expect(store.session('b').addItems([message('never')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(
        /openRedis: (the database has no connection left: let fewer|the connection to the database failed)/,
      ) as string,
    });
    free();
    expect(await store.session('b').getItems()).toEqual([]);
  });
});

describe('errors that mean that no connection is left', () => {
  test.each([
    { code: '53300', message: 'sorry, too many clients already' },
    {
      code: '53300',
      message: 'remaining connection slots are reserved for roles with the SUPERUSER attribute',
    },
    { code: '53300', message: 'too many connections for role "app"' },
    { code: '08P01', message: 'no more connections allowed (max_client_conn)' },
    { code: 'XX000', message: 'MaxClientsInSessionMode: max clients reached - in Session mode' },
  ])('in PostgreSQL and its poolers: $message', (error) => {
    expect(postgresFailure(Object.assign(new Error(error.message), error))).toMatchObject({ full: true });
  });

  test.each([
    { code: 'ER_CON_COUNT_ERROR', errno: 1040, fatal: true, message: 'Too many connections' },
    {
      code: 'ER_TOO_MANY_USER_CONNECTIONS',
      errno: 1203,
      fatal: true,
      message: 'User app already has more than …',
    },
    {
      code: 'ER_USER_LIMIT_REACHED',
      errno: 1226,
      fatal: true,
      message: "User 'app' has exceeded the 'max_user_connections' resource (current value: 3)",
    },
  ])('in MariaDB: $code', (error) => {
    expect(mysqlFailure(Object.assign(new Error(error.message), error))).toMatchObject({ full: true });
  });

  test('and errors that do not: a limit by the hour, a wrong password, a connection that was cut', () => {
    const hourly = "User 'app' has exceeded the 'max_connections_per_hour' resource (current value: 3)";
    const limited = { code: 'ER_USER_LIMIT_REACHED', errno: 1226, message: hourly };
    expect(mysqlFailure(Object.assign(new Error(hourly), limited)).full).not.toBe(true);
    for (const code of ['28P01', '08006', '57P03', '42501']) {
      expect(postgresFailure(Object.assign(new Error('x'), { code })).full).not.toBe(true);
    }
  });
});

describe('a pool that waits for connections', () => {
  const full = Object.assign(new Error('full'), { code: '53300' });
  const isFull = (error: unknown): boolean => error === full;
  const loan = (released: () => void): SqlLoan => ({
    query: () => Promise.resolve({ rows: [], changes: 0 }),
    release: released,
  });
  const close = (): Promise<void> => Promise.resolve();

  test('retries for as long as it has time, and then fails with the error of the server', async () => {
    let asked = 0;
    const pool = patientPool(
      {
        acquire: () => {
          asked += 1;
          return asked < 4 ? Promise.reject(full) : Promise.resolve(loan(() => undefined));
        },
        close,
      },
      60_000,
      isFull,
    );
    await pool.acquire();
    expect(asked).toBe(4);
    const never = patientPool({ acquire: () => Promise.reject(full), close }, 50, isFull);
    await expect(never.acquire()).rejects.toBe(full);
  });

  test('tries once for any other error', async () => {
    let asked = 0;
    const broken = new Error('other');
    const acquire = (): Promise<SqlLoan> => {
      asked += 1;
      return Promise.reject(asked === 2 ? broken : full);
    };
    await expect(patientPool({ acquire, close }, 60_000, isFull).acquire()).rejects.toBe(broken);
    expect(asked).toBe(2);
  });

  test('releases a connection that comes too late', async () => {
    let asked = 0;
    let give: ((late: SqlLoan) => void) | undefined;
    const acquire = (): Promise<SqlLoan> => {
      asked += 1;
      return asked === 1 ? Promise.reject(full) : new Promise((resolve) => (give = resolve));
    };
    await expect(patientPool({ acquire, close }, 100, isFull).acquire()).rejects.toBe(full);
    const released = new Promise<void>((resolve) => give?.(loan(resolve)));
    await released;
  });
});
