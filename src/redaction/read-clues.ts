import { withBytes, type TextBytes } from './ascii-bytes.ts';
import { AT, BACKSLASH, EQUALS, MARK, RUN, TELLING, TRAITS } from './byte-traits.ts';
import { CLUE, type Clues } from './clues.ts';
import { literalsOf, SYMBOL_BITS } from './literals.ts';
import { createMarks } from './marks.ts';
import { prefixesOf } from './prefixes.ts';
import { KEY_PREFIXES } from './recognizers/key-prefixes.ts';
import { mayHoldForeignName, NAME_LITERALS } from './recognizers/secret-names.ts';

const marks = createMarks();
const PREFIXES = prefixesOf(KEY_PREFIXES.flatMap(([, prefixes]) => prefixes.split(' ')));
const DOT = 0x2e;
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

/** What a text shows, whose variants of characters are folded already ({@link foldedView}). */
export function cluesOf(text: string): Clues {
  return withBytes(text, cluesIn);
}

/** One pass over the text. */
export function cluesIn(source: TextBytes): Clues {
  let names: number[] | undefined;
  let seen = findRuns(source);
  let traits = 0;
  let kinds = 0;
  const { bytes, length } = source;
  const { filter } = LITERALS;
  marks.begin(bytes);
  const look = (place: number): void => {
    const found = LITERALS.kindsAt(bytes, place);
    if ((found & NAME) !== 0) (names ??= []).push(place);
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
  const { seen: seenAround, numbers, countryCodes } = marks.end();
  seen |= seenAround;
  if ((traits & AT) !== 0) seen |= CLUE.at;
  if ((traits & BACKSLASH) !== 0) seen |= CLUE.backslash;
  const hasForeignName = !source.isAscii && mayHoldForeignName(source.text);
  if (hasForeignName || (names !== undefined && (!source.isAscii || (traits & TELLING) !== 0))) {
    seen |= CLUE.secretName;
  }
  if ((kinds & COOKIE) !== 0 && (traits & EQUALS) !== 0) seen |= CLUE.cookie;
  if ((kinds & COMMAND) !== 0) seen |= CLUE.command;
  if (seen === 0) return NOTHING;
  return {
    seen,
    hasForeignName,
    names: names ?? [],
    numbers,
    keyPrefixes: (seen & CLUE.run15) === 0 ? [] : PREFIXES.placesIn(source),
    countryCodes,
  };
}

const NOTHING: Clues = {
  seen: 0,
  hasForeignName: false,
  names: [],
  numbers: [],
  keyPrefixes: [],
  countryCodes: [],
};

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
