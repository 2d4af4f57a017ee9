import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';

export type Row = Record<string, SQLOutputValue>;

/** Statements, prepared once. */
export interface Statements {
  readonly all: (sql: string, ...values: SQLInputValue[]) => Row[];
  /** As {@link Statements.all}, with the columns in their order: many rows take two thirds of the time of objects. */
  readonly tuples: (sql: string, ...values: SQLInputValue[]) => SQLOutputValue[][];
  readonly get: (sql: string, ...values: SQLInputValue[]) => Row | undefined;
  /** How many rows it changed. */
  readonly run: (sql: string, ...values: SQLInputValue[]) => number;
  /**
   * The number of the row that it inserted, `undefined` when it inserted none. A `RETURNING` clause, whose rows SQLite
   * collects in a table first, takes as long as the insert.
   */
  readonly insert: (sql: string, ...values: SQLInputValue[]) => number | undefined;
}

/** Statements of a connection, and a function to release them before it is closed. */
export interface PreparedStatements {
  readonly statements: Statements;
  readonly forget: () => void;
}

export function prepareOnce(connect: () => DatabaseSync): PreparedStatements {
  const prepared = new Map<string, StatementSync>();
  const preparedTuples = new Map<string, StatementSync>();

  const statement = (sql: string): StatementSync => {
    let found = prepared.get(sql);
    if (found === undefined) prepared.set(sql, (found = connect().prepare(sql)));
    return found;
  };
  const tuples = (sql: string): StatementSync => {
    let found = preparedTuples.get(sql);
    if (found === undefined) {
      found = connect().prepare(sql);
      found.setReturnArrays?.(true);
      preparedTuples.set(sql, found);
    }
    return found;
  };
  const statements: Statements = {
    tuples: (sql, ...values) => {
      const rows: unknown[] = tuples(sql).all(...values);
      // Node.js before 22.16 returns objects.
      return (
        Array.isArray(rows[0] ?? []) ? rows : rows.map((row) => Object.values(row as Row))
      ) as SQLOutputValue[][];
    },
    all: (sql, ...values) => statement(sql).all(...values),
    get: (sql, ...values) => statement(sql).get(...values),
    run: (sql, ...values) => Number(statement(sql).run(...values).changes),
    insert: (sql, ...values) => {
      const { changes, lastInsertRowid } = statement(sql).run(...values);
      return Number(changes) === 0 ? undefined : Number(lastInsertRowid);
    },
  };

  return {
    statements,
    forget() {
      prepared.clear();
      preparedTuples.clear();
    },
  };
}
