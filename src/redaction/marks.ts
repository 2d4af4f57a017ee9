import { CODES, DIGIT, HEX, LAYOUT, LETTER, SEPARATOR, SPACE, TERMINAL, TRAITS } from './byte-traits.ts';
import { CLUE, type Clues, type NumberRange } from './clues.ts';
import { formReader, type FormReader } from './form-text.ts';
import { standsAt } from './prefixes.ts';

const LONGEST_GAP = 3;
const FEWEST_DIGITS = 6;
const COLON = 0x3a;
const HYPHEN = 0x2d;
const DOT = 0x2e;
const BACKSLASH = 0x5c;
const CARET = 0x5e;
const EQUALS = 0x3d;
const PLUS = 0x2b;
const UNDERSCORE = 0x5f;
const LONGEST_MARK = 3;
const THREE = 0x33;
const BRACKET = 0x5b;
const LOWER_CASE = 0x20;
/** After `&` */
const NAMED = ['nbsp;', 'commat;', 'quot;'];

/** The clues around marks, which are passed in the order of the text. */
export interface Marks {
  begin(bytes: Uint8Array, length: number): void;
  note(index: number): void;
  /** The detected clues and positions. */
  end(): Pick<Clues, 'seen' | 'numbers' | 'countryCodes'>;
}

const NONE: readonly never[] = [];
const EMPTY = new Uint8Array();

/** Reads digits, colons, hyphens, full stops and the beginnings of escapes; one text at a time. */
export function createMarks(): Marks {
  let bytes: Uint8Array = EMPTY;
  let numbers: NumberRange[] | undefined;
  let countryCodes: number[] | undefined;
  let seen = 0;
  let start = -1;
  let last = -1;
  let digits = 0;
  let stops = 0;
  let lastColon = -1;
  let colons = 0;
  let length = 0;
  let form: FormReader | undefined;

  const traits = (index: number): number => TRAITS[bytes[index] as number] as number;
  const goesOn = (index: number): boolean => {
    if (index - last - 1 > LONGEST_GAP) return false;
    for (let gap = last + 1; gap < index; gap++) if ((traits(gap) & SEPARATOR) === 0) return false;
    return true;
  };
  const endNumber = (): void => {
    const shows = shownBy(digits, stops);
    if (shows !== 0) (numbers ??= []).push({ start, end: last + 1, shows });
    seen |= shows;
  };
  /** Whether the letter is that of `\n`. */
  const endsEscape = (index: number): boolean => index > 0 && bytes[index - 1] === BACKSLASH;
  const noteDigit = (index: number): void => {
    if (bytes[index] === THREE) seen |= escapeAt(bytes, index - 1);
    if (bytes[index - 1] === UNDERSCORE || bytes[index + 1] === UNDERSCORE) seen |= emphasisAt(bytes, index);
    if (digits > 0 && goesOn(index)) {
      digits++;
      if (index - last === 2 && bytes[index - 1] === DOT) stops++;
    } else {
      endNumber();
      start = index;
      digits = 1;
      stops = 0;
    }
    last = index;
    if (
      index >= 3 &&
      (traits(index - 1) & DIGIT) !== 0 &&
      (traits(index - 2) & traits(index - 3) & LETTER) !== 0 &&
      (index === 3 ||
        (traits(index - 4) & (LETTER | DIGIT)) === 0 ||
        ((bytes[index - 4] as number) | LOWER_CASE) === 0x6e ||
        endsEscape(index - 4))
    ) {
      seen |= CLUE.countryCode;
      (countryCodes ??= []).push(index - 3);
    }
  };

  const notePairs = (index: number, separator: number): void => {
    if (index < 6 || bytes[index - 3] !== separator || bytes[index - 6] !== separator) return;
    if (areHex(bytes, index - 2, index) && areHex(bytes, index - 5, index - 3)) seen |= CLUE.groups;
  };
  const noteColon = (index: number): void => {
    if (bytes[index + 1] === COLON) seen |= CLUE.colons;
    const isGroup = colons > 0 && index - lastColon <= 5 && areHex(bytes, lastColon + 1, index);
    colons = isGroup ? colons + 1 : 1;
    if (colons >= 6) seen |= CLUE.colons;
    lastColon = index;
    notePairs(index, COLON);
    if (bytes[index + 1] === 0x2f && bytes[index + 2] === 0x2f) seen |= CLUE.scheme;
    // `/user:`
    if (index >= 5 && bytes[index - 5] === 0x2f && ((bytes[index - 1] as number) | LOWER_CASE) === 0x72) {
      seen |= CLUE.command;
    }
  };
  const noteHyphen = (index: number): void => {
    notePairs(index, HYPHEN);
    const next = bytes[index + 1];
    if (next === HYPHEN) {
      if (index >= 3 && bytes[index + 2] === 0x42 && bytes[index - 3] === HYPHEN) seen |= CLUE.pem;
    } else if (next === 0x75 || next === 0x70) {
      // `-u` and `-p` after a space, and the first in `--user` and `--proxy-user`
      const before = bytes[index - 1];
      const isOption = index === 0 || (traits(index - 1) & SPACE) !== 0;
      if (isOption || (next === 0x75 && (before === HYPHEN || before === 0x79))) seen |= CLUE.command;
    }
  };

  const notePlus = (index: number): void => {
    if ((seen & CLUE.escape) !== 0) return;
    form ??= formReader((place) => bytes[place] as number, length);
    if (form.isSpace(index)) seen |= CLUE.escape;
  };

  return {
    begin(next, size) {
      bytes = next;
      length = size;
      form = undefined;
      numbers = undefined;
      countryCodes = undefined;
      seen = 0;
      digits = 0;
      stops = 0;
      colons = 0;
    },
    note(index) {
      const code = bytes[index];
      if (code === DOT) seen |= stopAt(bytes, index);
      else if (code === COLON) noteColon(index);
      else if (code === HYPHEN) noteHyphen(index);
      else if ((traits(index) & DIGIT) !== 0) noteDigit(index);
      else if (code === PLUS) notePlus(index);
      else seen |= escapeAt(bytes, index);
    },
    end() {
      endNumber();
      bytes = EMPTY;
      form = undefined;
      return { seen, numbers: numbers ?? NONE, countryCodes: countryCodes ?? NONE };
    },
  };
}

/** `a1b2.c3d4.e5f6` */
function stopAt(bytes: Uint8Array, index: number): number {
  if (index < 9 || bytes[index - 5] !== DOT) return 0;
  const isGroup =
    areHex(bytes, index - 4, index) &&
    areHex(bytes, index - 9, index - 5) &&
    areHex(bytes, index + 1, index + 5);
  return isGroup ? CLUE.groups : 0;
}

function areHex(bytes: Uint8Array, from: number, to: number): boolean {
  for (let index = from; index < to; index++) if (!isHex(bytes[index] as number)) return false;
  return true;
}

/** The clue of underscores that may emphasize, beside the digit at `index`: on their other side is no word. */
function emphasisAt(bytes: Uint8Array, index: number): number {
  for (const step of [-1, 1]) {
    let place = index + step;
    while (bytes[place] === UNDERSCORE) place += step;
    const count = Math.abs(place - index) - 1;
    if (count === 0 || count > LONGEST_MARK) continue;
    if (((TRAITS[bytes[place] ?? 0] as number) & (LETTER | DIGIT)) === 0) return CLUE.escape;
  }
  return 0;
}

/** The clues of a number. */
function shownBy(digits: number, stops: number): number {
  let shows = 0;
  if (digits >= FEWEST_DIGITS) shows |= CLUE.sixDigits;
  if (digits >= 9) shows |= CLUE.nineDigits;
  if (digits >= 12) shows |= CLUE.twelveDigits;
  if (stops >= 3) shows |= CLUE.fourParts;
  return shows;
}

/** The clue of the escape that begins at `index`; `=3D` is noted by its digit. */
function escapeAt(bytes: Uint8Array, index: number): number {
  const next = bytes[index + 1] as number;
  const second = bytes[index + 2] as number;
  switch (bytes[index]) {
    case 0x25: // %
      return isHex(next) && isHex(second) ? CLUE.escape : 0;
    case 0x26: // &
      return next === 0x23 || NAMED.some((name) => standsAt(bytes, index + 1, name)) ? CLUE.escape : 0;
    case EQUALS:
      return next === THREE && (second | LOWER_CASE) === 0x64 ? CLUE.escape : 0;
    case CARET:
      return next === BRACKET && second === BRACKET ? CLUE.escape : 0;
    case BACKSLASH: {
      const letter = String.fromCharCode(next);
      return LAYOUT.includes(letter) ? CLUE.layout : CODES.includes(letter) ? CLUE.escape : 0;
    }
    case TERMINAL.charCodeAt(0):
      return CLUE.escape;
    default:
      return 0;
  }
}

function isHex(code: number): boolean {
  return ((TRAITS[code] as number) & HEX) !== 0;
}
