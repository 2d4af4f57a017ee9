import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
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

/** A session of the fixture that is to have another id. */
export interface Renamed {
  readonly from: string;
  readonly to: string;
}

function statements(fixture: string, place: string, renamed: Renamed | undefined): string {
  const text = read(fixture).replaceAll(PLACE, place);
  if (renamed === undefined) return text;
  const { from, to } = renamed;
  const hex = (id: string): string => `0x${Buffer.from(id).toString('hex').toUpperCase()}`;
  return text.replaceAll(`'${from}'`, `'${to}'`).replaceAll(hex(from), hex(to));
}

/** @param kind `sqlite`, or `deks.sqlite` for the file of `sqliteDekStore`. */
export function restoreSqlite(version: string, path: string, kind = 'sqlite', renamed?: Renamed): void {
  copyFileSync(new URL(`${version}.${kind}`, FOLDER), path);
  if (renamed === undefined) return;
  const database = new DatabaseSync(path);
  database.prepare('UPDATE strongroom_sessions SET id = ? WHERE id = ?').run(renamed.to, renamed.from);
  database.close();
}

export async function restorePostgres(
  version: string,
  url: string,
  schema: string,
  renamed?: Renamed,
): Promise<void> {
  const client = new Client(url);
  await client.connect();
  await client.query(statements(`${version}.postgres.sql`, schema, renamed));
  await client.end();
}

export async function restorePGlite(
  version: string,
  database: PGlite,
  schema: string,
  renamed?: Renamed,
): Promise<void> {
  await database.exec(statements(`${version}.postgres.sql`, schema, renamed));
}

export async function restoreMysql(
  version: string,
  url: string,
  prefix: string,
  renamed?: Renamed,
): Promise<void> {
  const client = await createConnection({ uri: url, multipleStatements: true });
  // The dump has the values of generated columns too.
  await client.query(`SET sql_mode = ''; ${statements(`${version}.mysql.sql`, prefix, renamed)}`);
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

export async function restoreRedis(
  version: string,
  url: string,
  prefix: string,
  renamed?: Renamed,
): Promise<void> {
  const { from = '', to = '' } = renamed ?? {};
  const client = createClient({ url });
  await client.connect();
  for (const { key, type, value } of JSON.parse(read(`${version}.redis.json`)) as Key[]) {
    const values = value
      .map((each) => Buffer.from(each, 'base64'))
      .map((each) => (renamed !== undefined && each.toString() === from ? Buffer.from(to) : each));
    const [command = '', ...rest] = WRITE[type]?.(values) ?? [];
    await client.sendCommand([
      command,
      key.replace(PLACE, prefix).replace(`{${from}}`, `{${encodeURIComponent(to)}}`),
      ...rest,
    ]);
  }
  await client.close();
}
