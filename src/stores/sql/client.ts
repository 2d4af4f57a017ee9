import { setTimeout as delay } from 'node:timers/promises';
import { isStrongroomError } from '../../errors.ts';
import { storeError, withOutcome, type Outcome } from '../failure.ts';

export type SqlValue = string | number | null | Uint8Array | readonly (string | number | null)[];
/** By the names of the columns, or by their positions if the statement has `tuples`. */
export type SqlRow = Record<string | number, unknown>;

export interface SqlResult {
  readonly rows: readonly SqlRow[];
  /** How many rows a statement other than a query found. */
  readonly changes: number;
}

/** A statement with `?` for values; as an object when a database should keep its plan: {@link kept}. */
export type Statement = string | KeptStatement;

export interface KeptStatement {
  readonly sql: string;
  /** Rows are arrays, which is faster for many columns. */
  readonly tuples: boolean;
}

/**
 * A statement that each connection parses and plans once, if its database can do that. For few different texts: a
 * connection keeps all of them.
 */
export function kept(sql: string, { tuples = false }: { readonly tuples?: boolean } = {}): KeptStatement {
  return { sql, tuples };
}

/** One connection. */
export interface SqlClient {
  query(statement: Statement, values?: readonly SqlValue[]): Promise<SqlResult>;
}

/** A connection that a pool handed out. */
export interface SqlLoan extends SqlClient {
  /** Releases it; after an error it is closed, because its state is unknown. */
  release(broken?: boolean): void;
  /** Its server refuses writes: no existing connection is handed out again. */
  moved?(): void;
}

/** Where connections come from. */
export interface SqlPool {
  /** The database runs in this process: its clock is ours. */
  readonly inProcess?: true;
  acquire(): Promise<SqlLoan>;
  close(): Promise<void>;
}

/** The meaning of a failure of the database. */
export interface FailureKind {
  /** The server rolled the transaction back so that others could go on: the same work can succeed when repeated. */
  readonly transient?: boolean;
  /** The connection is lost, so an answer may be lost. */
  readonly disconnected?: boolean;
  /** No answer within the time of the call: it has none left for another attempt. */
  readonly late?: boolean;
  /** The server has no connection left for now: see patient-pool.ts. */
  readonly full?: boolean;
  /**
   * The server did nothing and refuses writes: it became a replica, or is ending. Its address may lead to another
   * server by now.
   */
  readonly refused?: boolean;
  /** For the message. */
  readonly what: string;
}

/** Runs work on a pool. */
export interface SqlRunner {
  /** A statement that only reads; repeated once after a lost connection, not after a time-out. */
  read(statement: Statement, values?: readonly SqlValue[]): Promise<SqlResult>;
  /** One statement that is a transaction of its own. */
  write(statement: Statement, values?: readonly SqlValue[]): Promise<SqlResult>;
  /** Commits unless `work` resolves to {@link NOTHING}, which rolls back. Can run `work` again. */
  transaction<T>(work: (client: SqlClient) => Promise<T>): Promise<T>;
}

/** Statements that are each a transaction of their own. */
export function single(runner: SqlRunner): SqlClient {
  return { query: (statement, values) => runner.write(statement, values) };
}

/** Result of transaction work that has nothing to commit. */
export const NOTHING: unique symbol = Symbol('nothing') as never;

const ATTEMPTS = 10;

export function createRunner(
  name: string,
  pool: () => Promise<SqlPool>,
  begin: string,
  kindOf: (error: unknown) => FailureKind,
): SqlRunner {
  const failure = (error: unknown, outcome?: Outcome): unknown =>
    storeError(name, kindOf(error).what, error, outcome);

  async function acquire(): Promise<SqlLoan> {
    let connections: SqlPool;
    try {
      connections = await pool();
    } catch (error) {
      // Nothing of this call was written, even if the set-up before it was done in part.
      throw isStrongroomError(error) ? withOutcome(error, 'no') : failure(error, 'no');
    }
    try {
      return await connections.acquire();
    } catch (error) {
      throw failure(error, 'no');
    }
  }

  async function once(
    statement: Statement,
    values: readonly SqlValue[],
    outcome?: (kind: FailureKind) => Outcome,
  ): Promise<SqlResult> {
    const loan = await acquire();
    try {
      const result = await loan.query(statement, values);
      loan.release();
      return result;
    } catch (error) {
      const kind = kindOf(error);
      if (kind.refused) loan.moved?.();
      loan.release(kind.refused || kind.disconnected === true || !(await rolledBack(loan)));
      throw failure(error, outcome?.(kind));
    }
  }

  /** Also after one statement: it may have begun a transaction, and been ended in it. */
  async function rolledBack(loan: SqlLoan): Promise<boolean> {
    return await loan.query('ROLLBACK').then(
      () => true,
      () => false,
    );
  }

  /**
   * Repeats work that the server rolled back; and, once over another connection, work that never reached it or was
   * refused.
   */
  async function repeating<T>(work: () => Promise<T>, reads = false): Promise<T> {
    let isAnew = false;
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        const cause = isStrongroomError(error) ? error.cause : error;
        if (attempt >= ATTEMPTS || cause === undefined) throw error;
        const { transient, disconnected, late, refused } = kindOf(cause);
        const unwritten = reads || (isStrongroomError(error) && error.written === 'no');
        const anew = unwritten && late !== true && (disconnected === true || refused === true);
        if (transient !== true && (isAnew || !anew)) throw error;
        isAnew ||= anew;
        await delay(Math.random() * 2 ** attempt);
      }
    }
  }

  async function attemptTransaction<T>(work: (client: SqlClient) => Promise<T>): Promise<T> {
    const loan = await acquire();
    let committing = false;
    try {
      await loan.query(begin);
      const result = await work(loan);
      committing = result !== NOTHING;
      await loan.query(committing ? 'COMMIT' : 'ROLLBACK');
      loan.release();
      return result;
    } catch (error) {
      // An error of ours comes from the work; the connection is usable.
      const kind: FailureKind = isStrongroomError(error) ? { what: error.message } : kindOf(error);
      if (kind.refused) loan.moved?.();
      const lost = committing || kind.refused === true || kind.disconnected === true;
      loan.release(lost || !(await rolledBack(loan)));
      if (isStrongroomError(error)) throw error;
      const undone = kind.transient === true || (kind.refused === true && kind.disconnected !== true);
      throw failure(error, committing && !undone ? 'unknown' : 'no');
    }
  }

  const outcomeOf = ({ disconnected, refused }: FailureKind): Outcome =>
    disconnected === true && refused !== true ? 'unknown' : 'no';
  return {
    read: (statement, values = []) => repeating(() => once(statement, values), true),
    write: (statement, values = []) => repeating(() => once(statement, values, outcomeOf)),
    transaction: (work) => repeating(() => attemptTransaction(work)),
  };
}

/** Rows in the form that the statement requires, also from a pool that ignores it. */
export function rowsFor(statement: Statement, rows: readonly unknown[]): readonly SqlRow[] {
  const isWrong =
    typeof statement === 'object' && statement.tuples && rows.length > 0 && !Array.isArray(rows[0]);
  return (isWrong ? rows.map((row) => Object.values(row as object)) : rows) as SqlRow[];
}

/** Placeholders for this many values. */
export function list(count: number): string {
  return Array.from({ length: count }, () => '?').join(', ');
}

/** Databases give binary columns as bytes. */
export function text(value: unknown): string {
  return typeof value === 'string' ? value : Buffer.from(value as Uint8Array).toString('utf8');
}
