import type { TextBytes } from './ascii-bytes.ts';
import { AT, BACKSLASH, EQUALS, MARK, RUN, SYMBOL_BITS, TELLING, TILDE, TRAITS } from './byte-traits.ts';
import { CLUE, type Clues } from './clues.ts';
import { literalsOf, placeInFilter } from './literals.ts';
import { createMarks } from './marks.ts';
import { prefixesOf } from './prefixes.ts';
import { KEY_PREFIXES } from './recognizers/key-prefixes.ts';
import { CREDENTIAL_SCHEMES, mayHoldForeignName, NAME_LITERALS } from './recognizers/secret-names.ts';

const marks = createMarks();
const PREFIXES = prefixesOf(KEY_PREFIXES.flatMap(([, prefixes]) => prefixes.split(' ')));
const DOT = 0x2e;
const NAME = 1;
const COOKIE = 2;
const COMMAND = 4;
const LITERALS = literalsOf(
  new Map([
    [NAME, [...NAME_LITERALS, ...CREDENTIAL_SCHEMES]],
    [COOKIE, ['cookie']],
    [COMMAND, ['identified']],
  ]),
);

/** What a text shows, whose variants of characters are folded already ({@link foldedView}). */
export function cluesIn(source: TextBytes): Clues {
  const { bytes, length } = source;
  let seen = findRuns(source);
  marks.begin(bytes);
  let traits = 0;
  let names: number[] | undefined;
  let kinds = 0;
  const look = (place: number): void => {
    const found = LITERALS.kindsAt(bytes, place);
    if ((found & NAME) !== 0) (names ??= []).push(place);
    kinds |= found;
  };
  for (let from = 0; from < length; from += BLOCK) {
    const { count, all } = sieve(bytes, from, Math.min(length, from + BLOCK), TRAITS, LITERALS.filter);
    traits |= all;
    for (let each = 0; each < count; each++) {
      const index = pairs[each] as number;
      const first = TRAITS[bytes[index] as number] as number;
      const second = TRAITS[bytes[index + 1] as number] as number;
      if ((first & MARK) !== 0) marks.note(index);
      if ((second & MARK) !== 0) marks.note(index + 1);
      const before = index === 0 ? 0 : (TRAITS[bytes[index - 1] as number] as number);
      const hit = LITERALS.filter[placeInFilter(before, first, second)] as number;
      if ((hit & 2) !== 0) look(index - 2);
      if ((hit & 1) !== 0) look(index - 1);
    }
  }
  const { seen: seenAround, numbers, countryCodes } = marks.end();
  seen |= seenAround;
  if ((traits & AT) !== 0) seen |= CLUE.at;
  if ((traits & TILDE) !== 0) seen |= CLUE.tilde;
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

/** Even, and so small that the pairs of a block fit into some pages of memory. */
const BLOCK = 1 << 13;
/** Pairs of bytes that are worth a second look: with a mark in them, or at which literals may begin. */
const pairs = new Int32Array(BLOCK / 2);

/**
 * Fills {@link pairs}. Reads nothing but bytes and tables, calls nothing and stores numbers only: the loop that every character
 * passes takes a third of the time that it takes with a call in it.
 */
function sieve(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: Int32Array,
  filter: Uint8Array,
): { readonly count: number; readonly all: number } {
  // What is imported is loaded anew at each use.
  const mark = MARK;
  const symbol = SYMBOL_BITS;
  const found = pairs;
  let count = 0;
  let all = 0;
  let before = from === 0 ? 0 : (table[bytes[from - 1] as number] as number) & symbol;
  for (let index = from; index < end; index += 2) {
    const first = table[bytes[index] as number] as number;
    const second = table[bytes[index + 1] as number] as number;
    const both = first | second;
    all |= both;
    const hit = filter[(before << 10) | ((first & symbol) << 5) | (second & symbol)] as number;
    if (((both & mark) | hit) !== 0) found[count++] = index;
    before = second & symbol;
  }
  return { count, all };
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
  const table = TRAITS;
  const run = RUN;
  let seen = 0;
  let free = -1; // the last character known to be none of a run
  for (let last = SHORTEST_HEADER - 1; last < length; last = free + SHORTEST_HEADER) {
    let index = last;
    while (index > free && ((table[bytes[index] as number] as number) & run) !== 0) index--;
    if (index > free) {
      free = index;
      continue;
    }
    let end = last + 1;
    while (end < length && ((table[bytes[end] as number] as number) & run) !== 0) end++;
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
