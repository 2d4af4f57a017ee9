// Writes the databases of an earlier version that tests open (test/stores/schema-fixtures), with the code of a
// commit: `node tools/schema-fixtures.ts v1 ../checkout-of-that-commit`. Run it for the version that is current
// before you add the next one. PostgreSQL, MariaDB and Redis are those of test/stores/servers.ts; pg_dump and
// mariadb-dump must be installed.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { fixedKey } from 'strongroom/testing';
import type { Client } from 'pg';
import type * as redisModule from 'redis';
import { SERVERS } from '../test/stores/servers.ts';
import type * as core from '../src/index.ts';
import type * as keys from '../src/operations/index.ts';
import type { Store } from '../src/stores/store.ts';
import type { StoreSession } from '../src/stores/session.ts';
import { DEK_STORE } from '../src/session-contract.ts';

const [name = '', checkout = '.'] = process.argv.slice(2);
if (!/^v\d+(?:-[a-z]+)?$/.test(name))
  throw new Error('Name the fixture, such as v1, and the checkout that writes it.');
const root = resolve(checkout);
const load = async <T>(path: string): Promise<T> =>
  (await import(pathToFileURL(join(root, 'src', path)).href)) as T;
const { wrapStore, encrypt, expire, keyring } = await load<typeof core>('index.ts');
const { sqliteDekStore } = await load<typeof keys>('operations/index.ts');

const folder = resolve(import.meta.dirname, '../test/stores/schema-fixtures');
mkdirSync(folder, { recursive: true });
const PLACE = 'strongroom_fixture';
const NOW = Date.UTC(2026, 0, 1);
const clock = (): number => NOW;
type Opened = Store<StoreSession>;

function message(content: string) {
  return { type: 'message' as const, role: 'user' as const, content };
}

/** One of everything that a database can hold. The tests know what is here. */
async function fill(store: Opened): Promise<void> {
  const plain = store.session('plain', { subject: 'ada' });
  await plain.addItems([message('one'), message('two')]);
  await plain.applyHistoryTransaction({
    operationId: 'operation-1',
    transaction: { type: 'append_items', items: [message('three')] },
  });
  const stack = [
    expire({ after: '30d', clock }),
    encrypt({ keys: keyring({ current: fixedKey('fixture') }) }),
  ];
  const sealed = wrapStore(store, stack);
  await sealed.session('sealed: ü {1}').addItems([message('four'), message('five')]);
  await sealed.session('expires').addItems([message('six')]);
  await sealed.session('deleted').addItems([message('seven')]);
  await store.deleteSession('deleted');
  await store.session('held').addItems([message('eight')]);
  await store.session('cleared').addItems([message('nine')]);
  await store.session('cleared').clearSession();
  const hold = { id: 'hold-1', sessionId: 'held', reason: 'a reason', placedAt: NOW };
  await store.session('held')[DEK_STORE].holds?.place(hold);
  await store.close();
}

const open = async (module: string, factory: string, ...args: unknown[]): Promise<Opened> => {
  const found = await load<Record<string, (...args: unknown[]) => Opened>>(`stores/${module}.ts`);
  return (found[factory] as (...args: unknown[]) => Opened)(...args);
};
const fromCheckout = createRequire(join(root, 'package.json'));

const file = join(folder, `${name}.sqlite`);
rmSync(file, { force: true });
await fill(await open('sqlite', 'openSqlite', file, { clock }));
const dekFile = join(folder, `${name}.deks.sqlite`);
rmSync(dekFile, { force: true });
const dekStore = sqliteDekStore(dekFile, { clock });
await dekStore.put({ sessionId: 'a', did: 'd1', kid: 'fixture', wrapped: 'wrapped 1', createdAt: NOW });
await dekStore.put({ sessionId: 'a', did: 'd2', kid: 'fixture', wrapped: 'wrapped 2', createdAt: NOW });
await dekStore.destroy('a', 'd2');
await dekStore.close();
for (const each of [file, dekFile]) {
  // One file, without the log beside it.
  const database = new DatabaseSync(each);
  database.exec(
    'PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM;',
  );
  database.close();
}

{
  const url = SERVERS.PostgreSQL;
  const pg = fromCheckout('pg') as { Client: new (url: string) => Client };
  const admin = new pg.Client(url);
  await admin.connect();
  await admin.query(`DROP SCHEMA IF EXISTS ${PLACE} CASCADE`);
  const options = { schema: PLACE, clock };
  await fill(await open('postgres', 'openPostgres', url, options));
  // The trigger is created last, so that older rows were written without it.
  const announcing = await open('postgres', 'openPostgres', url, { ...options, push: true }).catch(
    () => undefined,
  );
  await announcing?.ping();
  await announcing?.close();
  const dump = execFileSync('pg_dump', [
    '--inserts',
    '--no-owner',
    '--no-privileges',
    '-n',
    PLACE,
    '-d',
    url,
  ]);
  // Lines for psql, comments, and settings of the session.
  const lines = dump.toString().split('\n');
  const kept = lines.filter(
    (line) => !/^(?:\\|--|SET |SELECT pg_catalog\.set_config)/.test(line) && line !== '',
  );
  writeFileSync(join(folder, `${name}.postgres.sql`), `${kept.join('\n')}\n`);
  await admin.query(`DROP SCHEMA ${PLACE} CASCADE`);
  await admin.end();
}

{
  const url = new URL(SERVERS.MariaDB);
  const tables = ['schema', 'sessions', 'items', 'shares', 'operations', 'deks', 'holds', 'leases'].map(
    (each) => `${PLACE}_${each}`,
  );
  const client = ['-h', url.hostname, '-P', url.port, '-u', url.username, url.pathname.slice(1)];
  const drop = (): unknown =>
    execFileSync('mariadb', [
      ...client,
      '-e',
      tables.map((table) => `DROP TABLE IF EXISTS ${table}`).join(';'),
    ]);
  drop();
  await fill(await open('mysql', 'openMysql', SERVERS.MariaDB, { prefix: `${PLACE}_`, clock }));
  const dump = execFileSync('mariadb-dump', [
    '--compact',
    '--hex-blob',
    '--skip-opt',
    '--create-options',
    ...client,
    ...tables,
  ]);
  const kept = dump
    .toString()
    .split('\n')
    .filter((line) => !/^(?:\/\*M?!|--)/.test(line) && line !== '');
  writeFileSync(join(folder, `${name}.mysql.sql`), `${kept.join('\n')}\n`);
  drop();
}

{
  const { createClient, RESP_TYPES } = fromCheckout('redis') as typeof redisModule;
  const client = createClient({ url: SERVERS.Redis });
  await client.connect();
  const all = async (): Promise<string[]> => (await client.keys(`${PLACE}:*`)).sort();
  if ((await all()).length > 0) await client.unlink(await all());
  await fill(await open('redis', 'openRedis', SERVERS.Redis, { prefix: PLACE, clock }));
  const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  // Within a script a hash is a list, in every version of the protocol.
  const READ: Readonly<Record<string, string>> = {
    string: "return { redis.call('GET', KEYS[1]) }",
    hash: "return redis.call('HGETALL', KEYS[1])",
    list: "return redis.call('LRANGE', KEYS[1], 0, -1)",
    zset: "return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')",
  };
  const dump: { key: string; type: string; value: string[] }[] = [];
  for (const key of await all()) {
    const type = await client.type(key);
    const values = await binary.sendCommand<Buffer[]>(['EVAL', READ[type] as string, '1', key]);
    dump.push({ key, type, value: values.map((each) => each.toString('base64')) });
  }
  writeFileSync(join(folder, `${name}.redis.json`), `${JSON.stringify(dump, undefined, 1)}\n`);
  await client.unlink(await all());
  await client.close();
}
