import type { AgentInputItem } from '@openai/agents';
import type { createPool } from 'mysql2/promise';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Pool } from 'pg';

/** The two members of a session that are measured. */
export interface SessionByHand {
  readonly getItems: (limit?: number) => Promise<AgentInputItem[]>;
  readonly addItems: (items: AgentInputItem[]) => Promise<void>;
}

// Sessions written by hand for each driver: one table or list, the item as JSON, one statement a call. They do not
// number the items of a session (so two processes that append at once can mix their items), have no log of
// operations, no data keys, no expiry and no owner, keep no order among calls that are not awaited, and wait
// without a limit.

/** Every statement prepared once, with the settings that `openSqlite()` has, too. */
export function handWrittenSqlite(path: string): {
  readonly session: (id: string) => SessionByHand;
  readonly close: () => void;
} {
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, session TEXT NOT NULL, item TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS items_by_session ON items (session, id)`);
  const [begin, commit, rollback] = ['BEGIN IMMEDIATE', 'COMMIT', 'ROLLBACK'].map((sql) =>
    database.prepare(sql),
  ) as [StatementSync, StatementSync, StatementSync];
  const insert = database.prepare('INSERT INTO items (session, item) VALUES (?, ?)');
  const all = database.prepare('SELECT item FROM items WHERE session = ? ORDER BY id');
  const last = database.prepare('SELECT item FROM items WHERE session = ? ORDER BY id DESC LIMIT ?');
  return {
    session: (id) => ({
      async getItems(limit) {
        const rows = limit === undefined ? all.all(id) : last.all(id, limit).reverse();
        return rows.map(({ item }) => JSON.parse(item as string) as AgentInputItem);
      },
      async addItems(items) {
        begin.run();
        try {
          for (const item of items) insert.run(id, JSON.stringify(item));
          commit.run();
        } catch (error) {
          rollback.run();
          throw error;
        }
      },
    }),
    close: () => database.close(),
  };
}

export async function handWrittenPostgres(
  pool: Pick<Pool, 'query'>,
  table: string,
): Promise<(id: string) => SessionByHand> {
  await pool.query(
    `CREATE TABLE ${table} (id bigserial PRIMARY KEY, session text NOT NULL, item text NOT NULL)`,
  );
  await pool.query(`CREATE INDEX ON ${table} (session, id)`);
  return (id) => ({
    async getItems(limit) {
      const { rows } = await pool.query<{ item: string }>(
        `SELECT item FROM ${table} WHERE session = $1 ORDER BY id DESC LIMIT $2`,
        [id, limit ?? null],
      );
      return rows.reverse().map(({ item }) => JSON.parse(item) as AgentInputItem);
    },
    async addItems(items) {
      const rows = items.map((_, index) => `($1, $${index + 2})`);
      await pool.query(`INSERT INTO ${table} (session, item) VALUES ${rows.join(', ')}`, [
        id,
        ...items.map((item) => JSON.stringify(item)),
      ]);
    },
  });
}

export async function handWrittenMysql(
  pool: Pick<ReturnType<typeof createPool>, 'query'>,
  table: string,
): Promise<(id: string) => SessionByHand> {
  await pool.query(`CREATE TABLE ${table} (
    id bigint AUTO_INCREMENT PRIMARY KEY, session varchar(255) NOT NULL, item longtext NOT NULL, KEY (session, id))`);
  return (id) => ({
    async getItems(limit) {
      const [rows] = await pool.query(
        `SELECT item FROM ${table} WHERE session = ? ORDER BY id DESC LIMIT ?`,
        [id, limit ?? Number.MAX_SAFE_INTEGER],
      );
      return (rows as { item: string }[]).reverse().map(({ item }) => JSON.parse(item) as AgentInputItem);
    },
    async addItems(items) {
      await pool.query(`INSERT INTO ${table} (session, item) VALUES ?`, [
        items.map((item) => [id, JSON.stringify(item)]),
      ]);
    },
  });
}

export function handWrittenRedis(
  client: {
    rPush(key: string, values: string[]): Promise<unknown>;
    lRange(key: string, start: number, stop: number): Promise<string[]>;
  },
  prefix: string,
): (id: string) => SessionByHand {
  return (id) => ({
    async getItems(limit) {
      const items = await client.lRange(`${prefix}:${id}`, limit === undefined ? 0 : -limit, -1);
      return items.map((item) => JSON.parse(item) as AgentInputItem);
    },
    async addItems(items) {
      await client.rPush(
        `${prefix}:${id}`,
        items.map((item) => JSON.stringify(item)),
      );
    },
  });
}
