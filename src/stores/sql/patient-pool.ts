import { setTimeout as delay } from 'node:timers/promises';
import { inTime, TimeoutError } from '../in-time.ts';
import type { SqlLoan, SqlPool } from './client.ts';

const FIRST_WAIT = 10;
const LONGEST_WAIT = 250;

/**
 * A pool that waits while the server has no connection left, until another client releases one. Nothing was sent by
 * then, so nothing can happen twice.
 *
 * @param timeout Milliseconds, for all attempts together.
 * @param isFull Whether the server refused one connection more.
 */
export function patientPool<P extends SqlPool>(
  pool: P,
  timeout: number,
  isFull: (error: unknown) => boolean,
): P {
  async function again(refused: unknown, deadline: number): Promise<SqlLoan> {
    let refusal = refused;
    for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
      // Random, so that waiting callers do not all retry at once.
      const pause = wait * (0.5 + Math.random());
      const left = deadline - performance.now() - pause;
      if (left <= 0) throw refusal;
      await delay(pause);
      const acquiring = pool.acquire();
      try {
        return await inTime(acquiring, left, () => giveBack(acquiring));
      } catch (error) {
        // The error of the full server is more useful than a time-out.
        if (error instanceof TimeoutError) throw refusal;
        if (!isFull(error)) throw error;
        refusal = error;
      }
    }
  }

  return {
    ...pool,
    async acquire() {
      const deadline = performance.now() + timeout;
      try {
        return await pool.acquire();
      } catch (error) {
        if (!isFull(error)) throw error;
        return await again(error, deadline);
      }
    },
  };
}

/** It may still arrive, and must then be released. */
function giveBack(acquiring: Promise<SqlLoan>): void {
  acquiring.then(
    (late) => late.release(),
    () => undefined,
  );
}
