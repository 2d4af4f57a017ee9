import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { whileAwaited } from '../../src/stores/redis/unsent.ts';

describe('Commands that can wait in a client of the application', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** The signal of a command whose caller waits for so many milliseconds from now. */
  function signals(): (patience: number) => AbortSignal {
    const optionsOf = whileAwaited();
    return (patience) => optionsOf(performance.now() + patience).abortSignal as AbortSignal;
  }

  test('share a signal when they are made shortly after each other, and wait for most of their time', () => {
    const signalOf = signals();
    const first = signalOf(1_000);
    vi.advanceTimersByTime(100);
    expect(signalOf(1_000)).toBe(first);
    vi.advanceTimersByTime(100);
    const later = signalOf(1_000);
    expect(later).not.toBe(first);
    vi.advanceTimersByTime(500);
    expect([first.aborted, later.aborted]).toEqual([false, false]);
  });

  test.each([1_000, 900, 700, 100, 0])('end before their callers do, after %i ms', (patience) => {
    const signalOf = signals();
    signalOf(1_000);
    const signal = signalOf(patience);
    vi.advanceTimersByTime(patience);
    expect(signal.aborted).toBe(true);
  });

  test('have a signal of their own after the shared one has ended', () => {
    const signalOf = signals();
    signalOf(1_000);
    vi.advanceTimersByTime(990);
    expect(signalOf(10).aborted).toBe(false);
  });

  test('share a signal with a bounded number of others', () => {
    const signalOf = signals();
    const made = new Set(Array.from({ length: 1_000 }, () => signalOf(1_000)));
    expect(made.size).toBe(10);
  });
});
