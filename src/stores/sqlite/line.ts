import { setTimeout as delay } from 'node:timers/promises';
import { isStrongroomError } from '../../errors.ts';
import type { MaybePromise } from '../../layer.ts';
import { slices } from '../../slices.ts';
import { storeError } from '../failure.ts';
import { failure, isBusy, NAME } from './failures.ts';

/**
 * Runs work in order; while another process has a lock, it is tried again. Creates no promise for synchronous work
 * that can begin at once.
 */
export type InOrder = <T>(work: () => MaybePromise<T>) => MaybePromise<T>;

/** Milliseconds between two attempts, at most. */
const MAX_WAIT = 20;

/** @param busyTimeout Milliseconds that a call waits for another process's lock. */
export function createLine(busyTimeout: number): InOrder {
  /** Waiting calls, in their order. Each has requested a turn of the event loop, which is for the first of them. */
  const line: (() => void)[] = [];
  /** The call that waits for a lock or works in slices: later ones wait for it. */
  let using: Promise<unknown> | undefined;
  /** Turns that no call could use. */
  let unused = 0;

  /** Runs at once when no call waits and the event loop has time, else after the waiting calls. */
  function inOrder<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    if (line.length === 0 && using === undefined && !slices.isCrowded()) return attempt(work);
    return new Promise((resolve) => {
      line.push(() => resolve(attemptLater(work)));
      askForTurn();
    });
  }

  /** One turn of the event loop for each call, so that other work of the process can run in between. */
  function askForTurn(): void {
    void slices.next().then(serve);
  }

  function serve(): void {
    if (using === undefined) line.shift()?.();
    else unused++;
  }

  const attemptLater = async <T>(work: () => MaybePromise<T>): Promise<T> => attempt(work);

  function attempt<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    const again = (error: unknown): Promise<T> => {
      if (!isBusy(error)) throw isStrongroomError(error) ? error : failure(error);
      return keepOthersOut(retry(work));
    };
    try {
      const result = work();
      return result instanceof Promise ? keepOthersOut(result).catch(again) : result;
    } catch (error) {
      return again(error);
    }
  }

  /** No other call uses the connection until then. */
  async function keepOthersOut<T>(result: Promise<T>): Promise<T> {
    using = result;
    try {
      return await result;
    } finally {
      using = undefined;
      for (; unused > 0; unused--) askForTurn();
    }
  }

  async function retry<T>(work: () => MaybePromise<T>): Promise<T> {
    const deadline = performance.now() + busyTimeout;
    for (let wait = 1; ; wait = Math.min(wait * 2, MAX_WAIT)) {
      // Random, so that processes do not retry in step.
      await delay(wait * (0.5 + Math.random() / 2));
      try {
        return await work();
      } catch (error) {
        if (!isBusy(error)) throw isStrongroomError(error) ? error : failure(error);
        if (performance.now() > deadline) {
          throw storeError(
            NAME,
            `the database stayed locked by another process for ${busyTimeout} ms`,
            error,
            'no',
          );
        }
      }
    }
  }

  return inOrder;
}
