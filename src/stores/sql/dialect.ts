import type { Claim, StoredRecord } from '../driver.ts';
import type { SqlClient, SqlValue } from './client.ts';

/** The number of a session in other tables, and the first of the reserved sequence numbers. */
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
  /** A placeholder for each value, or an expression. */
  readonly places: string;
  readonly values: readonly SqlValue[];
}

/** The differences between the SQL databases. */
export interface SqlDialect {
  /** The factory's name. */
  readonly name: string;
  /** The name of one of our tables, quoted. */
  table(name: TableName): string;
  /**
   * Begins a transaction in which every statement sees what is committed when the statement starts. Where the server can, it ends
   * a transaction that waits for its client for longer than `timeout` milliseconds: when the network fails, nothing
   * else would end it, and the session would stay locked for hours.
   */
  begin(timeout: number): string;
  /** Ends a `SELECT` whose rows must not change until the transaction ends. */
  readonly forShare: string;
  /** Inserts a row unless there is one with its key; whether it did. */
  insertNew(client: SqlClient, row: NewRow): Promise<boolean>;
  /** A text column, for a list of columns, as the bytes that it was written with, whatever the charset of the connection. */
  bytes(column: string): string;
  /** A part of a `FROM` can refer to the parts before it. */
  readonly lateral: boolean;
  /** The server's clock in whole Unix milliseconds. */
  readonly clock: string;
  /**
   * Makes the session's row if it is missing, locks it until the transaction ends, lowers its bounds
   * (see first-times.ts), reserves numbers.
   *
   * @param session Its `mark` moves its version on; 0 does not.
   * @param coming The records to insert. Default: none, and then the version does not change. @param numbers How
   * many numbers they need. Default: one each.
   */
  reserve(
    client: SqlClient,
    session: Claim & { readonly id: string; readonly mark: number },
    coming?: readonly StoredRecord[],
    numbers?: number,
  ): Promise<Reservation>;
  /** Deletes items: numbers by session. */
  deleteItems(client: SqlClient, items: ReadonlyMap<number, readonly number[]>): Promise<void>;
}

export type TableName =
  'schema' | 'sessions' | 'items' | 'shares' | 'operations' | 'deks' | 'leases' | 'holds';
