import type { KeptStatement, SqlResult, SqlValue } from '../sql/client.ts';
import { nameOf } from './statements.ts';
import { columnsOf, executeMessages, prepareMessages, resultOf, SYNC, type Column } from './wire.ts';

/** The part of PGlite that runs statements which were prepared: missing in old versions and in its worker. */
export interface PGliteProtocol {
  readonly ready: boolean;
  isInTransaction(): boolean;
  runExclusive<T>(work: () => Promise<T>): Promise<T>;
  execProtocol(message: Uint8Array, options: { syncToFs: boolean }): Promise<unknown>;
  execProtocolRawStream(
    message: Uint8Array,
    options: { syncToFs: boolean; onRawData: (data: Uint8Array) => void },
  ): Promise<void>;
}

const METHODS = ['isInTransaction', 'runExclusive', 'execProtocol', 'execProtocolRawStream'] as const;

function speaksProtocol(database: Partial<PGliteProtocol>): database is PGliteProtocol {
  return METHODS.every((name) => typeof database[name] === 'function');
}

/** The columns of the prepared statements, by name. Stores of one database share them. */
const prepared = new WeakMap<object, Map<string, readonly Column[]>>();

/**
 * Runs a kept statement under its name: PGlite's `query()` parses and plans every statement anew, which takes most of
 * its time, and its own reading of rows most of the rest.
 *
 * @param ours Whether the transaction that is open, if any, is of the caller.
 * @returns `undefined` when it did not run: the database lacks the methods, or is in a transaction of the
 * application.
 */
export type RunKept = (
  statement: KeptStatement,
  values: readonly SqlValue[],
  ours: boolean,
) => Promise<SqlResult | undefined>;

export function pgliteKept(database: Partial<PGliteProtocol>): RunKept {
  return speaksProtocol(database) ? overProtocol(database) : () => Promise.resolve(undefined);
}

function overProtocol(database: PGliteProtocol): RunKept {
  let known = prepared.get(database);
  if (known === undefined) prepared.set(database, (known = new Map()));
  const columnsByName = known;

  async function send(message: Uint8Array): Promise<Buffer> {
    const answer: Uint8Array[] = [];
    // The passed bytes are a part of its memory that the next answer overwrites.
    await database.execProtocolRawStream(message, {
      syncToFs: false,
      onRawData: (data) => void answer.push(data.slice()),
    });
    return Buffer.concat(answer);
  }

  async function execute(statement: KeptStatement, values: readonly SqlValue[]): Promise<SqlResult> {
    const { name, text } = nameOf(statement);
    let columns = columnsByName.get(name);
    if (columns === undefined) {
      columns = columnsOf(await send(prepareMessages(name, text)));
      columnsByName.set(name, columns);
    }
    try {
      return resultOf(await send(executeMessages(name, columns, values)), columns, statement.tuples);
    } catch (error) {
      // It may have been deallocated, or its tables changed. The runner repeats a statement that failed for this
      // reason.
      columnsByName.delete(name);
      throw error;
    }
  }

  /** Commits, and delivers notifications: PGlite reads this answer itself and calls its listeners. */
  async function sync(ours: boolean): Promise<void> {
    await database.execProtocol(SYNC, { syncToFs: !ours });
  }

  return async (statement, values, ours) =>
    await database.runExclusive(async () => {
      // The lock is for single queries: a transaction of the application can be open while we hold it.
      if (!database.ready || (database.isInTransaction() && !ours)) return undefined;
      let result: SqlResult;
      try {
        result = await execute(statement, values);
      } catch (error) {
        // The caller gets the first error.
        await sync(ours).catch(() => undefined);
        throw error;
      }
      await sync(ours);
      return result;
    });
}
