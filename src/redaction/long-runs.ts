import type { Range } from './outputs.ts';

/** The beginning and the continuation of a run, both bounded. */
export interface RunPattern {
  /** The run, or its first part; flag `g`. */
  readonly start: RegExp;
  /** A further part, directly after the last; flag `y`. */
  readonly more: RegExp;
}

const PART = 1024;

/**
 * The pattern of `first` and then `next` any number of times. A quantifier without a bound over a group costs the
 * regular expression engine a place on its stack for each repetition, and a text of some megabytes exhausts it
 * (`RangeError`); so a run is read in parts.
 *
 * @param first Source of the beginning of a run.
 * @param next Source of the repeated part; not empty.
 */
export function runPattern(first: string, next: string): RunPattern {
  return {
    start: new RegExp(`${first}(?:${next}){0,${PART}}`, 'g'),
    more: new RegExp(`(?:${next}){1,${PART}}`, 'y'),
  };
}

/**
 * Calls `each` for every run of at least `fewest` code units, in order. Linear; copies nothing but the run.
 *
 * @param range Begins with a run or what begins one, and ends with one.
 */
export function forEachRun(
  text: string,
  { start, more }: RunPattern,
  fewest: number,
  each: (index: number, run: string) => void,
  range: Range = { start: 0, end: text.length },
): void {
  let from = range.start;
  while (from < range.end) {
    start.lastIndex = from;
    const match = start.exec(text);
    if (match === null) return;
    const { index } = match;
    const first = match[0].length;
    from = index + first;
    if (first >= PART) from = endOfRun(text, more, from);
    if (from - index >= fewest) each(index, first === from - index ? match[0] : text.slice(index, from));
  }
}

function endOfRun(text: string, more: RegExp, from: number): number {
  let end = from;
  for (more.lastIndex = end; more.test(text); more.lastIndex = end) end = more.lastIndex;
  return end;
}
