import { StrongroomError } from '../../errors.ts';
import type { AnnouncementListener, Channel } from '../announcements.ts';
import { inTime, TimeoutError } from '../in-time.ts';
import {
  rowsFor,
  type FailureKind,
  type SqlLoan,
  type SqlPool,
  type SqlResult,
  type Statement,
} from '../sql/client.ts';
import { generationsOf, type Generations } from '../generations.ts';
import { listen, type ListeningClient } from './announce.ts';
import type { PostgresNames } from './schema.ts';
import { nameOf, rowModeOf, textOf } from './statements.ts';
import { TYPES } from './types.ts';

/** Connections that can also listen. */
export interface PostgresConnections extends SqlPool {
  /** A connection on which the database announces changes. */
  channel(
    names: PostgresNames,
    changed: AnnouncementListener['changed'],
    signal: AbortSignal,
  ): Promise<Channel>;
}

/** The part of `pg.Pool` (and of Lakebase's and Neon's) that is used. */
export interface PostgresPool {
  connect(): Promise<PostgresPoolClient>;
  end(): Promise<void>;
  on?(event: 'connect', listener: (client: PostgresPoolClient) => void): unknown;
}

/** The part of a pooled `pg` client that is used. */
export interface PostgresPoolClient {
  /** With a `name` the connection keeps the statement. */
  query(statement: {
    text: string;
    values: unknown[];
    name?: string;
    rowMode?: 'array';
    types?: { getTypeParser(oid: number): (text: string) => unknown };
  }): Promise<{ rows: unknown[]; rowCount: number | null }>;
  readonly binary?: boolean;
  release(error?: boolean): void;
  on?(event: 'error', listener: (error: Error) => void): unknown;
}

/**
 * SQLSTATE when a prepared statement is missing on a connection, or exists already: a proxy shares connections
 * (PgBouncer in transaction mode without `max_prepared_statements`).
 */
const PREPARED_ELSEWHERE = ['26000', '42P05'];

/** Checked-out clients report a lost connection twice: as the query's error, and as an event that ends the process. */
const listening = new WeakSet<object>();
const watched = new WeakSet<object>();

function hearErrors(client: PostgresPoolClient): void {
  if (client.on === undefined || listening.has(client)) return;
  listening.add(client);
  client.on('error', () => undefined);
}

/**
 * The error of a server that stops can arrive in one packet with the end of the login. It is read after the pool
 * has stopped to listen for errors, and before the caller that waits for the connection runs.
 */
export function hearErrorsOfNew(pool: PostgresPool): void {
  if (pool.on === undefined || watched.has(pool)) return;
  watched.add(pool);
  pool.on('connect', hearErrors);
}

/** `pg` reads values in this format as text, which destroys bytes. */
export function binaryError(): StrongroomError {
  return new StrongroomError(
    'ERR_INVALID_OPTION',
    'openPostgres: the pool has the option binary, with which pg does not return bytes unchanged. Remove it.',
  );
}

/** Options of {@link fromPool}. */
export interface PostgresPoolOptions {
  readonly close: () => Promise<void>;
  /** Opens a connection for listening. Default: one of the pool, kept for as long as the store listens. */
  readonly connect?: () => Promise<Listening>;
  /**
   * Whether the server ends statements that take too long. `false`: the limit is set in each transaction. Default:
   * the store sets no limit.
   */
  readonly isLimited?: () => boolean;
  /** Of the pool. Default: of `pool`. */
  readonly generations?: Generations;
}

/** @param timeout Milliseconds for one statement, and for getting a connection. */
export function fromPool(
  pool: PostgresPool,
  timeout: number,
  options: PostgresPoolOptions,
): PostgresConnections {
  const {
    close,
    connect = () => keep(pool),
    isLimited = () => true,
    generations = generationsOf(pool, 'connect'),
  } = options;
  let keeps = true;
  hearErrorsOfNew(pool);

  async function connected(): Promise<PostgresPoolClient> {
    for (;;) {
      const client = await pool.connect();
      if (!generations.isOld(client)) return client;
      client.release(true);
    }
  }

  async function acquire(): Promise<SqlLoan> {
    const connecting = connected();
    const client = await inTime(connecting, timeout, () => {
      // It may still arrive, and must then be released.
      connecting.then(
        (late) => late.release(),
        () => undefined,
      );
    });
    if (client.binary === true) {
      client.release();
      throw binaryError();
    }
    hearErrors(client);
    return {
      async query(statement, values = []): Promise<SqlResult> {
        const query = {
          ...(typeof statement === 'object' && keeps ? nameOf(statement) : { text: textOf(statement) }),
          // Otherwise, after our time-out it would still wait for its lock on the server.
          ...(!isLimited() &&
            isBegin(statement) && { text: `${statement}; SET LOCAL statement_timeout = ${timeout}` }),
          ...rowModeOf(statement),
          types: TYPES,
          values: [...values],
        };
        try {
          const { rows, rowCount } = await inTime(client.query(query), timeout);
          return { rows: rowsFor(statement, rows), changes: rowCount ?? 0 };
        } catch (error) {
          if (PREPARED_ELSEWHERE.includes(stateOf(error))) keeps = false;
          throw error;
        }
      },
      release: (broken) => client.release(broken),
      moved: () => generations.moved(client),
    };
  }

  return {
    acquire,
    close,
    async channel(names, changed, signal) {
      const moving = generations.signal();
      const listening = await connect();
      signal.addEventListener('abort', () => void listening.close());
      try {
        const channel = await listen(
          listening.client,
          names,
          changed,
          listening.close,
          async (sql, values) => {
            const loan = await acquire();
            try {
              await loan.query(sql, values);
              loan.release();
            } catch (error) {
              loan.release(true);
              throw error;
            }
          },
        );
        // A channel to the old server gets no announcements.
        const signals = channel.gone === undefined ? [moving] : [moving, channel.gone];
        return { ...channel, gone: AbortSignal.any(signals) };
      } catch (error) {
        await listening.close();
        throw error;
      }
    },
  };
}

function isBegin(statement: Statement): statement is string {
  return typeof statement === 'string' && statement.startsWith('BEGIN');
}

/** A connection that listens. */
export interface Listening {
  readonly client: ListeningClient;
  readonly close: Channel['close'];
}

async function keep(pool: PostgresPool): Promise<Listening> {
  const client = await pool.connect();
  // It listens, so no other call may get it. Our type of a pool's client has only the members that the store needs.
  return { client: client as unknown as ListeningClient, close: () => client.release(true) };
}

/** SQLSTATE (PostgreSQL manual, appendix A). */
const STATES: Readonly<Record<string, string>> = {
  '25006': 'the database is read-only',
  '28000': 'the database refused the user',
  '28P01': 'the database refused the password',
  '3D000': 'the database does not exist',
  '42501': 'the database user may not do this',
  '42P01': 'a table is missing: let the store create its tables, or run postgresSetup() by hand',
  '53100': 'the disk of the database is full',
  '57014': 'the database cancelled the statement',
};
const TRANSIENT = ['40001', '40P01', '55P03', ...PREPARED_ELSEWHERE];
/** Messages of poolers for the same, with codes of other errors. */
const POOLER_FULL =
  /no more connections allowed|max_(?:client_conn|db_client|user_client)|max clients reached/i;
const FULL =
  'the database has no connection left: lower maxConnections of its users, or raise its limit (max_connections, or that of ' +
  'the role, the database or the pooler)';
/** It refuses writes (a standby, or by a setting), or does not accept connections yet. */
const REFUSED = ['25006', '57P03'];
/**
 * An administrator ends the server or the connection. The transaction is rolled back: it does not end between a
 * commit and its answer.
 */
const ENDING = '57P01';
/** It ends because another of its processes crashed, at any moment; or the transaction had waited for its client for too long. */
const SHUTDOWN = ['57P02', '25P03'];

function stateOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** Messages of the pool of `pg` when its time-out came before ours; they have no code. */
const POOL_TIMEOUTS = [
  'timeout exceeded when trying to connect',
  'Connection terminated due to connection timeout',
];

export function postgresFailure(error: unknown): FailureKind {
  const { message } = (error ?? {}) as { message?: unknown };
  const code = stateOf(error);
  if (error instanceof TimeoutError || POOL_TIMEOUTS.includes(String(message)) || code === 'ETIMEDOUT') {
    return { what: 'the database did not answer in time', disconnected: true, late: true };
  }
  if (code === '53300' || POOLER_FULL.test(String(message))) return { what: FULL, full: true };
  if (REFUSED.includes(code))
    return { what: STATES[code] ?? 'the connection to the database failed', refused: true };
  if (code === ENDING)
    return { what: 'the connection to the database failed', disconnected: true, refused: true };
  if (TRANSIENT.includes(code))
    return { what: 'the database ended a conflict of transactions', transient: true };
  // Five characters from the server; else the error is the driver's or the network's own.
  if (!/^[0-9A-Z]{5}$/.test(code) || code.startsWith('08') || SHUTDOWN.includes(code)) {
    return { what: 'the connection to the database failed', disconnected: true };
  }
  return { what: STATES[code] ?? `the database answered with SQLSTATE ${code}` };
}
