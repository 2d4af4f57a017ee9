import {
  bulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  fallback,
  handleAll,
  retry,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { checkKmsOptions, withAttempts, type KmsOptions } from '../../src/kms/attempts.ts';
import { failure } from '../crypto/failure.ts';

const LIMITS = { timeout: 60_000, attempts: 5, backoff: 100 };
const always = (): boolean => true;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  // In this order: a spy on a fake timer restores the fake.
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** The error of a call, all waits of which end at once. */
async function failed(call: () => Promise<unknown>): Promise<unknown> {
  const error = failure(call);
  await vi.runAllTimersAsync();
  return error;
}

describe.each([
  [0.5, [50, 100, 200, 400, 800, 1_600, 2_500, 2_500]],
  [0, [0, 0, 0, 0, 0, 0, 0, 0]],
])('with the random number %d', (random, expected) => {
  test('the wait before a repetition is that part of a bound that doubles, at most five seconds', async () => {
    const timers = vi.spyOn(globalThis, 'setTimeout');
    vi.spyOn(Math, 'random').mockReturnValue(random);
    await failed(() =>
      withAttempts({ ...LIMITS, attempts: 9 }, always, () => Promise.reject(new Error('down'))),
    );
    const waits = timers.mock.calls.map(([, milliseconds]) => milliseconds);
    expect(waits.filter((wait) => wait !== LIMITS.timeout)).toEqual(expected);
  });
});

test('permanent failures are not repeated, and the last error is thrown', async () => {
  let calls = 0;
  const error = await failed(() =>
    withAttempts(
      LIMITS,
      (reason) => (reason as Error).message !== 'call 3',
      () => Promise.reject(new Error(`call ${++calls}`)),
    ),
  );
  expect(error).toMatchObject({ message: 'call 3' });
  expect(calls).toBe(3);
});

test('an attempt after a failed one can succeed, and leaves no timer behind', async () => {
  let calls = 0;
  const action = async (): Promise<number> => {
    if (++calls < 3) throw new Error('down');
    return calls;
  };
  const result = withAttempts(LIMITS, always, action);
  await vi.runAllTimersAsync();
  expect(await result).toBe(3);
  expect(vi.getTimerCount()).toBe(0);
});

test.each(['ignores', 'obeys'])(
  'an attempt that takes too long and %s its signal fails with ERR_TIMEOUT, and is aborted',
  async (how) => {
    const signals: AbortSignal[] = [];
    const action = (signal: AbortSignal): Promise<never> => {
      signals.push(signal);
      return new Promise((_resolve, reject) => {
        if (how === 'obeys') signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    };
    const seen: unknown[] = [];
    const repeats = (error: unknown): boolean => seen.push(error) > 0;
    const error = await failed(() => withAttempts({ timeout: 5, attempts: 2, backoff: 1 }, repeats, action));
    const expected = { code: 'ERR_TIMEOUT', message: 'No answer within 5 ms.' };
    expect(error).toMatchObject(expected);
    expect(seen).toEqual([expect.objectContaining(expected), expect.objectContaining(expected)]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  },
);

describe('a policy of cockatiel', () => {
  test('whose breaker is open keeps calls from the service, and closes by itself', async () => {
    const policy = circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(2) });
    const limits = checkKmsOptions('test', { policy }, []);
    let calls = 0;
    const action = async (): Promise<number> => {
      if (++calls < 3) throw new Error('down');
      return calls;
    };
    for (let call = 0; call < 2; call++) {
      expect(await failed(() => withAttempts(limits, always, action))).toMatchObject({ message: 'down' });
    }
    expect(await failed(() => withAttempts(limits, always, action))).toMatchObject({
      code: 'ERR_STORE',
      message:
        'The call was not tried: the circuit breaker of the policy is open after failures. Nothing was written; try again later.',
    });
    expect(calls).toBe(2);
    vi.advanceTimersByTime(10_001);
    expect(await withAttempts(limits, always, action)).toBe(3);
  });

  test('does not see what the service refuses for good: that is an answer', async () => {
    const breaker = circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(1) });
    const policy = wrap(retry(handleAll, { maxAttempts: 3 }), breaker);
    let calls = 0;
    const refused = (): Promise<never> => Promise.reject(new Error(`refused ${++calls}`));
    for (const message of ['refused 1', 'refused 2']) {
      const limits = checkKmsOptions('test', { policy }, []);
      expect(await failed(() => withAttempts(limits, () => false, refused))).toMatchObject({ message });
    }
  });

  test('that waits for the end of the call aborts it, and the call fails with ERR_TIMEOUT', async () => {
    const limits = checkKmsOptions('test', { policy: timeout(5, TimeoutStrategy.Cooperative) }, []);
    const obeying = (signal: AbortSignal): Promise<never> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    expect(await failed(() => withAttempts(limits, () => false, obeying))).toMatchObject({
      code: 'ERR_TIMEOUT',
      message: 'No answer in the time that the policy allows.',
      cause: { message: 'aborted' },
    });
  });

  test('whose bulkhead is full refuses the call', async () => {
    const limits = checkKmsOptions('test', { policy: bulkhead(1) }, []);
    let end: (() => void) | undefined;
    const first = withAttempts(limits, always, () => new Promise<void>((resolve) => (end = resolve)));
    expect(await failed(() => withAttempts(limits, always, async () => 2))).toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringMatching(/the bulkhead of the policy is full/),
    });
    end?.();
    await first;
  });

  test('that answers by itself is refused: an invented ciphertext would lose what it stands for', async () => {
    const policy = wrap(fallback(handleAll, new Uint8Array(32)));
    // @ts-expect-error The types refuse it, too.
    const limits = checkKmsOptions('test', { policy }, []);
    const error = await failed(() => withAttempts(limits, always, () => Promise.reject(new Error('down'))));
    expect(error).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringMatching(/^The policy answered a call by itself/),
    });
  });

  test.each<[unknown, RegExp]>([
    [{ policy: {} }, /test: policy must be a policy of the package cockatiel, got an object/],
    [{ policy: bulkhead(1), attempts: 2 }, /test: attempts must be absent beside policy/],
    [{ policy: bulkhead(1), timeout: '1s' }, /test: timeout must be absent beside policy/],
    [{ policy: bulkhead(1), backoff: '1s' }, /test: backoff must be absent beside policy/],
  ])('bad options are refused: %#', (options, message) => {
    expect(() => checkKmsOptions('test', options as KmsOptions, [])).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });
});
