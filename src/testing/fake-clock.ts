import { parseDuration, type Duration } from '../options.ts';

/** A clock that changes only by its methods, see {@link fakeClock}. */
export interface FakeClock {
  /** The time, in Unix milliseconds. */
  (): number;
  /** Moves the clock forward. */
  advance(by: Duration): void;
  /** Sets the clock, also backwards. Unix milliseconds. */
  set(to: number): void;
}

/**
 * A clock for tests. It is the function that `expire({ clock })` takes.
 *
 * @param start Unix milliseconds, by default 2026-01-01T00:00:00Z.
 *
 * @example
 * ```ts
 * import { fakeClock } from 'strongroom/testing';
 *
 * const clock = fakeClock();
 * clock.advance('30d');
 * console.log(new Date(clock()).toISOString()); // 2026-01-31T00:00:00.000Z
 * ```
 */
export function fakeClock(start: number = Date.UTC(2026, 0, 1)): FakeClock {
  let now = start;
  return Object.assign(() => now, {
    advance: (by: Duration): void => {
      now += parseDuration('fakeClock', 'advance', by);
    },
    set: (to: number): void => {
      now = to;
    },
  });
}
