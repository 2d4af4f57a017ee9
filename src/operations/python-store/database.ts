import type * as mysqlModule from 'mysql2/promise';
import type * as sqliteModule from 'node:sqlite';
import type * as pgModule from 'pg';
import { StrongroomError } from '../../errors.ts';
import { loadModule } from '../../load-module.ts';
import { invalidOption } from '../../options.ts';
import { storeError } from '../../stores/failure.ts';

/** The database that Python wrote. A pool stays yours: it is not closed. */
export type PythonDatabase =
  | { /** Path of the file. It is opened for reading only. */ readonly sqlite: string }
  | { /** A `postgres://` URL, or a `pg.Pool`. */ readonly postgres: string | PythonPostgresPool }
  | { /** A `mysql://` URL, or a pool of `mysql2/promise`. */ readonly mysql: string | PythonMysqlPool };

/** The part of `pg.Pool` that is used. */
export interface PythonPostgresPool {
  query(text: string, values: readonly unknown[]): Promise<{ readonly rows: readonly object[] }>;
}

/** The part of a pool of `mysql2/promise` that is used. */
export interface PythonMysqlPool {
  query(sql: string, values: readonly unknown[]): Promise<readonly [unknown, ...unknown[]]>;
}

export type Row = Readonly<Record<string, unknown>>;

/** Queries of one database; errors are `ERR_STORE`. */
export interface Database {
  readonly dialect: 'sqlite' | 'postgres' | 'mysql';
  /** @param sql With `?` for each value. */
  readonly all: (sql: string, values?: readonly string[]) => Promise<readonly Row[]>;
  close(): Promise<void>;
}

export const WHERE = 'readPythonStore';
const CHOICE = '{ sqlite: path }, { postgres: URL or pool } or { mysql: URL or pool }';

/** Connects at the first query. */
export function openDatabase(target: PythonDatabase): Database {
  const entries = Object.entries(Object(target) as Record<string, unknown>);
  const [kind, value] = entries[0] ?? [];
  if (entries.length !== 1) return invalidOption(WHERE, 'database', CHOICE, target);
  switch (kind) {
    case 'sqlite':
      if (typeof value !== 'string' || value === '')
        return invalidOption(WHERE, 'sqlite', 'the path of a file', value);
      return safe(sqlite(value));
    case 'postgres':
      return safe(
        postgres(poolOrUrl('postgres', value, /^postgres(?:ql)?:\/\//) as string | PythonPostgresPool),
      );
    case 'mysql':
      return safe(mysql(poolOrUrl('mysql', value, /^mysql:\/\//) as string | PythonMysqlPool));
    default:
      return invalidOption(WHERE, 'database', CHOICE, target);
  }
}

/** A URL is not named in the error: it can hold a password. */
function poolOrUrl(kind: 'postgres' | 'mysql', value: unknown, form: RegExp): unknown {
  if (typeof value === 'string' && form.test(value)) return value;
  if (typeof (value as { query?: unknown } | null)?.query === 'function') return value;
  return invalidOption(WHERE, kind, `a ${kind}:// URL or a pool`, value);
}

function safe(database: Database): Database {
  const all: Database['all'] = async (sql, values) => {
    try {
      return await database.all(sql, values);
    } catch (error) {
      throw storeError(WHERE, "the database of Python's sessions could not be read", error);
    }
  };
  return { ...database, all };
}

function sqlite(path: string): Database {
  let opened: sqliteModule.DatabaseSync | undefined;
  const connect = (): sqliteModule.DatabaseSync => {
    const module = process.getBuiltinModule?.('node:sqlite') as typeof sqliteModule | undefined;
    if (module === undefined) {
      throw new StrongroomError(
        'ERR_UNSUPPORTED',
        `${WHERE} needs the built-in module node:sqlite of Node.js 22.13 or later. Update Node.js.`,
      );
    }
    return new module.DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  };
  return {
    dialect: 'sqlite',
    all: async (sql, values = []) => (opened ??= connect()).prepare(sql).all(...values),
    async close() {
      opened?.close();
      opened = undefined;
    },
  };
}

function postgres(target: string | PythonPostgresPool): Database {
  let own: Promise<pgModule.Pool> | undefined;
  const connect = async (url: string): Promise<pgModule.Pool> => {
    const missing = `${WHERE} with a postgres:// URL needs the package pg: npm install pg. Or pass a pool.`;
    const { Pool } = await loadModule('pg', () => import('pg'), missing);
    const pool = new Pool({ connectionString: url, max: 1, application_name: 'strongroom' });
    // An idle connection that dies is replaced at the next query.
    pool.on('error', () => undefined);
    return pool;
  };
  return {
    dialect: 'postgres',
    async all(sql, values = []) {
      let count = 0;
      const numbered = sql.replaceAll('?', () => `$${++count}`);
      if (typeof target !== 'string') return (await target.query(numbered, values)).rows as readonly Row[];
      return (await (await (own ??= connect(target))).query(numbered, [...values])).rows as readonly Row[];
    },
    async close() {
      await (await own)?.end();
      own = undefined;
    },
  };
}

function mysql(target: string | PythonMysqlPool): Database {
  let own: Promise<mysqlModule.Pool> | undefined;
  const connect = async (uri: string): Promise<mysqlModule.Pool> => {
    const missing = `${WHERE} with a mysql:// URL needs the package mysql2: npm install mysql2. Or pass a pool.`;
    const { createPool } = await loadModule('mysql2/promise', () => import('mysql2/promise'), missing);
    return createPool({ uri, connectionLimit: 1, charset: 'utf8mb4' });
  };
  return {
    dialect: 'mysql',
    async all(sql, values = []) {
      const pool: PythonMysqlPool =
        typeof target === 'string' ? ((await (own ??= connect(target))) as PythonMysqlPool) : target;
      const [rows] = await pool.query(sql, values);
      return rows as readonly Row[];
    },
    async close() {
      await (await own)?.end();
      own = undefined;
    },
  };
}
