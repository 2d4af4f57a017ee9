import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { PGlite } from '@electric-sql/pglite';
import type { AgentInputItem, Session } from '@openai/agents';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cache } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import type { Layers } from '../../src/layer.ts';
import { openMysql } from '../../src/stores/mysql.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/fixed-keyring.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { emptyPGlite } from './empty-pglite.ts';
import { temporaryFolder } from './folder.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { announce, uniqueName, type ServerName } from './servers.ts';
import { VERSION } from '../../src/session-contract.ts';

// Stores that lose their last moments while a process goes on that has read them: a server that was killed before it wrote,
// a standby that was promoted, a backup that was restored.

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** A database that can be put back to what it was. */
interface Past {
  open(): Store<StoreSession>;
  remember(): Promise<void>;
  /** Makes it what it was when it was told to remember. */
  restore(): Promise<void>;
}

const STACKS: Readonly<Record<string, () => Layers>> = {
  'sealed items': () => [cache({ maxItems: 1_000 }), encrypt({ keys: fixedKeyring() })],
  'plain items': () => [cache({ maxItems: 1_000 })],
};

/** How the session is changed: as much before the loss as after it, so that a count is the same. */
const CHANGES: Readonly<Record<string, (session: StoreSession, what: string) => Promise<void>>> = {
  async 'two appends'(session, what) {
    await session.addItems([message(`${what} 1`)]);
    await session.addItems([message(`${what} 2`)]);
  },
  async 'an append of two items'(session, what) {
    await session.addItems([message(`${what} 1`), message(`${what} 2`)]);
  },
  async 'an item in the place of another'(session, what) {
    await session.popItem();
    await session.addItems([message(what)]);
  },
  async 'a cleared history'(session, what) {
    await session.clearSession();
    await session.addItems([message(what)]);
  },
};

/** @param changes Restarting a server takes its time. */
function suite(past: Past, changes: readonly string[] = Object.keys(CHANGES)): void {
  for (const [kind, layers] of Object.entries(STACKS)) {
    test.each(changes)(
      `a cache over ${kind} shows the store's records after it lost %s and got others`,
      async (name) => {
        const change = CHANGES[name] as (typeof CHANGES)[string];
        const id = uniqueName('past');
        await using store = past.open();
        const cached = wrapStore(store, layers()).session(id);
        await cached.addItems([message('first'), message('second')]);
        await past.remember();
        await change(cached as unknown as StoreSession, 'lost');
        expect((await cached.getItems()).map(contentOf).join()).toContain('lost');
        const version = await store.session(id)[VERSION].read();
        await past.restore();
        await using other = past.open();
        const foreign = wrapStore(other, layers()).session(id);
        await change(foreign as unknown as StoreSession, 'found');
        const found = await foreign.getItems();
        expect(found.map(contentOf).join()).toContain('found');
        expect(await store.session(id)[VERSION].read()).not.toBe(version);
        expect(await cached.getItems()).toEqual(found);
      },
    );
  }

  test('a cache does not take an append by another process for its own append that was lost', async () => {
    await using store = past.open();
    const { cached, find } = await begun(past, store);
    await cached.getItems();
    await past.remember();
    await cached.addItems([message('lost 1'), message('lost 2')]);
    await past.restore();
    await find();
    expect(await cached.getItems()).toEqual(['first', 'found 1', 'found 2'].map(message));
  });

  test('a cache that appends after the loss does not return lost records', async () => {
    await using store = past.open();
    const { cached, find } = await begun(past, store);
    await past.remember();
    await cached.addItems([message('lost 1'), message('lost 2')]);
    expect(await cached.getItems()).toHaveLength(3);
    await past.restore();
    await find();
    await cached.addItems([message('own')]);
    const expected = ['first', 'found 1', 'found 2', 'own'].map(message);
    expect(await cached.getItems()).toEqual(expected);
    expect(await cached.getItems()).toEqual(expected);
  });
}

/** A cached session with one item, and an append to it by another process. */
async function begun(
  past: Past,
  store: Store<StoreSession>,
): Promise<{ readonly cached: Session; readonly find: () => Promise<void> }> {
  const id = uniqueName('past');
  const layers = [cache({ maxItems: 1_000 }), encrypt({ keys: fixedKeyring() })];
  const cached = wrapStore(store, layers).session(id);
  await cached.addItems([message('first')]);
  return {
    cached,
    async find() {
      await using other = past.open();
      await wrapStore(other, layers)
        .session(id)
        .addItems([message('found 1'), message('found 2')]);
    },
  };
}

function contentOf(item: AgentInputItem | undefined): string {
  return (item as { content?: string } | undefined)?.content ?? '';
}

describe('SQLite that goes back in time', () => {
  const path = temporaryFolder()('past.db');
  const TABLES = ['sessions', 'items', 'deks'];
  const run = (sql: (table: string) => string): Promise<void> => {
    const database = new DatabaseSync(path);
    for (const table of TABLES) database.exec(sql(table));
    database.close();
    return Promise.resolve();
  };
  suite({
    open: () => openSqlite(path),
    remember: () =>
      run(
        (table) =>
          `DROP TABLE IF EXISTS past_${table}; CREATE TABLE past_${table} AS SELECT * FROM strongroom_${table}`,
      ),
    restore: () =>
      run(
        (table) =>
          `DELETE FROM strongroom_${table}; INSERT INTO strongroom_${table} SELECT * FROM past_${table}`,
      ),
  });
});

describe('PGlite that goes back in time', () => {
  let database: PGlite;
  beforeAll(async () => {
    database = await emptyPGlite();
  });
  afterAll(() => database.close());
  const TABLES = ['sessions', 'items', 'deks'];
  suite({
    open: () => openPostgres({ pool: database }),
    async remember() {
      for (const table of TABLES) {
        await database.exec(
          `DROP TABLE IF EXISTS past_${table}; CREATE TABLE past_${table} AS SELECT * FROM strongroom_${table}`,
        );
      }
    },
    async restore() {
      for (const table of TABLES) {
        await database.exec(
          `DELETE FROM strongroom_${table}; INSERT INTO strongroom_${table} OVERRIDING SYSTEM VALUE SELECT * FROM past_${table}`,
        );
      }
    },
  });
});

const SERVERS: Readonly<Record<ServerName, (url: string) => Store<StoreSession>>> = {
  PostgreSQL: (url) => openPostgres(url, { maxConnections: 2, sharePool: false }),
  MariaDB: (url) => openMysql(url, { maxConnections: 2, sharePool: false }),
  Redis: (url) => openRedis(url),
};

describe.each(Object.entries(SERVERS))('%s that is killed and restored from an older copy', (name, open) => {
  const kind = name as ServerName;
  const absent = withoutBinaries(kind, `${kind} that goes back in time`);
  describe.skipIf(absent)('restored', () => {
    let server: OwnServer;
    beforeAll(async () => {
      server = await ownServer(kind);
      await server.start();
    }, 120_000);
    afterAll(() => server?.destroy());
    const data = (): string =>
      kind === 'Redis' ? join(server.folder, 'appendonlydir') : join(server.folder, 'data');
    const copy = (): string => join(server.folder, 'copy');
    suite(
      {
        open: () => open(server.url),
        async remember() {
          await server.kill('SIGTERM');
          rmSync(copy(), { recursive: true, force: true });
          execFileSync('cp', ['-a', data(), copy()]);
          await server.start();
        },
        async restore() {
          await server.kill('SIGKILL');
          rmSync(data(), { recursive: true, force: true });
          execFileSync('cp', ['-a', copy(), data()]);
          await server.start();
        },
      },
      ['two appends'],
    );
  });
});

const redis = await announce('Redis', 'Redis, keys restored');
describe.skipIf(redis.absent)(
  'Redis whose keys are restored while the server and its connections go on',
  () => {
    const prefix = uniqueName('past');
    const client = createClient({ url: redis.url });
    beforeAll(async () => {
      await client.connect();
    });
    const clear = async (): Promise<void> => {
      for await (const keys of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 500 })) {
        if (keys.length > 0) await client.unlink(keys);
      }
    };
    afterAll(async () => {
      await clear();
      await client.close();
    });
    let dump: [string, unknown][] = [];
    const binary = client.withTypeMapping({ 36: Buffer } as never) as unknown as typeof client;
    suite({
      open: () => openRedis(redis.url, { prefix }),
      async remember() {
        dump = [];
        for (const key of await client.keys(`${prefix}:*`)) {
          dump.push([key, await binary.sendCommand(['DUMP', key])]);
        }
      },
      async restore() {
        await clear();
        for (const [key, value] of dump) await client.sendCommand(['RESTORE', key, '0', value as Buffer]);
      },
    });
  },
);
