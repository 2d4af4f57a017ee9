import { DAY } from './classes.ts';
import type { Periods } from './types.ts';

/** More do not fit beside each other on a page. */
const MOST = 31;

/** Collects counts by the day (UTC) in which they happened. */
export interface PeriodCount<T> {
  /** The counts of a day, to be changed in place. */
  at(time: number): T;
  /** Days; weeks from Monday on, or months, when there would be more than 31. Of more than 31 months the last ones. */
  result(): Periods<T>;
}

export function periodsOf<T>(none: () => T, add: (sum: T, counts: T) => void): PeriodCount<T> {
  const days = new Map<number, T>();

  function fold(
    startOf: (day: number) => number,
    stepOf: (start: number, steps: number) => number,
  ): Periods<T>['periods'] {
    const { first, last } = spanOf(days.keys());
    const earliest = Math.max(startOf(first), stepOf(startOf(last), 1 - MOST));
    const sums = new Map<number, T>();
    for (let start = earliest; start <= last; start = stepOf(start, 1)) sums.set(start, none());
    for (const [day, counts] of days) {
      const sum = sums.get(startOf(day));
      if (sum !== undefined) add(sum, counts);
    }
    return [...sums].map(([from, counts]) => ({ from, counts }));
  }

  return {
    at(time) {
      const day = Math.floor(time / DAY) * DAY;
      const counts = days.get(day) ?? none();
      days.set(day, counts);
      return counts;
    },
    result() {
      if (days.size === 0) return { unit: 'day', periods: [] };
      const { first, last } = spanOf(days.keys());
      const span = (last - first) / DAY;
      if (span < MOST) return { unit: 'day', periods: fold((day) => day, stepBy(DAY)) };
      if (span < 7 * (MOST - 1)) return { unit: 'week', periods: fold(weekOf, stepBy(7 * DAY)) };
      return { unit: 'month', periods: fold(monthOf, stepMonths) };
    },
  };
}

function spanOf(days: Iterable<number>): { readonly first: number; readonly last: number } {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const day of days) {
    first = Math.min(first, day);
    last = Math.max(last, day);
  }
  return { first, last };
}

function stepBy(length: number): (start: number, steps: number) => number {
  return (start, steps) => start + steps * length;
}

/** Day 0 of Unix time was a Thursday. */
function weekOf(day: number): number {
  const number = day / DAY;
  return (number - ((((number + 3) % 7) + 7) % 7)) * DAY;
}

function monthOf(day: number): number {
  const date = new Date(day);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
}

function stepMonths(start: number, steps: number): number {
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + steps);
}
