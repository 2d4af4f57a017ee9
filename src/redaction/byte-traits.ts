import { TELLING_CHARACTER } from './recognizers/secret-names.ts';

/** The traits of a byte: its symbol, for the search of literals, and the bits after those of two symbols. */
export const SYMBOL_BITS = 0x1f;
export const AT = 0x400;
export const EQUALS = 0x800;
/** See {@link TELLING_CHARACTER}. */
export const TELLING = 0x1000;
/** Is checked together with its neighbours. */
export const MARK = 0x2000;
export const LETTER = 0x4000;
export const DIGIT = 0x8000;
export const HEX = 0x10000;
/** Between the digits of a number. */
export const SEPARATOR = 0x20000;
export const BACKSLASH = 0x40000;
export const SPACE = 0x80000;
export const TILDE = 0x100000;
/** The sign: shifted by 31 places it is a mask. */
export const RUN: number = 1 << 31;

/** After a backslash: a line break or a tab. */
export const LAYOUT = 'nrt';
/** After a backslash: the beginning of the code of a character. */
export const CODES = 'uxe01';

/** The escape character, with which what a terminal does not show begins. */
export const TERMINAL = '\u001b';

const NAME_MARKS = ' _.-';
const FIRST_OTHER = 0x80;

const CLASSES: readonly (readonly [pattern: RegExp, bit: number])[] = [
  [/[@]/g, AT],
  [/[=]/g, EQUALS],
  [new RegExp(TELLING_CHARACTER, 'g'), TELLING],
  [new RegExp(`[\\d:.%&+\\\\^${TERMINAL}-]`, 'g'), MARK],
  [/[\w/+=~-]/g, RUN],
  [/[A-Za-z]/g, LETTER],
  [/\d/g, DIGIT],
  [/[0-9A-Fa-f]/g, HEX],
  [/[ ()./-]/g, SEPARATOR],
  [/\\/g, BACKSLASH],
  // A quote too: it begins a literal of JSON text. A byte of other text is 0 here, and may be a space.
  [/[\s"\0]/g, SPACE],
  [/~/g, TILDE],
];

export const TRAITS: Int32Array = makeTraits();

function makeTraits(): Int32Array {
  const made = new Int32Array(256);
  const ascii = String.fromCharCode(...Array.from({ length: FIRST_OTHER }, (_, code) => code));
  for (let code = 0; code < FIRST_OTHER; code++) made[code] = symbolOf(code);
  for (const [pattern, bit] of CLASSES) {
    for (const { index } of ascii.matchAll(pattern)) made[index] = (made[index] as number) | bit;
  }
  return made;
}

/** Letters of either case from 1 to 26, then the marks within names, 0 for any other byte. */
export function symbolOf(code: number): number {
  if ((code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)) return code & SYMBOL_BITS;
  const mark = NAME_MARKS.indexOf(String.fromCharCode(code));
  return mark === -1 ? 0 : 27 + mark;
}
