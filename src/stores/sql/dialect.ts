import type { SqlClient } from './client.ts';

/** A number that names a session in other tables, and the first of the sequence numbers that were reserved. */
export interface Reservation {
  readonly session: number;
  readonly firstSeq: number;
}

/** Where the SQL databases differ. */
export interface SqlDialect {
  /** The factory's name. */
  readonly name: string;
  /** The name of one of our tables, quoted. */
  table(name: TableName): string;
  /** Begins a transaction in which every statement sees what is committed when the statement starts. */
  readonly begin: string;
  /** Ends a `SELECT` whose rows must not change until the transaction ends. */
  readonly forShare: string;
  /** `INSERT` that skips rows which exist: what stands before and after `INTO … VALUES …`. */
  readonly insertNew: readonly [before: string, after: string];
  /** The server's clock in whole Unix milliseconds. */
  readonly clock: string;
  /** When a record was born: an expression that an index knows. */
  readonly birth: string;
  /** Makes the session's row if it is missing, locks it until the transaction ends, reserves numbers. */
  reserve(
    client: SqlClient,
    session: { readonly id: string; readonly subject?: string | undefined },
    count: number,
  ): Promise<Reservation>;
  /**
   * Deletes those of the items, numbers by session, that fulfil the condition with its one value.
   *
   * @returns How many of each session that lost any.
   */
  deleteItems(
    client: SqlClient,
    items: ReadonlyMap<number, readonly number[]>,
    condition: string,
    value: number,
  ): Promise<ReadonlyMap<number, number>>;
}

export type TableName = 'schema' | 'sessions' | 'items' | 'operations' | 'deks' | 'leases' | 'holds';
