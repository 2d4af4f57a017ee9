import type { MaybePromise } from '../../layer.ts';
import { unremoved } from './failures.ts';
import { createHandle } from './handle.ts';
import { createLine } from './line.ts';
import { prepareOnce, type Statements } from './statements.ts';
import { createTransact } from './transaction.ts';

/** What {@link openConnection} needs. */
export interface ConnectionOptions {
  readonly path: string;
  readonly durability: 'normal' | 'full';
  /** Milliseconds that a call waits for another process's lock. */
  readonly busyTimeout: number;
}

/**
 * One connection, opened by the first call. It does one thing after the other, in the order of the calls, so that it
 * serves all sessions: what does not end at once, because it works in slices or waits for another process's lock, keeps
 * the others out. Waiting is asynchronous: SQLite's own busy handler would stop the whole process. Where the event loop
 * has no time left, calls wait for a turn of it, because a database that answers at once would never let it go on.
 */
export interface Connection {
  read<T>(work: (statements: Statements) => MaybePromise<T>): Promise<T>;
  /** The same, without a promise where nobody is waited for. */
  readNow<T>(work: (statements: Statements) => MaybePromise<T>): MaybePromise<T>;
  /**
   * In one `BEGIN IMMEDIATE` transaction, rolled back when `work` throws. On a full disk it is tried once more in the room that
   * the log has.
   *
   * @param removes Whether it makes room, for the message.
   */
  write<T>(work: (statements: Statements) => MaybePromise<T>, removes?: () => boolean): Promise<T>;
  close(): Promise<void>;
}

export function openConnection({ path, durability, busyTimeout }: ConnectionOptions): Connection {
  const handle = createHandle(path, durability);
  const { statements, forget } = prepareOnce(handle.connect);
  const transact = createTransact(handle, statements);
  const inOrder = createLine(busyTimeout);
  const readNow = <T>(work: (statements: Statements) => MaybePromise<T>): MaybePromise<T> =>
    inOrder(() => {
      handle.connect();
      return work(statements);
    });
  const write = async <T>(work: (statements: Statements) => MaybePromise<T>): Promise<T> =>
    inOrder(() => transact(work));
  return {
    read: async (work) => readNow(work),
    readNow,
    write: (work, removes) =>
      removes === undefined
        ? write(work)
        : write(work).catch((error: unknown) => Promise.reject(unremoved(error, removes))),
    close: async () =>
      inOrder(() => {
        forget();
        handle.close();
      }),
  };
}
