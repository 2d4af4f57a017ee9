import { late } from './late.ts';
import { windowPlaces } from './recognizers/foreign-windows.ts';

/** Bits of the ASCII character that a code unit is or is folded to, otherwise 0. */
export const ASCII_BITS = 0x7f;
/** It is folded to other text, or it is not known yet. */
export const MAY_FOLD = 0x80;
/** It is folded to one character of ASCII. */
export const FOLDED = 0x4000;
/** It is not ASCII, and not folded to one character of it. */
export const OTHER = 0x8000;
/** The shift of the positions in windows of names. */
export const WINDOW_SHIFT = 8;

const FIRST_OTHER = 0x80;

/** The traits of each code unit: one table, so that a text is read once for all traits. Made for the first text. */
export const codeUnits: () => Uint16Array = late(makeTable);

function makeTable(): Uint16Array {
  const made = new Uint16Array(1 << 16).fill(OTHER | MAY_FOLD, FIRST_OTHER);
  for (let code = 0; code < FIRST_OTHER; code++) made[code] = code;
  for (const [code, places] of windowPlaces()) {
    made[code] = (made[code] as number) | (places << WINDOW_SHIFT);
  }
  return made;
}
