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

/** The columns of the statements that were prepared, by name. Stores of one database share what it has. */
const prepared = new WeakMap<object, Map<string, readonly Column[]>>();

/**
 * Runs a kept statement under its name: PGlite's `query()` parses and plans every statement anew, which takes most of
 * its time, and its own reading of rows most of the rest.
 *
 * @param ours Whether the transaction that is open, if any, is of the caller.
 * @returns Nothing when it did not run: the database cannot do it, or is in a transaction of somebody else.
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
    // What it passes is a part of its memory that the next answer overwrites.
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
      // Somebody may have deallocated it, or changed its tables. The runner repeats what that ended.
      columnsByName.delete(name);
      throw error;
    }
  }

  /** Commits, and brings what was announced: PGlite reads this answer itself and tells its listeners. */
  async function sync(ours: boolean): Promise<void> {
    await database.execProtocol(SYNC, { syncToFs: !ours });
  }

  return async (statement, values, ours) =>
    await database.runExclusive(async () => {
      // The lock is of single queries: a transaction of somebody else can be open while we have it.
      if (!database.ready || (database.isInTransaction() && !ours)) return undefined;
      let result: SqlResult;
      try {
        result = await execute(statement, values);
      } catch (error) {
        // What went wrong first is what the caller is to hear.
        await sync(ours).catch(() => undefined);
        throw error;
      }
      await sync(ours);
      return result;
    });
}
