import type { Session } from '@openai/agents';
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
import {
  handWrittenMysql,
  handWrittenPostgres,
  handWrittenRedis,
  handWrittenSqlite,
  type SessionByHand,
} from './sessions-by-hand.ts';

/** A database with a session written by hand and one of ours over the same driver. */
export interface Pair {
  readonly byHand: (id: string) => SessionByHand;
  readonly ours: (id: string) => Session;
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
    const byHand = handWrittenSqlite(join(folder, 'by-hand.db'));
    return {
      byHand: byHand.session,
      ours: (id) => store.session(id),
      async close() {
        byHand.close();
        await store.close();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },

  async PGlite() {
    const [database, other] = [new PGlite(), new PGlite()];
    const store = openPostgres({ pool: database });
    const byHand = await handWrittenPostgres(other as unknown as Pool, NAME);
    return {
      byHand,
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
    const byHand = await handWrittenPostgres(pool, NAME);
    return {
      byHand,
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
    const byHand = await handWrittenMysql(pool, NAME);
    return {
      byHand,
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
    const byHand = handWrittenRedis(client, `${NAME}_by_hand`);
    return {
      byHand,
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
