import { expect, test } from 'vitest';
import { withAttempts } from '../../src/kms/attempts.ts';
import { failure } from '../crypto/failure.ts';

const LIMITS = { timeout: 60_000, attempts: 5, backoff: 100 };

function sources(random: number): { waits: number[]; wait(ms: number): Promise<void>; random(): number } {
  const waits: number[] = [];
  return { waits, wait: async (milliseconds) => void waits.push(milliseconds), random: () => random };
}

test('the wait before a repetition is random below a bound that doubles, at most five seconds', async () => {
  const chance = sources(0.5);
  const limits = { ...LIMITS, attempts: 9 };
  await failure(() =>
    withAttempts(
      limits,
      () => true,
      () => Promise.reject(new Error('down')),
      chance,
    ),
  );
  expect(chance.waits).toEqual([50, 100, 200, 400, 800, 1_600, 2_500, 2_500]);
  const none = sources(0);
  await failure(() =>
    withAttempts(
      LIMITS,
      () => true,
      () => Promise.reject(new Error('down')),
      none,
    ),
  );
  expect(none.waits).toEqual([0, 0, 0, 0]);
});

test('permanent failures are not repeated, and the last error is thrown', async () => {
  const chance = sources(0);
  let calls = 0;
  const error = await failure(() =>
    withAttempts(
      LIMITS,
      (reason) => (reason as Error).message !== 'call 3',
      () => Promise.reject(new Error(`call ${++calls}`)),
      chance,
    ),
  );
  expect(error).toMatchObject({ message: 'call 3' });
  expect(chance.waits).toHaveLength(2);
});

test('an attempt after a failed one can succeed', async () => {
  let calls = 0;
  const action = async (): Promise<number> => {
    if (++calls < 3) throw new Error('down');
    return calls;
  };
  expect(await withAttempts(LIMITS, () => true, action, sources(0))).toBe(3);
});

test('an attempt that takes too long fails with ERR_TIMEOUT, and its signal is aborted', async () => {
  const signals: AbortSignal[] = [];
  const action = (signal: AbortSignal): Promise<never> => {
    signals.push(signal);
    return new Promise(() => undefined);
  };
  const error = await failure(() =>
    withAttempts({ timeout: 5, attempts: 2, backoff: 1 }, () => true, action, sources(0)),
  );
  expect(error).toMatchObject({ code: 'ERR_TIMEOUT', message: 'No answer within 5 ms.' });
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
});
