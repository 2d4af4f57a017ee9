import type { NumberRange } from './clues.ts';

/** A pattern twice: to be searched for, flag `g`, and to be tried at one place, flag `y`. */
export interface PlacedPattern {
  readonly anywhere: RegExp;
  readonly here: RegExp;
}

export function placedPattern(pattern: RegExp): PlacedPattern {
  const flags = pattern.flags.replace(/[gy]/g, '');
  return { anywhere: new RegExp(pattern.source, `${flags}g`), here: new RegExp(pattern.source, `${flags}y`) };
}

/**
 * Calls `each` for every match, in order; it returns where to continue.
 *
 * @param places Where matches can begin, in order; `undefined` when that is not known.
 */
export function forEachMatch(
  text: string,
  { anywhere, here }: PlacedPattern,
  places: readonly number[] | undefined,
  each: (match: RegExpExecArray) => number,
): void {
  if (places === undefined) {
    anywhere.lastIndex = 0;
    for (let match = anywhere.exec(text); match !== null; match = anywhere.exec(text)) {
      anywhere.lastIndex = each(match);
    }
    return;
  }
  let from = 0;
  for (const place of places) {
    if (place < from) continue;
    here.lastIndex = place;
    const match = here.exec(text);
    if (match !== null) from = each(match);
  }
}

/** A pattern of numbers reads at most this many characters around a match. */
const AROUND = 2;

/**
 * Calls `each` for every match and its place.
 *
 * @param ranges Each match lies in one of these, in order; `undefined` when that is not known.
 * @param clue What a range shows that holds a match.
 */
export function forEachNumber(
  text: string,
  pattern: RegExp,
  ranges: readonly NumberRange[] | undefined,
  clue: number,
  each: (match: RegExpExecArray, start: number) => void,
): void {
  if (ranges === undefined) {
    for (const match of text.matchAll(pattern)) each(match, match.index);
    return;
  }
  for (const { start, end, shows } of ranges) {
    if ((shows & clue) === 0) continue;
    const from = Math.max(0, start - AROUND);
    for (const match of text.slice(from, end + AROUND).matchAll(pattern)) each(match, from + match.index);
  }
}
