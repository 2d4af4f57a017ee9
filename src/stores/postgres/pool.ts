import { inTime, TimeoutError } from '../in-time.ts';
import type { FailureKind, SqlClient, SqlLoan, SqlPool, SqlResult, SqlRow, SqlValue } from '../sql/client.ts';

/** The part of `pg.Pool` (and of Lakebase's and Neon's) that is used. */
export interface PostgresPool {
  connect(): Promise<PostgresPoolClient>;
  end(): Promise<void>;
}

/** The part of a pooled `pg` client that is used. */
export interface PostgresPoolClient {
  query(sql: string, values?: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }>;
  release(error?: boolean): void;
  on?(event: 'error', listener: (error: Error) => void): unknown;
}

/** The part of PGlite that is used: PostgreSQL in this process. */
export interface PGliteLike {
  query(sql: string, values?: unknown[]): Promise<PGliteResult>;
  transaction<T>(work: (transaction: PGliteTransaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

interface PGliteTransaction {
  query(sql: string, values?: unknown[]): Promise<PGliteResult>;
  rollback(): Promise<void>;
}

interface PGliteResult {
  rows: unknown[];
  affectedRows?: number;
}

const compiled = new Map<string, string>();

/** `?` to `$1`, `$2`, … Our statements have no question mark but for values. */
function numbered(sql: string): string {
  let found = compiled.get(sql);
  if (found === undefined) {
    let number = 0;
    found = sql.replaceAll('?', () => `$${++number}`);
    if (compiled.size > 500) compiled.clear();
    compiled.set(sql, found);
  }
  return found;
}

/** Checked-out clients report a lost connection twice: as the query's error, and as an event that ends the process. */
const listening = new WeakSet<object>();

/** @param timeout Milliseconds for one statement, and for getting a connection. */
export function fromPool(pool: PostgresPool, timeout: number, close: () => Promise<void>): SqlPool {
  return {
    async acquire(): Promise<SqlLoan> {
      const connecting = pool.connect();
      const client = await inTime(connecting, timeout, () => {
        // It may still come: it must not stay out of the pool.
        connecting.then(
          (late) => late.release(),
          () => undefined,
        );
      });
      if (client.on !== undefined && !listening.has(client)) {
        listening.add(client);
        client.on('error', () => undefined);
      }
      return {
        async query(sql, values = []): Promise<SqlResult> {
          const { rows, rowCount } = await inTime(client.query(numbered(sql), [...values]), timeout);
          return { rows: rows as SqlRow[], changes: rowCount ?? 0 };
        },
        release: (broken) => client.release(broken),
      };
    },
    close,
  };
}

/** PGlite has one connection: a transaction keeps others waiting, whoever they are. */
export function fromPGlite(database: PGliteLike, close: () => Promise<void>): SqlPool {
  const run = async (
    target: PGliteLike | PGliteTransaction,
    sql: string,
    values: readonly SqlValue[] = [],
  ): Promise<SqlResult> => {
    const { rows, affectedRows } = await target.query(numbered(sql), [...values]);
    return { rows: rows as SqlRow[], changes: affectedRows ?? 0 };
  };

  function acquire(): SqlLoan {
    let open:
      { readonly transaction: PGliteTransaction; end(): void; readonly ended: Promise<unknown> } | undefined;

    const begin = (): Promise<void> =>
      new Promise((resolve, reject) => {
        const ended = database.transaction(
          (transaction) =>
            new Promise<void>((end) => {
              open = { transaction, end, ended: Promise.resolve().then(() => ended) };
              resolve();
            }),
        );
        ended.catch(reject);
      });

    const client: SqlClient = {
      async query(sql, values) {
        if (sql.startsWith('BEGIN')) {
          await begin();
          return NO_ROWS;
        }
        if (open === undefined) return await run(database, sql, values);
        if (sql === 'COMMIT' || sql === 'ROLLBACK') {
          const closing = open;
          open = undefined;
          if (sql === 'ROLLBACK') await closing.transaction.rollback();
          closing.end();
          await closing.ended;
          return NO_ROWS;
        }
        return await run(open.transaction, sql, values);
      },
    };
    /** A transaction that is still open is not to be committed. */
    const abandon = (): void => {
      const abandoned = open;
      open = undefined;
      const end = (): void => abandoned?.end();
      abandoned?.transaction.rollback().then(end, end);
    };
    return { query: (sql, values) => client.query(sql, values), release: abandon };
  }

  return { acquire: () => Promise.resolve(acquire()), close };
}

const NO_ROWS: SqlResult = { rows: [], changes: 0 };

/** SQLSTATE (PostgreSQL manual, appendix A). */
const STATES: Readonly<Record<string, string>> = {
  '25006': 'the database is read-only',
  '28000': 'the database refused the user',
  '28P01': 'the database refused the password',
  '3D000': 'the database does not exist',
  '42501': 'the database user may not do this',
  '42P01': 'a table is missing: let the store create its tables, or run postgresSetup() by hand',
  '53100': 'the disk of the database is full',
  '53300': 'the database has too many connections',
  '57014': 'the database cancelled the statement',
};
const TRANSIENT = ['40001', '40P01', '55P03'];
const SHUTDOWN = ['57P01', '57P02', '57P03'];

/** What the pool of `pg` says when its own clock was faster than ours: no code, only words. */
const POOL_TIMEOUTS = [
  'timeout exceeded when trying to connect',
  'Connection terminated due to connection timeout',
];

export function postgresFailure(error: unknown): FailureKind {
  const { code: state, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (error instanceof TimeoutError || POOL_TIMEOUTS.includes(String(message)) || state === 'ETIMEDOUT') {
    return { what: 'the database did not answer in time', disconnected: true, late: true };
  }
  const code = typeof state === 'string' ? state : '';
  if (TRANSIENT.includes(code))
    return { what: 'the database ended a conflict of transactions', transient: true };
  // Five characters from the server; else the error is the driver's or the network's own.
  if (!/^[0-9A-Z]{5}$/.test(code) || code.startsWith('08') || SHUTDOWN.includes(code)) {
    return { what: 'the connection to the database failed', disconnected: true };
  }
  return { what: STATES[code] ?? `the database answered with SQLSTATE ${code}` };
}
