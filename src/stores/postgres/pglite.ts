import {
  rowsFor,
  type SqlClient,
  type SqlLoan,
  type SqlResult,
  type SqlValue,
  type Statement,
} from '../sql/client.ts';
import type { AnnouncementListener, Channel } from '../announcements.ts';
import { askSecret, echoes, numbered } from './announce.ts';
import type { PostgresNames } from './schema.ts';
import { pgliteKept, type PGliteProtocol } from './pglite-kept.ts';
import type { PostgresConnections } from './pool.ts';
import { rowModeOf, textOf } from './statements.ts';

/** The part of PGlite that is used: PostgreSQL in this process. */
export interface PGliteLike extends Partial<PGliteProtocol> {
  query(sql: string, values?: unknown[], options?: { rowMode?: 'array' }): Promise<PGliteResult>;
  transaction<T>(work: (transaction: PGliteTransaction) => Promise<T>): Promise<T>;
  listen(channel: string, listener: (payload: string) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

interface PGliteTransaction {
  query(sql: string, values?: unknown[], options?: { rowMode?: 'array' }): Promise<PGliteResult>;
  rollback(): Promise<void>;
}

interface PGliteResult {
  rows: unknown[];
  affectedRows?: number;
}

/** PGlite has one connection: a transaction keeps all other callers waiting. */
export function fromPGlite(database: PGliteLike, close: () => Promise<void>): PostgresConnections {
  const runKept = pgliteKept(database);

  const run = async (
    target: PGliteLike | PGliteTransaction,
    statement: Statement,
    values: readonly SqlValue[] = [],
  ): Promise<SqlResult> => {
    if (typeof statement === 'object') {
      const result = await runKept(statement, values, target !== database);
      if (result !== undefined) return result;
    }
    const { rows, affectedRows } = await target.query(textOf(statement), [...values], rowModeOf(statement));
    return { rows: rowsFor(statement, rows), changes: affectedRows ?? 0 };
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
      async query(statement, values) {
        const sql = textOf(statement);
        if (sql.startsWith('BEGIN')) {
          await begin();
          return NO_ROWS;
        }
        if (open === undefined) return await run(database, statement, values);
        if (sql === 'COMMIT' || sql === 'ROLLBACK') {
          const closing = open;
          open = undefined;
          if (sql === 'ROLLBACK') await closing.transaction.rollback();
          closing.end();
          await closing.ended;
          return NO_ROWS;
        }
        return await run(open.transaction, statement, values);
      },
    };
    /** A transaction that is still open must not be committed. */
    const abandon = (): void => {
      const abandoned = open;
      open = undefined;
      const end = (): void => abandoned?.end();
      abandoned?.transaction.rollback().then(end, end);
    };
    return { query: (statement, values) => client.query(statement, values), release: abandon };
  }

  return {
    inProcess: true,
    acquire: () => Promise.resolve(acquire()),
    close,
    channel: (names, changed) => listenPGlite(database, names, changed),
  };
}

const NO_ROWS: SqlResult = { rows: [], changes: 0 };

/** PGlite is in this process, but its trigger can be dropped like any other. */
async function listenPGlite(
  database: PGliteLike,
  names: PostgresNames,
  changed: AnnouncementListener['changed'],
): Promise<Channel> {
  const secret = await askSecret(database, names);
  const { heard, check } = echoes(names, changed, (sql, values) =>
    database.query(numbered(sql), [...values]),
  );
  const close = await database.listen(secret.channel, heard);
  return { check, close, nameOf: secret.nameOf };
}
