import type { AgentInputItem } from '@openai/agents';
import { createPool, type Pool, type PoolOptions } from 'mysql2/promise';
import { afterAll, describe, expect, test } from 'vitest';
import type { MysqlConnection, MysqlPool } from '../../src/stores/mysql/pool.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { dropMysqlTables } from './cleaning.ts';
import { announce, uniqueName } from './servers.ts';

// An application shares its pool with the store, and leaves its connections in any state.

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const { url, absent } = await announce('MariaDB', 'openMysql on a pool that others use too');

/** Ids that would be another statement, or another id, if they were not sent as values. */
const HOSTILE = [
  "x\\' OR 1=1 -- ",
  "x' OR 1=1 -- ",
  'x\\" OR 1=1 -- ',
  '\\',
  "'",
  '?',
  'user-Zoë',
  'user-Zoé',
  'u-Ālan',
  'u-Ȁlan',
  '😀',
];

/** What an application may do to a connection before it gives it back. */
const LEFT_BEHIND = [
  "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
  "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'",
  "SET SESSION sql_mode = 'ORACLE,EMPTY_STRING_IS_NULL'",
  "SET SESSION sql_mode = ''",
  'SET SESSION autocommit = 0',
  'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
  'SET NAMES latin1',
  'SET NAMES cp1251',
  'SET character_set_results = greek',
  'START TRANSACTION',
];

/** A connection without prepared statements, as a proxy may lend it. */
function withoutExecute(pool: Pool): MysqlPool {
  return {
    async getConnection() {
      const connection = await pool.getConnection();
      return {
        query: (statement) => connection.query(statement),
        release: () => connection.release(),
        destroy: () => connection.destroy(),
      } satisfies MysqlConnection;
    },
    end: () => pool.end(),
  };
}

describe.skipIf(absent)('openMysql on a pool that others use too', () => {
  const prefix = `${uniqueName('shared')}_`;
  const pools: Pool[] = [];
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.end()));
    await dropMysqlTables(url, prefix);
  });
  const poolOf = (options: PoolOptions = {}): Pool => {
    const pool = createPool({ uri: url, connectionLimit: 1, ...options });
    pools.push(pool);
    return pool;
  };

  describe.each([
    ['prepared statements', (pool: Pool): MysqlPool => pool],
    ['statements as text', withoutExecute],
  ])('with %s', (_name, form) => {
    test.each(LEFT_BEHIND)('keeps every session apart after %s', async (statement) => {
      const pool = poolOf();
      const store = openMysql({ pool: form(pool) }, { prefix });
      const other = openMysql(url, { prefix });
      const idOf = (id: string): string => `${statement} ${id}`;
      for (const id of HOSTILE) {
        await pool.query(statement);
        await store.session(idOf(id)).addItems([message(id)]);
        await pool.query(statement);
        await store.session(idOf(id)).replaceHistoryWithCompaction([message(`${id} 2`), message(id)]);
        // What was acknowledged is committed: somebody else sees it.
        expect(await other.session(idOf(id)).getItems()).toEqual([message(`${id} 2`), message(id)]);
        // What somebody else commits is seen: no transaction was left open.
        await other.session(idOf(id)).addItems([message('3')]);
        await pool.query(statement);
        expect(await store.session(idOf(id)).getItems(1)).toEqual([message('3')]);
      }
      const evil = HOSTILE[0] as string;
      await pool.query(statement);
      await store.session(idOf(evil)).clearSession();
      await pool.query(statement);
      await store.deleteSession(idOf(evil));
      expect(await store.session(idOf(evil)).getItems()).toEqual([]);
      for (const id of HOSTILE.slice(1)) {
        expect(await other.session(idOf(id)).getItems()).toHaveLength(3);
        await other.deleteSession(idOf(id));
      }
      await other.close();
      await store.close();
    });
  });

  test.each(['cp1251', 'greek', 'latin1', 'koi8r', 'sjis', 'ascii'])(
    'loses no text and no id to the charset %s of the pool',
    async (charset) => {
      const store = openMysql({ pool: poolOf({ charset }) }, { prefix });
      const subject = `Zoë 😀 ${charset}`;
      for (const id of HOSTILE) await store.session(`${charset} ${id}`, { subject }).addItems([message(id)]);
      for (const id of HOSTILE) {
        expect(await store.session(`${charset} ${id}`).getItems()).toEqual([message(id)]);
        await store.deleteSession(`${charset} ${id}`);
      }
      await store.close();
    },
  );

  test('has its settings in each of its transactions, even if a release resets the connection', async () => {
    const seen: unknown[] = [];
    for (const resetOnRelease of [false, true]) {
      const pool = poolOf({ resetOnRelease });
      const watched: MysqlPool = {
        async getConnection() {
          const connection = await pool.getConnection();
          return {
            query: async (statement) => {
              if (statement.sql === 'COMMIT') {
                const [rows] = await connection.query(
                  `SELECT @@autocommit AS autocommit, @@sql_mode AS mode, @@tx_isolation AS isolation,
                     @@innodb_lock_wait_timeout AS wait`,
                );
                seen.push((rows as unknown[])[0]);
              }
              return await connection.query(statement);
            },
            execute: (statement, values) => connection.execute(statement, values),
            release: () => connection.release(),
            destroy: () => connection.destroy(),
          };
        },
        end: () => pool.end(),
      };
      const store = openMysql({ pool: watched }, { prefix, timeout: '7s' });
      await store.ping();
      seen.length = 0;
      await store.session('a').addItems([message('1')]);
      await pool.query("SET SESSION sql_mode = '', innodb_lock_wait_timeout = 50, autocommit = 0");
      await store.session('a').clearSession();
      await store.session('a').replaceHistoryWithCompaction([message('2')]);
      await store.deleteSession('a');
      const settings = {
        autocommit: 1,
        mode: 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
        isolation: 'READ-COMMITTED',
        wait: 7,
      };
      expect(seen).toEqual([settings, settings, settings]);
      await store.close();
    }
  });

  test('costs a read and an append no more round trips than on its own connections', async () => {
    const pool = poolOf();
    let commands = 0;
    const counted: MysqlPool = {
      async getConnection() {
        const connection = await pool.getConnection();
        return {
          query: (statement) => (commands++, connection.query(statement)),
          execute: (statement, values) => (commands++, connection.execute(statement, values)),
          release: () => connection.release(),
          destroy: () => connection.destroy(),
        };
      },
      end: () => pool.end(),
    };
    const store = openMysql({ pool: counted }, { prefix });
    const session = store.session('counted');
    await session.addItems([message('1')]);
    await session.getItems();
    commands = 0;
    await session.addItems([message('2')]);
    expect(commands).toBe(1);
    expect(await session.getItems()).toHaveLength(2);
    expect(commands).toBe(2);
    await store.deleteSession('counted');
    await store.close();
  });

  test('refuses a driver that would convert text to the charset of the pool', async () => {
    const pool = poolOf({ charset: 'latin1' });
    const old: MysqlPool = {
      async getConnection() {
        const connection = await pool.getConnection();
        // As mysql2 did once: bytes are sent as text.
        return {
          query: (statement) => connection.query(statement),
          execute: (statement, values = []) =>
            connection.execute(
              statement,
              values.map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : value)),
            ),
          release: () => connection.release(),
          destroy: () => connection.destroy(),
        };
      },
      end: () => pool.end(),
    };
    const store = openMysql({ pool: old }, { prefix });
    await expect(store.session('a').addItems([message('ë')])).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message:
        'openMysql: the pool has the charset "latin1", and this version of mysql2 converts bytes to it, so text ' +
        "would be lost. Create the pool with charset: 'utf8mb4', or update mysql2.",
    });
    await store.close();
  });
});
