import { latePattern } from './late.ts';
/**
 * Where a value may begin and end, for all recognizers. Numbers, addresses and keys are written in Latin letters and
 * digits: one of these beside a value makes it a part of a longer word or number. Letters of other scripts do not:
 * Chinese, Japanese, Thai and others write without spaces, Korean and Turkic languages put endings on anything.
 * Digits of all scripts and full-width forms have been folded to ASCII ({@link foldedView}).
 */

/** Most marks after a letter, as in a decomposed `é`. Those of other scripts are in blocks of their own. */
const MOST_MARKS = 4;
/** But for the signs of Latin script: ordinal marks and Roman numerals of one character. */
const LATIN = latePattern(String.raw`^(?![ºª\p{Nl}])[\p{Script=Latin}\p{Nd}]$`, 'u');

/** Whether a Latin letter, a digit or `_` stands directly before `start`. */
export function isJoinedBefore(text: string, start: number): boolean {
  if (start === 0) return false;
  let index = start - 1;
  let code = text.charCodeAt(index);
  if (code < 0x80) return isAsciiWord(code);
  for (let count = 0; count < MOST_MARKS && isMark(code); count++) {
    if (index === 0) return false;
    code = text.charCodeAt(--index);
  }
  if (code < 0x80) return isAsciiWord(code);
  const isPair = code >= 0xdc00 && code <= 0xdfff && index > 0;
  return LATIN().test(isPair ? text.slice(index - 1, index + 1) : (text[index] as string));
}

/** Whether a Latin letter, a digit or `_` stands directly at `end`. */
export function isJoinedAfter(text: string, end: number): boolean {
  if (end >= text.length) return false;
  const code = text.codePointAt(end) as number;
  return code < 0x80 ? isAsciiWord(code) : LATIN().test(String.fromCodePoint(code));
}

/** Whether the range is not part of a longer word or number. */
export function standsFree(text: string, start: number, end: number): boolean {
  return !isJoinedBefore(text, start) && !isJoinedAfter(text, end);
}

/**
 * The end of the run of characters that a value is the beginning of, `end` when none follows: a value is extended
 * by adjacent characters of its own alphabet.
 */
export function endOfRun(text: string, end: number, isMember: (code: number) => boolean): number {
  let last = end;
  while (last < text.length && isMember(text.charCodeAt(last))) last++;
  return last;
}

/**
 * Whether `length` characters of keys (letters, digits, `_+/=~-`) follow each other somewhere. Prose has no such
 * run, which is decided by one character in ten.
 */
export function hasLongRun(text: string, length: number): boolean {
  let free = -1; // the last character known to be none of a run
  for (let last = length - 1; last < text.length; last = free + length) {
    let index = last;
    while (index > free && isRunCharacter(text.charCodeAt(index))) index--;
    if (index === free) return true;
    free = index;
  }
  return false;
}

function isRunCharacter(code: number): boolean {
  return (
    isAsciiWord(code) || code === 0x2d || code === 0x2f || code === 0x2b || code === 0x3d || code === 0x7e
  );
}

function isAsciiWord(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    code === 0x5f
  );
}

function isMark(code: number): boolean {
  return code >= 0x300 && code <= 0x36f;
}
