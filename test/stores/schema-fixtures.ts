import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import type { PGlite } from '@electric-sql/pglite';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { createClient } from 'redis';

// Databases as earlier versions wrote them: tools/schema-fixtures.ts says how they are made, and what is in them.

const FOLDER = new URL('schema-fixtures/', import.meta.url);
/** What the fixtures call the place that tests choose themselves. */
const PLACE = 'strongroom_fixture';

/** All there are, such as `v1`. */
export const FIXTURES: readonly string[] = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.redis.json'))
  .map((name) => name.slice(0, -'.redis.json'.length));

function read(fixture: string): string {
  return readFileSync(new URL(fixture, FOLDER), 'utf8');
}

function statements(fixture: string, place: string): string {
  return read(fixture).replaceAll(PLACE, place);
}

/** @param kind `sqlite`, or `deks.sqlite` for the file of `sqliteDekStore`. */
export function restoreSqlite(version: string, path: string, kind = 'sqlite'): void {
  copyFileSync(new URL(`${version}.${kind}`, FOLDER), path);
}

export async function restorePostgres(version: string, url: string, schema: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  await client.query(statements(`${version}.postgres.sql`, schema));
  await client.end();
}

export async function restorePGlite(version: string, database: PGlite, schema: string): Promise<void> {
  await database.exec(statements(`${version}.postgres.sql`, schema));
}

export async function restoreMysql(version: string, url: string, prefix: string): Promise<void> {
  const client = await createConnection({ uri: url, multipleStatements: true });
  // The dump has the values of generated columns too.
  await client.query(`SET sql_mode = ''; ${statements(`${version}.mysql.sql`, prefix)}`);
  await client.end();
}

interface Key {
  readonly key: string;
  readonly type: string;
  readonly value: readonly string[];
}

const WRITE: Readonly<Record<string, (value: readonly Buffer[]) => (string | Buffer)[]>> = {
  string: (value) => ['SET', ...value],
  hash: (value) => ['HSET', ...value],
  list: (value) => ['RPUSH', ...value],
  zset: (value) => ['ZADD', ...value.map((_, index) => value[index ^ 1] as Buffer)],
};

export async function restoreRedis(version: string, url: string, prefix: string): Promise<void> {
  const client = createClient({ url });
  await client.connect();
  for (const { key, type, value } of JSON.parse(read(`${version}.redis.json`)) as Key[]) {
    const values = value.map((each) => Buffer.from(each, 'base64'));
    const [command = '', ...rest] = WRITE[type]?.(values) ?? [];
    await client.sendCommand([command, key.replace(PLACE, prefix), ...rest]);
  }
  await client.close();
}
