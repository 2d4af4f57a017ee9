import { defined } from '../defined.ts';
import type { Counts, TimeClass } from './types.ts';

/** Milliseconds. */
export const DAY = 86_400_000;

/** Bounds of the classes of ages. */
const AGES = [1, 7, 30, 90, 180, 365, 730].map((days) => days * DAY);
/** Bounds of the classes of the time until something is due. */
const DUES = [-30, -7, -1, 0, 1, 7, 30, 90, 365].map((days) => days * DAY);

/** Counts values in classes between bounds; a value at a bound is in the class above it. */
export interface Classes {
  add(value: number, what: keyof Counts): void;
  result(): TimeClass[];
}

/** The bound of the rule is one of the classes' bounds, so that no class is on both sides of it. */
export function ageClasses(...rule: readonly (number | undefined)[]): Classes {
  const bounds = [...AGES, ...rule.filter((each) => each !== undefined)];
  return classes([0, ...new Set(bounds)].toSorted((one, other) => one - other));
}

export function dueClasses(): Classes {
  return classes([Number.NEGATIVE_INFINITY, ...DUES]);
}

function classes(starts: readonly number[]): Classes {
  const counts = starts.map(() => ({ kept: 0, due: 0, held: 0 }));
  return {
    add(value, what) {
      // A clock that was ahead leaves times in the future: the youngest class has them.
      const index = Math.max(
        starts.findLastIndex((start) => start <= value),
        0,
      );
      (counts[index] as Record<keyof Counts, number>)[what]++;
    },
    result: () =>
      counts.map((count, index) => {
        const from = starts[index] as number;
        return defined({ from: Number.isFinite(from) ? from : undefined, to: starts[index + 1], ...count });
      }),
  };
}
