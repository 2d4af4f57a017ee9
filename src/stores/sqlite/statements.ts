import type {
  DatabaseSync,
  SQLInputValue,
  SQLOutputValue,
  StatementResultingChanges,
  StatementSync,
} from 'node:sqlite';
import { byPosition } from './by-position.ts';
import { plannedOnce } from './planned-once.ts';

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

/** A prepared statement, and which value each of its question marks takes. */
interface Prepared {
  readonly statement: StatementSync;
  readonly order: readonly number[] | undefined;
}

export function prepareOnce(connect: () => DatabaseSync): PreparedStatements {
  const prepared = new Map<string, Prepared>();
  const preparedTuples = new Map<string, Prepared>();

  const prepare = (sql: string): Prepared => {
    const { sql: plain, order } = byPosition(plannedOnce(sql));
    return { statement: connect().prepare(plain), order };
  };
  const statement = (sql: string): Prepared => {
    let found = prepared.get(sql);
    if (found === undefined) prepared.set(sql, (found = prepare(sql)));
    return found;
  };
  const tuples = (sql: string): Prepared => {
    let found = preparedTuples.get(sql);
    if (found === undefined) {
      found = prepare(sql);
      found.statement.setReturnArrays?.(true);
      preparedTuples.set(sql, found);
    }
    return found;
  };
  const all = ({ statement: of, order }: Prepared, values: SQLInputValue[]): Row[] =>
    of.all(...inOrder(values, order));
  const run = (sql: string, values: SQLInputValue[]): StatementResultingChanges => {
    const { statement: of, order } = statement(sql);
    return of.run(...inOrder(values, order));
  };
  const statements: Statements = {
    tuples: (sql, ...values) => {
      const rows: unknown[] = all(tuples(sql), values);
      // Node.js before 22.16 returns objects.
      return (
        Array.isArray(rows[0] ?? []) ? rows : rows.map((row) => Object.values(row as Row))
      ) as SQLOutputValue[][];
    },
    all: (sql, ...values) => all(statement(sql), values),
    get: (sql, ...values) => {
      const { statement: of, order } = statement(sql);
      return of.get(...inOrder(values, order));
    },
    run: (sql, ...values) => Number(run(sql, values).changes),
    insert: (sql, ...values) => {
      const { changes, lastInsertRowid } = run(sql, values);
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

function inOrder(values: SQLInputValue[], order: readonly number[] | undefined): SQLInputValue[] {
  return order === undefined ? values : order.map((value) => values[value] as SQLInputValue);
}
