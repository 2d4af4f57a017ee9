import { withBytes, type TextBytes } from './ascii-bytes.ts';
import type { Range } from './outputs.ts';
import { literalsOf, SYMBOL_BITS, symbolOf } from './literals.ts';
import { mayHoldForeignName, NAME_LITERALS } from './recognizers/secret-names.ts';

import { CLUE, type Clues } from './clues.ts';

const NAME = 1;
const COOKIE = 2;
const COMMAND = 4;
const LITERALS = literalsOf(
  new Map([
    [NAME, [...NAME_LITERALS, 'bearer', 'basic']],
    [COOKIE, ['cookie']],
    [COMMAND, ['identified']],
  ]),
);

/** What a byte is: its symbol of literals, and these. */
const AT = 1 << 5;
const EQUALS = 1 << 6;
/** Tells a secret from words, as {@link namedSecretRecognizer} needs one of them. */
const TELLING = 1 << 7;
/** Is looked at together with what stands around it. */
const MARK = 1 << 8;
const RUN = 1 << 9;
const LETTER = 1 << 10;
const DIGIT = 1 << 11;
const HEX = 1 << 12;
/** Between the digits of a number. */
const SEPARATOR = 1 << 13;
const BACKSLASH = 1 << 14;
const SPACE = 1 << 15;

const TRAITS = Int32Array.from({ length: 256 }, (_, code) => {
  const character = String.fromCharCode(code);
  const bit = (pattern: RegExp, value: number): number => (pattern.test(character) ? value : 0);
  // What is no ASCII is 0 here; it may be a space.
  if (code === 0) return SPACE;
  if (code >= 0x80) return 0;
  return (
    symbolOf(code) |
    bit(/@/, AT) |
    bit(/=/, EQUALS) |
    bit(/[\d=:@#$%^&*]/, TELLING) |
    bit(/[\d:.%&\\-]/, MARK) |
    bit(/[\w/+=~-]/, RUN) |
    bit(/[A-Za-z]/, LETTER) |
    bit(/\d/, DIGIT) |
    bit(/[0-9A-Fa-f]/, HEX) |
    bit(/[ ()./-]/, SEPARATOR) |
    bit(/\\/, BACKSLASH) |
    // A quote too: what begins a literal of JSON text begins a text.
    bit(/[\s"]/, SPACE)
  );
});

const LONGEST_GAP = 3;
const FEWEST_DIGITS = 6;
const COLON = 0x3a;
const HYPHEN = 0x2d;
const DOT = 0x2e;
const PERCENT = 0x25;
const AMPERSAND = 0x26;
const LOWER_CASE = 0x20;

/** What a text shows, whose variants of characters are folded already ({@link foldedView}). */
export function cluesOf(text: string): Clues {
  return withBytes(text, cluesIn);
}

/** One pass over the text. */
export function cluesIn(source: TextBytes): Clues {
  const names: number[] = [];
  const marks = createMarks(source);
  let seen = findRuns(source);
  let traits = 0;
  let kinds = 0;
  const { bytes, length } = source;
  const { filter } = LITERALS;
  const look = (place: number): void => {
    const found = LITERALS.kindsAt(bytes, place);
    if ((found & NAME) !== 0) names.push(place);
    kinds |= found;
  };
  let before = 0;
  for (let index = 0; index < length; index += 2) {
    const first = TRAITS[bytes[index] as number] as number;
    const second = TRAITS[bytes[index + 1] as number] as number;
    traits |= first | second;
    if (((first | second) & MARK) !== 0) {
      if ((first & MARK) !== 0) marks.note(index);
      if ((second & MARK) !== 0) marks.note(index + 1);
    }
    const hit = filter[(before << 10) | ((first & SYMBOL_BITS) << 5) | (second & SYMBOL_BITS)] as number;
    if (hit !== 0) {
      if ((hit & 2) !== 0) look(index - 2);
      if ((hit & 1) !== 0) look(index - 1);
    }
    before = second & SYMBOL_BITS;
  }
  seen |= marks.end();
  if ((traits & AT) !== 0) seen |= CLUE.at;
  if ((traits & BACKSLASH) !== 0) seen |= CLUE.backslash;
  const hasForeignName = !source.isAscii && mayHoldForeignName(source.text);
  if (hasForeignName || (names.length > 0 && (!source.isAscii || (traits & TELLING) !== 0))) {
    seen |= CLUE.secretName;
  }
  if ((kinds & COOKIE) !== 0 && (traits & EQUALS) !== 0) seen |= CLUE.cookie;
  if ((kinds & COMMAND) !== 0) seen |= CLUE.command;
  if (seen === 0) return NOTHING;
  return { seen, hasForeignName, names, numbers: marks.numbers, countryCodes: marks.countryCodes };
}

const NOTHING: Clues = { seen: 0, hasForeignName: false, names: [], numbers: [], countryCodes: [] };

interface Marks {
  /** Looks at what stands around a mark; from the first to the last. */
  note(index: number): void;
  /** The clues that were seen. */
  end(): number;
  readonly numbers: readonly Range[];
  readonly countryCodes: readonly number[];
}

/** Digits, colons, hyphens, full stops and what begins an escape. */
function createMarks({ bytes }: TextBytes): Marks {
  const numbers: Range[] = [];
  const countryCodes: number[] = [];
  let seen = 0;
  let start = -1;
  let last = -LONGEST_GAP - 2;
  let digits = 0;
  let stops = 0;
  let lastColon = -8;

  const traits = (index: number): number => TRAITS[bytes[index] as number] as number;
  const areHex = (from: number, to: number): boolean => {
    for (let index = from; index < to; index++) if ((traits(index) & HEX) === 0) return false;
    return true;
  };

  const goesOn = (index: number): boolean => {
    if (index - last - 1 > LONGEST_GAP) return false;
    for (let gap = last + 1; gap < index; gap++) if ((traits(gap) & SEPARATOR) === 0) return false;
    return true;
  };
  const endNumber = (): void => {
    if (digits >= FEWEST_DIGITS || stops >= 3) numbers.push({ start, end: last + 1 });
    if (digits >= FEWEST_DIGITS) seen |= CLUE.sixDigits;
    if (digits >= 9) seen |= CLUE.nineDigits;
    if (digits >= 12) seen |= CLUE.twelveDigits;
    if (stops >= 3) seen |= CLUE.fourParts;
  };
  const noteDigit = (index: number): void => {
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
        ((bytes[index - 4] as number) | LOWER_CASE) === 0x6e)
    ) {
      seen |= CLUE.countryCode;
      countryCodes.push(index - 3);
    }
  };

  const noteColon = (index: number): void => {
    if (index - lastColon <= 5) seen |= CLUE.colons;
    if (index - lastColon === 3 && areHex(index - 2, index)) seen |= CLUE.groups;
    lastColon = index;
    if (bytes[index + 1] === 0x2f && bytes[index + 2] === 0x2f) seen |= CLUE.scheme;
    // `/user:`
    if (index >= 5 && bytes[index - 5] === 0x2f && ((bytes[index - 1] as number) | LOWER_CASE) === 0x72) {
      seen |= CLUE.command;
    }
  };
  const noteHyphen = (index: number): void => {
    if (index >= 3 && bytes[index - 3] === HYPHEN && areHex(index - 2, index)) seen |= CLUE.groups;
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

  return {
    numbers,
    countryCodes,
    note(index) {
      const code = bytes[index];
      if (code === DOT) {
        if (index >= 5 && bytes[index - 5] === DOT && areHex(index - 4, index)) seen |= CLUE.groups;
      } else if (code === COLON) noteColon(index);
      else if (code === HYPHEN) noteHyphen(index);
      else if (code === PERCENT) {
        if (areHex(index + 1, index + 3)) seen |= CLUE.escape;
      } else if (code === AMPERSAND) {
        if (bytes[index + 1] === 0x23) seen |= CLUE.escape;
      } else if (code === 0x5c) {
        if (bytes[index + 1] === 0x75) seen |= CLUE.escape;
      } else noteDigit(index);
    },
    end() {
      endNumber();
      return seen;
    },
  };
}

const SHORTEST_HEADER = 11;

/** Looks at one character in ten, unless it belongs to a run. */
function findRuns({ bytes, length }: TextBytes): number {
  const isRun = (index: number): boolean => ((TRAITS[bytes[index] as number] as number) & RUN) !== 0;
  let seen = 0;
  let free = -1; // the last character known to be none of a run
  for (let last = SHORTEST_HEADER - 1; last < length; last = free + SHORTEST_HEADER) {
    let index = last;
    while (index > free && isRun(index)) index--;
    if (index > free) {
      free = index;
      continue;
    }
    let end = last + 1;
    while (end < length && isRun(end)) end++;
    const count = end - free - 1;
    if (count >= 14) seen |= CLUE.run14;
    if (count >= 15) seen |= CLUE.run15;
    if (count >= 16) seen |= CLUE.run16;
    if (bytes[end] === DOT && holdsHeader(bytes, free + 1, end)) seen |= CLUE.tokenHeader;
    free = end;
  }
  return seen;
}

/** `ey` or `ew` and what {@link jwtRecognizer} takes after them. */
function holdsHeader(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end - 2; index++) {
    if (bytes[index] === 0x65 && (bytes[index + 1] === 0x79 || bytes[index + 1] === 0x77)) return true;
  }
  return false;
}
