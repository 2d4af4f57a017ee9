import { setImmediate as turn } from 'node:timers/promises';
import { vi } from 'vitest';

/** Longer than any test runs: while a test waits for a request, the attempt does not time out. In ms. */
export const PATIENCE = 600_000;

/**
 * Runs `work`, whose attempts have the time limit {@link PATIENCE} and get no answer. Each attempt times out after its
 * request has reached the service, so that what the test sees does not depend on the speed of the machine.
 */
export async function unanswered<T>(
  attempts: number,
  calls: () => number,
  work: () => Promise<T>,
): Promise<T> {
  const before = calls();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const result = work();
    for (let attempt = 1; attempt <= attempts; attempt++) {
      while (calls() < before + attempt) {
        // The client's own timers and the wait before a repetition go on, one millisecond at a time.
        await vi.advanceTimersByTimeAsync(1);
        await turn();
      }
      await vi.advanceTimersByTimeAsync(PATIENCE);
    }
    return await result;
  } finally {
    vi.useRealTimers();
  }
}
