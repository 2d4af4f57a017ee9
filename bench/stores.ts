import { PGlite } from '@electric-sql/pglite';
import { createPool } from 'mysql2/promise';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { createClient } from 'redis';
import { openMysql } from '../src/stores/mysql.ts';
import { openPostgres } from '../src/stores/postgres.ts';
import { openRedis } from '../src/stores/redis.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { conversation } from './items.ts';
import {
  minimalMysql,
  minimalPostgres,
  minimalRedis,
  minimalSqlite,
  type MinimalSession,
} from './minimal-sessions.ts';
import { compare, type Result } from './rounds.ts';

/** A database with a session written by hand and one of ours over the same driver. */
export interface Pair {
  minimal(id: string): MinimalSession;
  ours(id: string): MinimalSession;
  close(): Promise<void>;
}

const NAME = `strongroom_bench_${process.pid}`;
const URLS = {
  postgres: process.env['TEST_POSTGRES_URL'] ?? 'postgres://postgres@127.0.0.1:5432/test',
  mysql: process.env['TEST_MYSQL_URL'] ?? 'mysql://root@127.0.0.1:3306/test',
  redis: process.env['TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379',
};

/** Each rejects when the server does not answer. */
export const PAIRS: Readonly<Record<string, () => Promise<Pair>>> = {
  async SQLite() {
    const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
    const store = openSqlite(join(folder, 'ours.db'));
    const minimal = minimalSqlite(join(folder, 'minimal.db'));
    return {
      minimal,
      ours: (id) => store.session(id),
      async close() {
        await store.close();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },

  async PGlite() {
    const [database, other] = [new PGlite(), new PGlite()];
    const store = openPostgres({ pool: database });
    const minimal = await minimalPostgres(other as unknown as Pool, NAME);
    return {
      minimal,
      ours: (id) => store.session(id),
      async close() {
        await store.close();
        await Promise.all([database.close(), other.close()]);
      },
    };
  },

  async PostgreSQL() {
    const pool = new Pool({ connectionString: URLS.postgres });
    const store = openPostgres({ pool }, { schema: NAME });
    await store.ping();
    const minimal = await minimalPostgres(pool, NAME);
    return {
      minimal,
      ours: (id) => store.session(id),
      async close() {
        await store.close();
        await pool.query(`DROP SCHEMA ${NAME} CASCADE`);
        await pool.query(`DROP TABLE ${NAME}`);
        await pool.end();
      },
    };
  },

  async MariaDB() {
    const pool = createPool({ uri: URLS.mysql });
    const store = openMysql({ pool }, { prefix: `${NAME}_` });
    await store.ping();
    const minimal = await minimalMysql(pool, NAME);
    return {
      minimal,
      ours: (id) => store.session(id),
      async close() {
        await store.close();
        const [tables] = await pool.query(`SHOW TABLES LIKE '${NAME}%'`);
        const names = (tables as object[]).flatMap((row) => Object.values(row) as string[]);
        await pool.query(`DROP TABLE ${names.join(', ')}`);
        await pool.end();
      },
    };
  },

  async Redis() {
    const client = createClient({ url: URLS.redis });
    await client.connect();
    const store = openRedis({ client }, { prefix: NAME });
    const minimal = minimalRedis(client, `${NAME}_minimal`);
    return {
      minimal,
      ours: (id) => store.session(id),
      async close() {
        await store.close();
        for await (const keys of client.scanIterator({ MATCH: `${NAME}*`, COUNT: 1_000 })) {
          if (keys.length > 0) await client.del(keys);
        }
        await client.close();
      },
    };
  },
};

/** Items of one append: what a turn of a conversation adds. */
export const TURN = 4;

/** What is measured of both sessions of a pair over a history of `count` items. */
export interface PairResults {
  readonly append: Result[];
  readonly read: Result[];
  readonly tail: Result[];
}

/** @param length Characters of text in an item. */
export async function measurePair(
  pair: Pair,
  { count, length, rounds }: { readonly count: number; readonly length: number; readonly rounds: number },
): Promise<PairResults> {
  const id = `history of ${count} and ${length}`;
  const sessions = [
    { name: 'written by hand', session: pair.minimal(id) },
    { name: 'strongroom', session: pair.ours(id) },
  ];
  for (const { session } of sessions) {
    for (let from = 0; from < count; from += 500) {
      await session.addItems(conversation(Math.min(500, count - from), from, length));
    }
  }
  const turn = conversation(TURN, count, length);
  const measure = (runs: number, work: (session: MinimalSession) => Promise<unknown>): Promise<Result[]> =>
    compare(
      sessions.map(({ name, session }) => ({ name, prepare: () => () => work(session) })),
      { rounds, runs },
    );
  const read = await measure(Math.max(5, Math.round(2_000 / count)), (session) => session.getItems());
  const tail = await measure(100, (session) => session.getItems(20));
  const append = await measure(100, (session) => session.addItems(turn));
  return { append, read, tail };
}
