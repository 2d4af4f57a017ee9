import { DatabaseSync } from 'node:sqlite';
import type { PGlite } from '@electric-sql/pglite';
import type { AgentInputItem } from '@openai/agents';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';
import { encrypt, expire, wrapStore } from '../../src/index.ts';
import { sqliteDekStore } from '../../src/operations/index.ts';
import { fixedKeyring } from '../../src/testing/index.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DekRecord } from '../../src/keys/dek-store.ts';
import { mysqlSetup, openMysql } from '../../src/stores/mysql.ts';
import { openPostgres, postgresSetup } from '../../src/stores/postgres.ts';
import { openRedis } from '../../src/stores/redis.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { deleteRedisKeys, dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { emptyPGlite } from './empty-pglite.ts';
import { temporaryFolder } from './folder.ts';
import * as fixtures from './schema-fixtures.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { announce, uniqueName } from './servers.ts';
import { startWriter } from './writer.ts';
import { derivedId } from '../../src/derived-id.ts';
import { DEK_STORE, MAINTENANCE } from '../../src/session-contract.ts';

const NOW = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

/** What is in every fixture, and that it can be lived with; which sessions are left in the end. */
async function goesOn(open: (clock: () => number) => Store<StoreSession>): Promise<string[]> {
  const clock = (): number => NOW;
  await using store = open(clock);
  await using other = open(clock);
  const layers = [expire({ after: '30d', clock }), encrypt({ keys: fixedKeyring('fixture') })];
  const sealed = wrapStore(store, layers);
  const plain = store.session('plain', { subject: 'ada' });
  // Two that open at once.
  const [items, sealedItems] = await Promise.all([
    plain.getItems(),
    wrapStore(other, layers).session('sealed: ü {1}').getItems(),
  ]);
  expect(items).toEqual(['one', 'two', 'three'].map(message));
  expect(sealedItems).toEqual(['four', 'five'].map(message));
  expect(await store.session('deleted').getItems()).toEqual([]);
  expect(await store.session('cleared').getItems()).toEqual([]);

  const repeated = {
    operationId: 'operation-1',
    transaction: { type: 'append_items' as const, items: [message('three')] },
  };
  await plain.applyHistoryTransaction(repeated);
  await plain.addItems([message('more')]);
  expect(await other.session('plain').popItem()).toEqual(message('more'));
  expect(await plain.getItems()).toEqual(['one', 'two', 'three'].map(message));
  await sealed.session('sealed: ü {1}').addItems([message('more')]);
  expect(await sealed.session('sealed: ü {1}').getItems()).toEqual(['four', 'five', 'more'].map(message));
  await store.session('cleared').addItems([message('again')]);
  expect(await store.session('cleared').getItems()).toEqual([message('again')]);

  const listed = await all(store.sessions());
  expect(Object.fromEntries(listed.map(({ id, items: count }) => [id, count]))).toEqual({
    plain: 3,
    'sealed: ü {1}': 3,
    expires: 1,
    held: 1,
    cleared: 1,
  });
  expect((await all(store.sessions({ subject: 'ada' }))).map(({ id }) => id)).toEqual(['plain']);
  await expect(store.deleteSession('held')).rejects.toMatchObject({ code: 'ERR_HELD' });
  const deks = store.session('plain')[DEK_STORE];
  const keys = await all<DekRecord>(deks.list());
  expect(new Set(keys.map(({ sessionId }) => sessionId))).toEqual(new Set(['sealed: ü {1}', 'expires']));
  await using later = open(() => NOW + 31 * DAY);
  expect(await later.purgeExpired()).toEqual({ items: 4, sessions: 2 });
  expect(await later.purgeExpired({ after: '31d' })).toEqual({ items: 4, sessions: 2 });
  return (await all(store.sessions())).map(({ id }) => id);
}

/** What one kind of database is asked for. */
interface Kind {
  /** Makes the fixture's database in a place of its own. */
  restore(version: string, renamed?: fixtures.Renamed): Promise<string>;
  open(
    place: string,
    options?: { readonly clock?: () => number; readonly createTables?: boolean },
  ): Store<StoreSession>;
  /** Its tables, as far as they differ from version to version; of keys, which there are. */
  describe(place: string): Promise<unknown>;
}

function suite(kind: Kind): void {
  test.each(fixtures.FIXTURES)('opens a database of %s, and works with it', async (version) => {
    const place = await kind.restore(version);
    expect(await goesOn((clock) => kind.open(place, { clock }))).toEqual(['held']);
  });

  // From v4 on, each session is stored with its conversation, and a row of the fixture cannot be renamed.
  test.each(fixtures.FIXTURES.filter((version) => version < 'v4'))(
    'finds the derived sessions of a conversation of %s',
    async (version) => {
      const place = await kind.restore(version, { from: 'cleared', to: TWIG });
      await using store = kind.open(place);
      expect(await store[MAINTENANCE]?.tree('plain')).toEqual([TWIG]);
      await store.session(TWIG, { derived: true }).addItems([message('one')]);
      expect((await all(store.sessions({ subject: 'ada', derived: true }))).map(({ id }) => id)).toEqual([
        TWIG,
      ]);
      expect(await store.deleteSession('plain')).toEqual({ derived: { branch: 1 } });
    },
  );

  test.each(fixtures.FIXTURES)('migrates a database of %s to the schema of a new one', async (version) => {
    const [old, fresh] = [await kind.restore(version), uniqueName('schema')];
    for (const place of [old, fresh]) {
      await using store = kind.open(place);
      await store.session('new').addItems([message('one')]);
    }
    expect(await kind.describe(old)).toEqual(await kind.describe(fresh));
  });
}

/** A session that a function made before the databases knew what belongs to what. */
const TWIG = derivedId({
  kind: 'branch',
  of: derivedId({ kind: 'vault', of: 'plain', name: 'a%~' }),
  name: 'x\n',
});

/** @param target What another process opens: see open-store.ts. */
function severalProcesses(kind: Kind, target: (place: string) => [target: string, name: string]): void {
  test('lets several processes open an old database at once', async () => {
    const place = await kind.restore('v1');
    const [where, name] = target(place);
    const program = new URL('schema-process.ts', import.meta.url);
    const processes = [1, 2, 3].map((number) => startWriter(program, [where, name, `from ${number}`]));
    await Promise.all(processes.map((process) => process.said('ready')));
    for (const process of processes) process.tell('go');
    expect(await Promise.all(processes.map(({ ended }) => ended))).toEqual([0, 0, 0]);
    await using store = kind.open(place);
    const items = await store.session('plain').getItems();
    expect(items.slice(0, 3)).toEqual(['one', 'two', 'three'].map(message));
    expect(items.slice(3)).toHaveLength(3);
    expect(items.slice(3)).toEqual(
      expect.arrayContaining([1, 2, 3].map((number) => message(`from ${number}`))),
    );
  });
}

/** @param run Runs the statements of a set-up by hand from this version on. */
function settingUpByHand(
  kind: Kind,
  setup: string,
  run: (place: string, from?: number) => Promise<void>,
): void {
  test('refuses an old database where it may not change tables, and says how', async () => {
    const place = await kind.restore('v1');
    await using store = kind.open(place, { createTables: false });
    const refused = {
      code: 'ERR_UNSUPPORTED',
      message: expect.stringMatching(
        new RegExp(
          `^open\\w+: the database has schema version 1, this version of strongroom needs \\d+\\. Run the statements of ` +
            `${setup}\\(\\{ from: 1 \\}\\), or let the store create its tables; nothing was changed\\.$`,
        ),
      ) as string,
    };
    await expect(store.session('plain').getItems()).rejects.toMatchObject(refused);
    await expect(store.session('plain').addItems([message('never')])).rejects.toMatchObject(refused);
    await run(place, 1);
    expect(await store.session('plain').getItems()).toEqual(['one', 'two', 'three'].map(message));
    const fresh = uniqueName('schema');
    await run(fresh);
    expect(await kind.describe(place)).toEqual(await kind.describe(fresh));
  });
}

describe('SQLite, of an earlier version', () => {
  const file = temporaryFolder();
  const path = (place: string): string => file(`${place}.db`);
  const describeFile = (name: string): unknown => {
    const database = new DatabaseSync(name);
    const tables = database
      .prepare("SELECT type, name, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
      .all();
    const columns = tables
      .filter(({ type }) => type === 'table')
      .map(({ name: table }) => [
        table,
        database
          .prepare('SELECT name, type, "notnull", pk FROM pragma_table_info(?) ORDER BY name')
          .all(table as string),
      ]);
    const versions = database.prepare('SELECT max(version) AS version FROM strongroom_schema').all();
    database.close();
    return { tables, columns, versions };
  };
  const kind: Kind = {
    restore(version, renamed) {
      const place = uniqueName('schema');
      fixtures.restoreSqlite(version, path(place), 'sqlite', renamed);
      return Promise.resolve(place);
    },
    open: (place, { clock } = {}) => openSqlite(path(place), clock === undefined ? {} : { clock }),
    describe: (place) => Promise.resolve(describeFile(path(place))),
  };
  suite(kind);
  severalProcesses(kind, (place) => [path(place), '']);

  test.each(fixtures.FIXTURES)('opens the file of data keys of %s', async (version) => {
    const name = file(`${uniqueName('schema')}.db`);
    fixtures.restoreSqlite(version, name, 'deks.sqlite');
    const deks = sqliteDekStore(name, { clock: () => NOW });
    await deks.put({ sessionId: 'a', did: 'd3', kid: 'k', wrapped: 'wrapped 3', createdAt: NOW });
    expect((await all(deks.list())).map(({ wrapped }) => wrapped)).toEqual(['wrapped 1', 'wrapped 3']);
    expect(await deks.get('a', 'd2')).toEqual({ sessionId: 'a', did: 'd2', destroyedAt: NOW });
    await deks.close();
    const fresh = file(`${uniqueName('schema')}.db`);
    await using made = openSqlite(fresh);
    await made.ping();
    expect(describeFile(name)).toEqual(describeFile(fresh));
  });
});

const COLUMNS = `SELECT table_name, column_name, data_type, is_nullable, column_default IS NULL AS bare FROM information_schema.columns
  WHERE table_schema = $1 ORDER BY table_name, column_name`;
const INDEXES = `SELECT replace(indexdef, $1, '') AS definition FROM pg_indexes WHERE schemaname = $1 ORDER BY 1`;

describe('PGlite, of an earlier version', () => {
  let database: PGlite;
  beforeAll(async () => {
    database = await emptyPGlite();
  }, 120_000);
  afterAll(() => database.close());
  const kind: Kind = {
    async restore(version, renamed) {
      const place = uniqueName('schema');
      await fixtures.restorePGlite(version, database, place, renamed);
      return place;
    },
    open: (schema, options) => openPostgres({ pool: database }, { schema, ...options }),
    async describe(place) {
      const { rows: columns } = await database.query(COLUMNS, [place]);
      const { rows: indexes } = await database.query(INDEXES, [place]);
      return { columns, indexes };
    },
  };
  suite(kind);
  settingUpByHand(kind, 'postgresSetup', async (schema, from) => {
    const statements = postgresSetup({ schema, ...(from !== undefined && { from }) });
    for (const statement of statements) await database.query(statement);
  });
});

const postgres = await announce('PostgreSQL', 'PostgreSQL, of an earlier version');
describe.skipIf(postgres.absent)('PostgreSQL, of an earlier version', () => {
  const places: string[] = [];
  const admin = new Client(postgres.url);
  beforeAll(() => admin.connect());
  afterAll(async () => {
    await admin.end();
    for (const place of places) await dropPostgresSchema(postgres.url, place);
  });
  const keep = (place: string): string => {
    if (!places.includes(place)) places.push(place);
    return place;
  };
  const kind: Kind = {
    async restore(version, renamed) {
      const place = keep(uniqueName('schema'));
      await fixtures.restorePostgres(version, postgres.url, place, renamed);
      return place;
    },
    open: (schema, options) =>
      openPostgres(postgres.url, { schema: keep(schema), ...options, sharePool: false }),
    async describe(place) {
      const { rows: columns } = await admin.query(COLUMNS, [place]);
      const { rows: indexes } = await admin.query(INDEXES, [place]);
      return { columns, indexes };
    },
  };
  suite(kind);
  severalProcesses(kind, (place) => [postgres.url, place]);
  settingUpByHand(kind, 'postgresSetup', async (schema, from) => {
    const statements = postgresSetup({ schema: keep(schema), ...(from !== undefined && { from }) });
    for (const statement of statements) await admin.query(statement);
  });
});

/** @param url Of a server that may not have started yet. */
function mysqlKind(url: () => string, keep: (place: string) => string): Kind {
  const run = async (sql: string, values: readonly string[] = []): Promise<unknown> => {
    const admin = await createConnection(url());
    const [rows] = await admin.query(sql, [...values]);
    await admin.end();
    return rows;
  };
  return {
    async restore(version, renamed) {
      const place = keep(uniqueName('schema'));
      await fixtures.restoreMysql(version, url(), place, renamed);
      return place;
    },
    open: (place, options) => openMysql(url(), { prefix: `${keep(place)}_`, ...options, sharePool: false }),
    async describe(place) {
      const columns = await run(
        `SELECT replace(table_name, ?, '') AS in_table, column_name, column_type, is_nullable, column_default
         FROM information_schema.columns WHERE table_schema = database() AND table_name LIKE ? ORDER BY 1, 2`,
        [place, `${place}%`],
      );
      const indexes = await run(
        `SELECT replace(table_name, ?, '') AS in_table, index_name, seq_in_index, column_name, non_unique
         FROM information_schema.statistics WHERE table_schema = database() AND table_name LIKE ? ORDER BY 1, 2, 3`,
        [place, `${place}%`],
      );
      return { columns, indexes };
    },
  };
}

const mariadb = await announce('MariaDB', 'MariaDB, of an earlier version');
describe.skipIf(mariadb.absent)('MariaDB, of an earlier version', () => {
  const places: string[] = [];
  afterAll(async () => {
    for (const place of places) await dropMysqlTables(mariadb.url, `${place}_`);
  });
  const keep = (place: string): string => {
    if (!places.includes(place)) places.push(place);
    return place;
  };
  const kind = mysqlKind(() => mariadb.url, keep);
  suite(kind);
  severalProcesses(kind, (place) => [mariadb.url, place]);
  settingUpByHand(kind, 'mysqlSetup', async (place, from) => {
    const admin = await createConnection(mariadb.url);
    const statements = mysqlSetup({ prefix: `${keep(place)}_`, ...(from !== undefined && { from }) });
    for (const statement of statements) await admin.query(statement);
    await admin.end();
  });
});

describe.skipIf(withoutBinaries('MariaDB', 'a MariaDB of an earlier version that prepares nothing'))(
  'MariaDB that prepares no statements, of an earlier version',
  () => {
    let server: OwnServer;
    beforeAll(async () => {
      server = await ownServer('MariaDB', { settings: ['--max-prepared-stmt-count=0'] });
      await server.start();
    });
    afterAll(() => server.destroy());
    suite(
      mysqlKind(
        () => server.url,
        (place) => place,
      ),
    );
  },
);

const redis = await announce('Redis', 'Redis, of an earlier version');
describe.skipIf(redis.absent)('Redis, of an earlier version', () => {
  const places: string[] = [];
  const client = createClient({ url: redis.url });
  beforeAll(async () => {
    await client.connect();
  });
  afterAll(async () => {
    await client.close();
    for (const place of places) await deleteRedisKeys(redis.url, place);
  });
  const restore: Kind['restore'] = async (version, renamed) => {
    const place = uniqueName('schema');
    places.push(place);
    await fixtures.restoreRedis(version, redis.url, place, renamed);
    return place;
  };
  const kind: Kind = {
    restore,
    open(prefix, { clock } = {}) {
      places.push(prefix);
      return openRedis(redis.url, { prefix, ...(clock !== undefined && { clock }) });
    },
    async describe(place) {
      // What a session that both have is made of.
      const session = await client.keys(`${place}:{new}:*`);
      return {
        keys: session.map((key) => key.slice(place.length).replace(/:items:.+/, ':items')).sort(),
        meta: Object.keys(await client.hGetAll(`${place}:{new}:meta`)).sort(),
        version: await client.get(`${place}:schema`),
        lock: await client.exists(`${place}:schema-lock`),
      };
    },
  };
  suite(kind);
  severalProcesses(kind, (place) => [redis.url, place]);

  test('still finds earlier records after a program that did not', async () => {
    const place = await restore('v1-draft');
    // As the version after it did: a list with a name beside the one without.
    await client.hSet(`${place}:{plain}:meta`, 'list', 'abc');
    await client.rPush(`${place}:{plain}:items:abc`, `${NOW} ${JSON.stringify(message('later'))}`);
    await using store = openRedis(redis.url, { prefix: place });
    expect(await store.session('plain').getItems()).toEqual(['one', 'two', 'three', 'later'].map(message));
    expect(await client.exists([`${place}:{plain}:items`, `${place}:{plain}:items:abc`])).toBe(0);
  });

  test('migrates keys whose version was evicted, and continues after a process that died in the middle', async () => {
    const place = await restore('v1-draft');
    await client.del(`${place}:schema`);
    await client.set(`${place}:schema-lock`, 'a process that died', { PX: 200 });
    await client.rename(`${place}:{plain}:items`, `${place}:{plain}:items:abc`);
    await client.hSet(`${place}:{plain}:meta`, 'list', 'abc');
    await using store = openRedis(redis.url, { prefix: place });
    expect(await store.session('plain').getItems()).toEqual(['one', 'two', 'three'].map(message));
    expect(await store.session('held').getItems()).toEqual([message('eight')]);
  });

  test('names an invalid version, and changes nothing', async () => {
    const place = await restore('v1');
    await client.set(`${place}:schema`, 'something else');
    await using store = openRedis(redis.url, { prefix: place });
    await expect(store.session('plain').getItems()).rejects.toMatchObject({
      code: 'ERR_MALFORMED',
      message:
        `openRedis: the key ${place}:schema does not contain a schema version of strongroom. Choose another prefix, or restore that key ` +
        'from a backup.',
    });
    expect(await client.get(`${place}:schema`)).toBe('something else');
  });
});
