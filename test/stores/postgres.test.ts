import type { AgentInputItem } from '@openai/agents';
import { Client, Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openPostgres, postgresSetup } from '../../src/stores/postgres.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { announce, uniqueName } from './servers.ts';
import { OPERATIONS } from '../../src/session-contract.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

describe('openPostgres', () => {
  test('refuses targets and options that cannot work, and names no password', () => {
    const refused = (act: () => unknown): string => {
      let failure: unknown;
      try {
        act();
      } catch (error) {
        failure = error;
      }
      expect(failure).toMatchObject({ code: 'ERR_INVALID_OPTION' });
      return (failure as Error).message;
    };
    expect(refused(() => openPostgres('mysql://u:hunter2@h/d'))).toBe(
      'openPostgres: target must be a postgres:// URL, or { pool }, got a string.',
    );
    expect(refused(() => openPostgres({ pool: {} } as never))).toContain(
      '{ pool } with a pool of pg or a PGlite',
    );
    const url = 'postgres://u:hunter2@127.0.0.1/d';
    expect(refused(() => openPostgres(url, { schema: 'a"; DROP' }))).toContain('schema must be');
    expect(refused(() => openPostgres(url, { prefix: 'A' }))).toContain('prefix must be');
    expect(refused(() => openPostgres(url, { maxConnections: 0 }))).toContain('maxConnections');
    expect(refused(() => openPostgres(url, { password: 'secret' as never }))).not.toContain('secret');
    const pool = { connect: () => undefined, end: () => undefined } as never;
    expect(refused(() => openPostgres({ pool }, { maxConnections: 3 }))).toContain('is for a URL');
  });

  test('says that the server does not answer, and that nothing was written', async () => {
    await using store = openPostgres('postgres://nobody@127.0.0.1:9/none', {
      timeout: '2s',
      sharePool: false,
    });
    await expect(store.session('a').addItems([message('x')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: 'openPostgres: the connection to the database failed. Nothing was written. See the cause.',
      cause: expect.objectContaining({ code: 'ECONNREFUSED' }) as Error,
    });
  });
});

const { url, absent } = await announce('PostgreSQL', 'openPostgres, in detail');

describe.skipIf(absent)('openPostgres on PostgreSQL, in detail', () => {
  const schema = uniqueName('strongroom');
  let admin: Client;
  beforeAll(async () => {
    admin = new Client(url);
    await admin.connect();
  });
  afterAll(async () => {
    await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await admin.query(`DROP SCHEMA IF EXISTS ${schema}_hand CASCADE`);
    await admin.end();
  });

  test('sets up once for concurrent first calls, and not at all with createTables: false', async () => {
    const stores = Array.from({ length: 4 }, () => openPostgres(url, { schema, sharePool: false }));
    await Promise.all(stores.map((store, index) => store.session('race').addItems([message(String(index))])));
    expect(await stores[0]?.session('race').getItems()).toHaveLength(4);
    await Promise.all(stores.map((store) => store.close()));

    const hand = `${schema}_hand`;
    await using store = openPostgres(url, { schema: hand, createTables: false });
    await expect(store.session('a').getItems()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('run postgresSetup() by hand') as string,
    });
    for (const statement of postgresSetup({ schema: hand })) await admin.query(statement);
    expect(await store.session('a').getItems()).toEqual([]);
    await using again = openPostgres(url, { schema: hand });
    expect(await again.session('a').getItems()).toEqual([]);
  });

  test('works on a pool of the caller and leaves it open', async () => {
    const pool = new Pool({ connectionString: url, max: 2 });
    const store = openPostgres({ pool }, { schema });
    await store.session('pool').addItems([message('one')]);
    await store.close();
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });

  test('shares connections between stores of one target, until the last one closes', async () => {
    const connections = async (): Promise<number> => {
      const { rows } = await admin.query<{ count: string }>(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'strongroom' AND query LIKE $1",
        [`%${schema}%shared_%`],
      );
      return Number(rows[0]?.count);
    };
    const options = { schema, prefix: 'shared_', maxConnections: 1 };
    const stores = Array.from({ length: 5 }, () => openPostgres(url, { ...options, poolKey: schema }));
    await Promise.all(stores.map((store) => store.session('a').getItems()));
    await stores[0]?.close();
    await stores[0]?.close();
    expect(await stores[1]?.session('a').getItems()).toEqual([]);
    await Promise.all(stores.map((store) => store.close()));
    // The server takes a moment to see that a connection is gone.
    await vi.waitFor(async () => expect(await connections()).toBe(0), { timeout: 5_000 });
  });

  test('prepares statements once a connection, and does not behind a proxy that shares connections', async () => {
    const pool = new Pool({ connectionString: url, max: 1 });
    const query = async (sql: string): Promise<unknown[]> => (await pool.query<object>(sql)).rows;
    const plans = "SELECT name FROM pg_prepared_statements WHERE name LIKE 'strongroom%'";
    await using store = openPostgres({ pool }, { schema });
    const session = store.session('proxy');
    await session.addItems([message('one')]);
    expect(await query(plans)).toHaveLength(1);
    // The connection of another client behind the proxy: the driver remembers what this one never prepared.
    await query('DEALLOCATE ALL');
    await session.addItems([message('two')]);
    expect(await session.getItems()).toEqual([message('one'), message('two')]);
    expect(await session.popItem()).toEqual(message('two'));
    expect(await query(plans)).toEqual([]);
    await pool.end();
  });

  test('keeps its history when connections are cut', async () => {
    await using store = openPostgres(url, { schema, sharePool: false, maxConnections: 2 });
    const session = store.session('cut');
    await session.addItems([message('before')]);
    const cut = (): Promise<unknown> =>
      admin.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'strongroom' AND query LIKE $1",
        [`%"${schema}"%`],
      );
    await cut();
    expect(await session.getItems()).toEqual([message('before')]);
    await cut();
    // A write that meets the dead connection may say that it does not know; it never stores half.
    const write = (): Promise<void> =>
      session.applyHistoryTransaction({
        operationId: 'after',
        transaction: { type: 'append_items', items: [message('after')] },
      });
    await write().catch(write);
    expect(await session[OPERATIONS].has('after')).toBe(true);
    expect(await session.getItems()).toEqual([message('before'), message('after')]);
  });

  test('says that a database is read-only and that a lock is held too long, and writes nothing', async () => {
    const pool = new Pool({ connectionString: url, options: '-c default_transaction_read_only=on' });
    await using readOnly = openPostgres({ pool }, { schema, createTables: false });
    await expect(readOnly.session('ro').addItems([message('x')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: 'openPostgres: the database is read-only. Nothing was written. See the cause.',
    });
    expect(await readOnly.session('ro').getItems()).toEqual([]);
    await pool.end();

    await using store = openPostgres(url, { schema, timeout: 300, sharePool: false });
    const session = store.session('locked');
    await session.addItems([message('before')]);
    await admin.query('BEGIN');
    await admin.query(`SELECT 1 FROM ${schema}.strongroom_sessions WHERE id = 'locked' FOR UPDATE`);
    await expect(session.popItem()).rejects.toMatchObject({ code: 'ERR_STORE' });
    await admin.query('ROLLBACK');
    expect(await session.getItems()).toEqual([message('before')]);
  });
});

describe.skipIf(withoutBinaries('PostgreSQL', 'passwords that change'))(
  'openPostgres with a password provider',
  () => {
    let server: OwnServer;
    let admin: Client;
    beforeAll(async () => {
      server = await ownServer('PostgreSQL', { password: 'first' });
      await server.start();
      admin = new Client(server.url);
      await admin.connect();
    }, 60_000);
    afterAll(async () => {
      await admin.end();
      await server.destroy();
    });

    test('keeps working while the password of its role changes under traffic', async () => {
      await admin.query("CREATE ROLE app LOGIN PASSWORD 'first'");
      await admin.query('GRANT CREATE ON DATABASE postgres TO app');
      const target = new URL(server.url);
      target.username = 'app';
      target.password = '';
      let password = 'first';
      let expiresAt = Date.now() + 60_000;
      let asked = 0;
      await using store = openPostgres(target.href, {
        schema: 'rotating',
        maxConnections: 4,
        password: async () => {
          asked++;
          return Promise.resolve({ password, expiresAt });
        },
      });
      const written: string[] = [];
      const write = async (text: string): Promise<void> => {
        await store.session(`s${written.length % 5}`).addItems([message(text)]);
        written.push(text);
      };
      await Promise.all(Array.from({ length: 20 }, (_, n) => write(`first ${n}`)));
      expect(asked).toBe(1);
      // The token is replaced, and what was opened with it is cut, as managed databases do.
      await admin.query("ALTER ROLE app PASSWORD 'second'");
      password = 'second';
      expiresAt = Date.now() + 120_000;
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
      try {
        await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
        for (let n = 0; n < 20; n++) await write(`second ${n}`);
      } finally {
        vi.useRealTimers();
      }
      expect(asked).toBe(2);
      let items = 0;
      for await (const summary of store.sessions()) items += summary.items;
      expect(items).toBe(written.length);
    });

    test('says that a password is wrong, without showing it', async () => {
      const wrong = new URL(server.url);
      wrong.password = 'hunter2';
      await using store = openPostgres(wrong.href, { sharePool: false });
      const error = await store.ping().catch((failure: unknown) => failure as Error);
      expect(error).toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringContaining('refused the password') as string,
      });
      expect((error as Error).message).not.toContain('hunter2');
    });
  },
);
