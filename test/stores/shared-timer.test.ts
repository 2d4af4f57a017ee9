import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TimeoutError } from '../../src/stores/in-time.ts';
import { sharedTimer } from '../../src/stores/shared-timer.ts';

interface Answer {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

describe('Calls that share a timer', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** What became of a call, by name. */
  function calls(timeout: number): {
    readonly call: (name: string) => Answer;
    readonly seen: string[];
  } {
    const inTime = sharedTimer(timeout);
    const seen: string[] = [];
    return {
      seen,
      call(name) {
        let answer: Answer | undefined;
        const work = new Promise((resolve, reject) => (answer = { resolve, reject }));
        inTime(work).then(
          (value) => seen.push(`${name} ${String(value)}`),
          (error: Error) => seen.push(`${name} ${error.constructor.name}: ${error.message}`),
        );
        return answer as unknown as Answer;
      },
    };
  }

  const LATE = `${TimeoutError.name}: No answer in 1000 ms.`;

  test('get their own answers and errors', async () => {
    const { call, seen } = calls(1_000);
    call('first').resolve('answer');
    call('second').reject(new RangeError('refused'));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(seen).toEqual(['first answer', 'second RangeError: refused']);
  });

  test('each end when their own time is over, whichever of them were answered', async () => {
    const { call, seen } = calls(1_000);
    const first = call('first');
    await vi.advanceTimersByTimeAsync(400);
    call('second');
    const third = call('third');
    await vi.advanceTimersByTimeAsync(500);
    call('fourth');
    first.resolve('answer');
    third.resolve('answer');
    await vi.advanceTimersByTimeAsync(499);
    expect(seen).toEqual(['first answer', 'third answer']);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.slice(2)).toEqual([`second ${LATE}`]);
    await vi.advanceTimersByTimeAsync(499);
    expect(seen).toHaveLength(3);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.slice(3)).toEqual([`fourth ${LATE}`]);
  });

  test('end when several of them have waited too long, and can be answered after that', async () => {
    const { call, seen } = calls(1_000);
    const [first, second, third] = [call('first'), call('second'), call('third')];
    await vi.advanceTimersByTimeAsync(1_000);
    const late = call('fourth');
    for (const each of [second, first, third]) each.resolve('too late');
    await vi.advanceTimersByTimeAsync(999);
    late.resolve('answer');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(seen).toEqual([`first ${LATE}`, `second ${LATE}`, `third ${LATE}`, 'fourth answer']);
  });

  test('make one timer, however many there are, and none after the last', async () => {
    const { call } = calls(1_000);
    for (let made = 0; made < 100; made++) {
      call('one').resolve('answer');
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('keep the process running only while one of them waits', async () => {
    vi.useRealTimers();
    const made = vi.spyOn(globalThis, 'setTimeout');
    const { call } = calls(60_000);
    const first = call('first');
    // The test runner has timers of its own, so only this one is asked.
    const timer = made.mock.results[0]?.value as NodeJS.Timeout;
    expect(timer.hasRef()).toBe(true);
    first.resolve('answer');
    await new Promise(setImmediate);
    expect(timer.hasRef()).toBe(false);
    const second = call('second');
    expect(timer.hasRef()).toBe(true);
    second.resolve('answer');
    await new Promise(setImmediate);
    expect(timer.hasRef()).toBe(false);
    expect(made).toHaveBeenCalledOnce();
    made.mockRestore();
    clearTimeout(timer);
  });
});
