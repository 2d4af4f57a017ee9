import { TELLING_CHARACTER } from './recognizers/secret-names.ts';

/** What a byte is: its symbol, by which literals are searched for, and the bits after those of two symbols. */
export const SYMBOL_BITS = 0x1f;
export const AT = 0x400;
export const EQUALS = 0x800;
/** See {@link TELLING_CHARACTER}. */
export const TELLING = 0x1000;
/** Is looked at together with what stands around it. */
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

const NAME_MARKS = ' _.-';

export const TRAITS: Int32Array = Int32Array.from({ length: 256 }, (_, code) => {
  const character = String.fromCharCode(code);
  const bit = (pattern: RegExp, value: number): number => (pattern.test(character) ? value : 0);
  // What is no ASCII is 0 here; it may be a space.
  if (code === 0) return SPACE;
  if (code >= 0x80) return 0;
  return (
    symbolOf(code) |
    bit(/@/, AT) |
    bit(/=/, EQUALS) |
    bit(TELLING_CHARACTER, TELLING) |
    bit(/[\d:.%&\\-]/, MARK) |
    bit(/[\w/+=~-]/, RUN) |
    bit(/[A-Za-z]/, LETTER) |
    bit(/\d/, DIGIT) |
    bit(/[0-9A-Fa-f]/, HEX) |
    bit(/[ ()./-]/, SEPARATOR) |
    bit(/\\/, BACKSLASH) |
    // A quote too: what begins a literal of JSON text begins a text.
    bit(/[\s"]/, SPACE) |
    bit(/~/, TILDE)
  );
});

/** Letters of either case from 1 to 26, the marks within names, 0 for all else. */
export function symbolOf(code: number): number {
  if ((code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)) return code & SYMBOL_BITS;
  const mark = NAME_MARKS.indexOf(String.fromCharCode(code));
  return mark === -1 ? 0 : 27 + mark;
}
