import { DatabaseSync } from 'node:sqlite';
import type { AgentInputItem } from '@openai/agents';
import { createConnection } from 'mysql2/promise';
import { Client, Pool } from 'pg';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
  vi,
  type MockInstance,
} from 'vitest';
import { mysqlSetup, openMysql } from '../../src/stores/mysql.ts';
import { openPostgres, postgresDekStore, postgresSetup } from '../../src/stores/postgres.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { checkFile } from '../../src/stores/sqlite/settings.ts';
import { dropMysqlTables, dropPostgresSchema } from './cleaning.ts';
import { emptyPGlite } from './empty-pglite.ts';
import { temporaryFolder } from './folder.ts';
import { ownServer, withoutBinaries, type OwnServer } from './own-server.ts';
import { startPooler, withoutPooler } from './pooler.ts';
import { announce, uniqueName } from './servers.ts';

// Whether a server keeps what it acknowledges. What it says of itself is looked at when a store is opened, and by ping().

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

let warnings: MockInstance<typeof process.emitWarning>;
beforeEach(() => {
  warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
});
/** Texts and codes of our own warnings. */
const said = (): string[] =>
  warnings.mock.calls
    .map(([text, options]) => `${(options as { code?: string }).code}: ${String(text)}`)
    .filter((text) => text.startsWith('STRONGROOM'));

describe.skipIf(withoutBinaries('PostgreSQL', 'PostgreSQL that loses'))('PostgreSQL that loses', () => {
  let server: OwnServer;
  let admin: Client;
  beforeAll(async () => {
    server = await ownServer('PostgreSQL');
    await server.start();
    admin = new Client(server.url);
    await admin.connect();
  });
  afterAll(async () => {
    await admin?.end();
    await server?.destroy();
  });

  test('warns once a process of each setting that is off, when it is opened and by ping()', async () => {
    const schema = uniqueName('settings');
    {
      await using store = openPostgres(server.url, { schema });
      await store.ping();
      expect(said()).toEqual([]);
    }
    for (const name of ['fsync', 'full_page_writes', 'synchronous_commit']) {
      await admin.query(`ALTER SYSTEM SET ${name} = off`);
    }
    await admin.query('SELECT pg_reload_conf()');
    await vi.waitFor(async () => {
      const client = new Client(server.url);
      await client.connect();
      const { rows } = await client.query('SHOW fsync');
      await client.end();
      expect(rows).toEqual([{ fsync: 'off' }]);
    });
    await using store = openPostgres(server.url, { schema });
    await store.session('a').addItems([message('one')]);
    const expected = [
      expect.stringMatching(
        /^STRONGROOM_POSTGRES: openPostgres: the server does not wait for its disk \(fsync off\).* Set fsync to on\.$/,
      ) as string,
      expect.stringMatching(/half-written pages \(full_page_writes off\)\. Set it to on/) as string,
      expect.stringMatching(
        /loses the last acknowledged writes \(synchronous_commit off\)\. Set it to on/,
      ) as string,
    ];
    expect(said()).toEqual(expected);
    await using other = openPostgres(server.url, { schema });
    await other.session('a').getItems();
    await other.ping();
    expect(said()).toEqual(expected);
    await admin.query('ALTER SYSTEM RESET ALL');
    await admin.query('SELECT pg_reload_conf()');
  });

  test('refuses UNLOGGED tables before anything is written, until that is accepted', async () => {
    const schema = uniqueName('unlogged');
    for (const statement of postgresSetup({ schema })) {
      await admin.query(
        statement.replace(
          /^CREATE TABLE(?= IF NOT EXISTS "?\w+"?\."?strongroom_items)/,
          'CREATE UNLOGGED TABLE',
        ),
      );
    }
    const kind = `SELECT count(*)::int AS unlogged FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'`;
    if ((await admin.query<{ unlogged: number }>(kind)).rows[0]?.unlogged === 0) {
      await admin.query(`ALTER TABLE ${schema}.strongroom_items SET UNLOGGED`);
    }
    const refused = {
      code: 'ERR_UNSUPPORTED',
      message:
        'openPostgres: a crash of the server empties these tables, because they are UNLOGGED: strongroom_items. Run ALTER TABLE … ' +
        'SET LOGGED for each, or accept the loss with allowUnlogged: true; nothing was read or written.',
    };
    for (const createTables of [true, false]) {
      await using store = openPostgres(server.url, { schema, createTables });
      await expect(store.session('a').addItems([message('one')])).rejects.toMatchObject(refused);
      await expect(store.ping()).rejects.toMatchObject(refused);
    }
    expect((await admin.query(`SELECT 1 FROM ${schema}.strongroom_sessions`)).rows).toEqual([]);
    await using accepted = openPostgres(server.url, { schema, allowUnlogged: true });
    await accepted.session('a').addItems([message('one')]);
    expect(said()).toEqual([expect.stringContaining('which was accepted (allowUnlogged)') as string]);
    await admin.query(`ALTER TABLE ${schema}.strongroom_items SET LOGGED`);
    await using store = openPostgres(server.url, { schema });
    expect(await store.session('a').getItems()).toEqual([message('one')]);
    expect(() => openPostgres(server.url, { allowUnlogged: 'yes' as never })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
    );
  });
});

describe.skipIf(withoutBinaries('MariaDB', 'MariaDB that loses'))('MariaDB that loses', () => {
  let server: OwnServer;
  beforeAll(async () => {
    server = await ownServer('MariaDB', {
      settings: [
        '--innodb-flush-log-at-trx-commit=2',
        '--skip-innodb-doublewrite',
        '--log-bin=log',
        '--server-id=1',
      ],
    });
    await server.start();
  });
  afterAll(() => server?.destroy());

  test('warns once a process of each setting that loses data', async () => {
    await using store = openMysql(server.url);
    await store.session('a').addItems([message('one')]);
    await store.ping();
    expect(said()).toEqual([
      'STRONGROOM_MYSQL: openMysql: a crash loses about one second of acknowledged writes (innodb_flush_log_at_trx_commit 2). Set it to 1.',
      expect.stringMatching(
        /not in the binary log yet \(log_bin on, sync_binlog 0\)\. Set sync_binlog to 1\.$/,
      ) as string,
      expect.stringMatching(/half-written pages \(innodb_doublewrite off\)\. Set it to on/) as string,
    ]);
  });

  test('refuses tables without transactions, before anything is written', async () => {
    const prefix = 'aria_';
    const admin = await createConnection(server.url);
    for (const statement of mysqlSetup({ prefix })) await admin.query(statement);
    await admin.query(`ALTER TABLE ${prefix}operations ENGINE=Aria ROW_FORMAT=PAGE`);
    for (const createTables of [true, false]) {
      await using store = openMysql(server.url, { prefix, createTables });
      const refused = {
        code: 'ERR_UNSUPPORTED',
        message:
          'openMysql: these tables have no transactions, so a failed call could leave a part of its changes: aria_operations (Aria). Run ALTER TABLE … ' +
          'ENGINE=InnoDB for each; nothing was read or written.',
      };
      await expect(store.session('a').addItems([message('one')])).rejects.toMatchObject(refused);
      await expect(store.ping()).rejects.toMatchObject(refused);
    }
    await admin.query(`ALTER TABLE ${prefix}operations ENGINE=InnoDB ROW_FORMAT=DYNAMIC`);
    await admin.end();
    await using store = openMysql(server.url, { prefix });
    await store.session('a').addItems([message('one')]);
  });
});

const postgres = await announce('PostgreSQL', 'settings of PostgreSQL');
describe.skipIf(postgres.absent)('the settings of PostgreSQL', () => {
  const schema = uniqueName('settings');
  afterAll(() => dropPostgresSchema(postgres.url, schema));

  test('are read once, at the first call, and later calls take no more round trips', async () => {
    const pool = new Pool({ connectionString: postgres.url, max: 2 });
    await using store = openPostgres({ pool }, { schema });
    const statements = vi.spyOn(Client.prototype, 'query');
    const asked = (): number =>
      statements.mock.calls.filter(([query]) => JSON.stringify(query).includes('current_setting')).length;
    const session = store.session('a');
    await session.addItems([message('one')]);
    expect(asked()).toBe(1);
    statements.mockClear();
    for (let n = 0; n < 10; n++) await session.getItems();
    expect(statements).toHaveBeenCalledTimes(10);
    expect(asked()).toBe(0);
    await store.ping();
    expect(asked()).toBe(1);
    await pool.end();
  });

  test('are also read from a database of data keys', async () => {
    const pool = new Pool({ connectionString: postgres.url, max: 2 });
    await using deks = postgresDekStore({ pool }, { schema });
    const statements = vi.spyOn(Client.prototype, 'query');
    await deks.get('a', 'b');
    expect(JSON.stringify(statements.mock.calls)).toContain('current_setting');
    await deks.close();
    await pool.end();
  });

  test.skipIf(withoutPooler('settings through PgBouncer'))('through PgBouncer', async () => {
    const pooler = await startPooler(postgres.url);
    const store = openPostgres(pooler.url, { schema });
    await store.ping();
    await store.session('pooled').addItems([message('one')]);
    expect(said()).toEqual([]);
    await store.close();
    await pooler.close();
  });

  test('are not read from PGlite, whose durability its owner decides', async () => {
    const pool = await emptyPGlite();
    const queries = vi.spyOn(pool, 'query');
    const store = openPostgres({ pool });
    await store.ping();
    await store.session('a').addItems([message('one')]);
    expect(JSON.stringify(queries.mock.calls)).not.toContain('current_setting');
    expect(said()).toEqual([]);
    await store.close();
    await pool.close();
  });
});

const mariadb = await announce('MariaDB', 'settings of MariaDB');
describe.skipIf(mariadb.absent)('the settings of MariaDB', () => {
  const prefix = `${uniqueName('settings')}_`;
  const user = uniqueName('app');
  afterAll(() => dropMysqlTables(mariadb.url, prefix));

  test('can be read by a user with rights on its tables only, and a safe server gives no warning', async () => {
    const admin = await createConnection(mariadb.url);
    const url = new URL(mariadb.url);
    await admin.query(`CREATE USER ${user} IDENTIFIED BY 'secret'`);
    await admin.query(`GRANT ALL ON ${url.pathname.slice(1)}.* TO ${user}`);
    url.username = user;
    url.password = 'secret';
    await using store = openMysql(url.href, { prefix });
    await store.ping();
    await store.session('a').addItems([message('one')]);
    expect(said()).toEqual([]);
    await admin.query(`DROP USER ${user}`);
    await admin.end();
  });
});

describe('SQLite', () => {
  const file = temporaryFolder();

  test.runIf(process.platform === 'linux')(
    'warns once of a network file system, and of one that takes no log',
    () => {
      for (let time = 0; time < 2; time++) {
        checkFile('/mnt/shared/a.db', 'wal', () => 0x6969);
        // As a signed number, which some versions of Node.js give.
        checkFile('/mnt/windows/a.db', 'delete', () => 0xff534d42 | 0);
        checkFile('/home/a.db', 'wal', () => 0xef53);
        checkFile(':memory:', 'memory', () => 0x6969);
      }
      expect(said()).toEqual([
        'STRONGROOM_SQLITE: openSqlite: the file is on a network file system (NFS), where the log of SQLite works for one machine ' +
          'only and locks are not reliable. Put it on a local disk.',
        expect.stringContaining('(CIFS)') as string,
        'STRONGROOM_SQLITE: openSqlite: the file system does not support a write-ahead log (journal mode delete), so reads and writes wait for ' +
          'each other. Put the file on a local disk.',
      ]);
    },
  );

  test.each(['normal', 'full'] as const)(
    'has the log that it needs, and waits for the disk as asked: %s',
    async (durability) => {
      await using store = openSqlite(file(`${durability}.db`), { durability });
      const exec = vi.spyOn(DatabaseSync.prototype, 'exec');
      await store.session('a').addItems([message('one')]);
      const pragmas = exec.mock.calls.map(([sql]) => sql).filter((sql) => sql.includes('synchronous'));
      expect(pragmas).toEqual([`PRAGMA synchronous = ${durability.toUpperCase()}`]);
      const reader = new DatabaseSync(file(`${durability}.db`));
      expect(reader.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
      reader.close();
    },
  );

  test('gives no warning on a local disk or in memory', async () => {
    await using store = openSqlite(file('settings.db'));
    await using memory = openSqlite(':memory:');
    await store.ping();
    await memory.ping();
    expect(said()).toEqual([]);
  });
});
