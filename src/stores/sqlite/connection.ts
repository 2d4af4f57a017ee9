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
 * One connection, opened by the first call. It runs one call after the other, in the order of the calls, so that it
 * serves all sessions: a call that works in slices or waits for another process's lock makes the others wait.
 * Waiting is asynchronous: SQLite's own busy handler would stop the whole process. When the slice of the event loop
 * is used up, calls wait for a turn of it, because a synchronous database would block it.
 */
export interface Connection {
  read<T>(work: (statements: Statements) => MaybePromise<T>): Promise<T>;
  /** The same, without a promise when there is nothing to wait for. */
  readNow<T>(work: (statements: Statements) => MaybePromise<T>): MaybePromise<T>;
  /**
   * In one `BEGIN IMMEDIATE` transaction, rolled back when `work` throws. On a full disk it is tried once more in
   * the space of the log.
   *
   * @param removes Whether it frees space, for the message.
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
