import type { StoredRecord } from '../driver.ts';
import type { SqlClient, SqlValue } from './client.ts';

/** A number that names a session in other tables, and the first of the sequence numbers that were reserved. */
export interface Reservation {
  readonly session: number;
  readonly firstSeq: number;
  /** This transaction made the row of the session. */
  readonly isNew: boolean;
}

/** A row, by its columns. */
export interface NewRow {
  readonly table: TableName;
  /** With commas between them. */
  readonly columns: string;
  /** A place for each value, or an expression. */
  readonly places: string;
  readonly values: readonly SqlValue[];
}

/** Where the SQL databases differ. */
export interface SqlDialect {
  /** The factory's name. */
  readonly name: string;
  /** The name of one of our tables, quoted. */
  table(name: TableName): string;
  /**
   * Begins a transaction in which every statement sees what is committed when the statement starts. Where the server can, it ends
   * a transaction that waits for its client for longer than `timeout` milliseconds: when the network swallows the client, nobody
   * else would end it, and the session would stay locked for hours.
   */
  begin(timeout: number): string;
  /** Ends a `SELECT` whose rows must not change until the transaction ends. */
  readonly forShare: string;
  /** Inserts a row unless there is one with its key; whether it did. */
  insertNew(client: SqlClient, row: NewRow): Promise<boolean>;
  /** A text column, for a list of columns, as the bytes that it was written with, whatever the charset of the connection. */
  bytes(column: string): string;
  /** The server's clock in whole Unix milliseconds. */
  readonly clock: string;
  /**
   * Makes the session's row if it is missing, locks it until the transaction ends, lowers its bounds
   * (see first-times.ts), reserves numbers.
   *
   * @param session Its `mark` moves its version on; 0 does not.
   * @param coming What is going to be inserted. Default: nothing, and then the version is left as it is.
   * @param numbers How many numbers that takes. Default: one each.
   */
  reserve(
    client: SqlClient,
    session: { readonly id: string; readonly subject?: string | undefined; readonly mark: number },
    coming?: readonly StoredRecord[],
    numbers?: number,
  ): Promise<Reservation>;
  /** Deletes items: numbers by session. */
  deleteItems(client: SqlClient, items: ReadonlyMap<number, readonly number[]>): Promise<void>;
}

export type TableName = 'schema' | 'sessions' | 'items' | 'operations' | 'deks' | 'leases' | 'holds';
