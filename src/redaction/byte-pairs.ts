import {
  AT,
  BACKSLASH,
  CODES,
  DIGIT,
  EQUALS,
  HEX,
  LAYOUT,
  LETTER,
  MARK,
  RUN,
  SPACE,
  SYMBOL_BITS,
  TELLING,
  TILDE,
  TRAITS,
} from './byte-traits.ts';
import { late } from './late.ts';

/** A trait of one of the two bytes is one of the pair. */
const OF_EITHER = AT | EQUALS | TELLING | BACKSLASH | TILDE;
/** The symbols of both. */
export const BOTH_SYMBOLS = 0x3ff;

/**
 * The traits of two adjacent bytes of ASCII, indexed by both of them as one number of 16 bits, in the order of the
 * machine: their symbols, {@link MARK} when the detailed check of them can show a clue, {@link RUN} when both
 * belong to a run. Reading a text by pairs takes half the time of reading it by bytes. Made by the first text: a
 * process that redacts nothing has none.
 */
export const pairTraits: () => Int32Array = late(makeTable);

function makeTable(): Int32Array {
  const made = new Int32Array(0x8000);
  const bytes = new Uint8Array(2);
  const pair = new Uint16Array(bytes.buffer);
  for (let first = 0; first < 0x80; first++) {
    for (let second = 0; second < 0x80; second++) {
      bytes[0] = first;
      bytes[1] = second;
      made[pair[0] as number] = traitsOf(first, second);
    }
  }
  return made;
}

function traitsOf(first: number, second: number): number {
  const [one, two] = [TRAITS[first] as number, TRAITS[second] as number];
  const symbols = ((one & SYMBOL_BITS) << 5) | (two & SYMBOL_BITS);
  const mark = isMarkBefore(first, second) || isMarkAfter(first, second) ? MARK : 0;
  return symbols | ((one | two) & OF_EITHER) | (one & two & RUN) | mark;
}

/** Whether the mark `first` can show a clue when `second` follows it. */
function isMarkBefore(first: number, second: number): boolean {
  const traits = TRAITS[first] as number;
  if ((traits & MARK) === 0) return false;
  if ((traits & DIGIT) !== 0) return true;
  const isHex = ((TRAITS[second] as number) & HEX) !== 0;
  switch (String.fromCharCode(first)) {
    case '.': // between the groups of an address
    case '%':
      return isHex;
    case '-': // the same, a rule, an option
      return isHex || '-up'.includes(String.fromCharCode(second));
    case '+':
      return isText(second);
    case '&':
      return '#ncq'.includes(String.fromCharCode(second));
    case '^':
      return String.fromCharCode(second) === '[';
    case '\\':
      return (LAYOUT + CODES).includes(String.fromCharCode(second));
    default:
      return true;
  }
}

/** A character of a value beside a space of a form. */
function isText(code: number): boolean {
  return (
    ((TRAITS[code] as number) & (LETTER | DIGIT)) !== 0 || '%().,:!_'.includes(String.fromCharCode(code))
  );
}

/** Whether the mark `second` can show a clue when `first` precedes it. */
function isMarkAfter(first: number, second: number): boolean {
  const traits = TRAITS[second] as number;
  if ((traits & MARK) === 0) return false;
  const before = TRAITS[first] as number;
  switch (String.fromCharCode(second)) {
    case '.':
      return (before & HEX) !== 0;
    case '+':
      return isText(first);
    case '-': // also `--` and the `-u` of `proxy-user`
      return (before & (HEX | SPACE)) !== 0 || '-y'.includes(String.fromCharCode(first));
    default:
      return true;
  }
}
