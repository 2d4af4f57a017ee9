import type { TextBytes } from './ascii-bytes.ts';
import { BOTH_SYMBOLS, pairTraits } from './byte-pairs.ts';
import { AT, BACKSLASH, EQUALS, MARK, RUN, SYMBOL_BITS, TELLING, TILDE, TRAITS } from './byte-traits.ts';
import { CLUE, type Clues } from './clues.ts';
import { codeUnits, WINDOW_SHIFT } from './code-units.ts';
import { late } from './late.ts';
import { literalsOf, placeInFilter } from './literals.ts';
import { createMarks } from './marks.ts';
import { prefixesOf } from './prefixes.ts';
import { KEY_PREFIXES } from './recognizers/key-prefixes.ts';
import { endsWindow, WINDOW_ENDS, WINDOW_STARTS } from './recognizers/foreign-windows.ts';
import { CREDENTIAL_SCHEMES, NAME_LITERALS } from './recognizers/secret-names.ts';

const marks = createMarks();
const PREFIXES = late(() => prefixesOf(KEY_PREFIXES.flatMap(([, prefixes]) => prefixes.split(' '))));
const DOT = 0x2e;
const NAME = 1;
const COOKIE = 2;
const COMMAND = 4;
const LITERALS = late(() =>
  literalsOf(
    new Map([
      [NAME, [...NAME_LITERALS, ...CREDENTIAL_SCHEMES]],
      [COOKIE, ['cookie']],
      [
        COMMAND,
        [
          'identified',
          'curl ',
          'net use',
          'net.exe use',
          ...['user', 'role', 'login'].flatMap((kind) => [`create ${kind}`, `alter ${kind}`]),
        ],
      ],
    ]),
  ),
);

/**
 * The clues of a text whose variants of characters are folded in its bytes.
 *
 * @param read The text with variants folded ({@link foldedView}).
 */
export function cluesIn(source: TextBytes, read: () => string): Clues {
  const { bytes, length } = source;
  const { filter, kindsAt } = LITERALS();
  const pairs = pairTraits();
  marks.begin(bytes, length);
  let seen = 0;
  let traits = 0;
  let row = 0;
  let names: number[] | undefined;
  let kinds = 0;
  const look = (place: number): void => {
    const found = kindsAt(bytes, place);
    if ((found & NAME) !== 0) (names ??= []).push(place);
    kinds |= found;
  };
  const ends = (length + 1) >> 1;
  for (let from = 0; from < ends; from += BLOCK) {
    const sieved = sieve(source.pairs, from, Math.min(ends, from + BLOCK), row, pairs, filter);
    const { count } = sieved;
    traits |= sieved.all;
    row = sieved.row;
    for (let each = 0; each < count; each++) {
      const place = noted[each] as number;
      const index = place & ~1;
      if (index !== place) seen |= runAround(source, index);
      const first = TRAITS[bytes[index] as number] as number;
      const second = TRAITS[bytes[index + 1] as number] as number;
      if ((first & MARK) !== 0) marks.note(index);
      if ((second & MARK) !== 0) marks.note(index + 1);
      const before = index === 0 ? 0 : (TRAITS[bytes[index - 1] as number] as number);
      const hit = filter[placeInFilter(before, first, second)] as number;
      if ((hit & 2) !== 0) look(index - 2);
      if ((hit & 1) !== 0) look(index - 1);
    }
  }
  const { seen: seenAround, numbers, countryCodes } = marks.end();
  seen |= seenAround;
  if ((traits & AT) !== 0) seen |= CLUE.at;
  if ((traits & TILDE) !== 0) seen |= CLUE.tilde;
  if ((traits & BACKSLASH) !== 0) seen |= CLUE.backslash;
  const hasForeignName = !source.isAscii && mayHoldForeignName(source.windowEnds, read);
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
    keyPrefixes: (seen & CLUE.run15) === 0 ? [] : PREFIXES().placesIn(source),
    countryCodes,
  };
}

/** Pairs of bytes that are filtered at a time: so few that their positions fit into some pages of memory. */
const BLOCK = 1 << 12;
/**
 * Positions of pairs that need a detailed check: with a mark in them, or at which literals may begin. For a run
 * that may be long, the position after its last pair is recorded.
 */
const noted = new Int32Array(BLOCK);

/**
 * Fills {@link noted}. Reads nothing but bytes and tables, calls nothing and stores numbers only: without calls
 * this loop over every character takes a third of the time.
 *
 * @param row A bit for each of the pairs before `from` that belong to one run, the nearest lowest.
 */
function sieve(
  pairs: Uint16Array,
  from: number,
  end: number,
  row: number,
  table: Int32Array,
  filter: Uint8Array,
): { readonly count: number; readonly all: number; readonly row: number } {
  // Held in a variable, because an imported binding is loaded again at each use.
  const mark = MARK;
  const symbol = SYMBOL_BITS;
  const both = BOTH_SYMBOLS;
  const places = noted;
  let count = 0;
  let all = 0;
  let inRow = row;
  let before = from === 0 ? 0 : (table[pairs[from - 1] as number] as number) & symbol;
  for (let index = from; index < end; index++) {
    const pair = table[pairs[index] as number] as number;
    all |= pair;
    // Eleven characters, the shortest header of a token, hold five pairs: the fifth in a row is recorded.
    inRow = ((inRow << 1) | 1) & (pair >> 31);
    const isFifth = (inRow >> 4) & ~(inRow >> 5) & 1;
    const hit = filter[(before << 10) | (pair & both)] as number;
    if (((pair & mark) | hit | isFifth) !== 0) places[count++] = (index << 1) | isFifth;
    before = pair & symbol;
  }
  return { count, all, row: inRow };
}

const NOTHING: Clues = {
  seen: 0,
  hasForeignName: false,
  names: [],
  numbers: [],
  keyPrefixes: [],
  countryCodes: [],
};

/** The clues of the run that contains the pair at `index`. */
function runAround({ bytes, length }: TextBytes, index: number): number {
  let start = index;
  while (start > 0 && ((TRAITS[bytes[start - 1] as number] as number) & RUN) !== 0) start--;
  let end = index + 2;
  while (end < length && ((TRAITS[bytes[end] as number] as number) & RUN) !== 0) end++;
  const count = end - start;
  let seen = 0;
  if (count >= 14) seen |= CLUE.run14;
  if (count >= 15) seen |= CLUE.run15;
  if (count >= 16) seen |= CLUE.run16;
  if (count >= 11 && bytes[end] === DOT && holdsHeader(bytes, start, end)) seen |= CLUE.tokenHeader;
  return seen;
}

/** Whether a text holds a window of a name beyond ASCII. */
function mayHoldForeignName(ends: readonly number[] | undefined, read: () => string): boolean {
  if (ends?.length === 0) return false;
  const text = read();
  return ends?.some((end) => endsWindow(text, end)) ?? holdsWindow(text);
}

function holdsWindow(text: string): boolean {
  const units = codeUnits();
  let state = 0;
  for (let index = 0; index < text.length; index++) {
    const places = (units[text.charCodeAt(index)] as number) >> WINDOW_SHIFT;
    state = ((state << 1) | WINDOW_STARTS) & places;
    if ((state & WINDOW_ENDS) !== 0 && endsWindow(text, index + 1)) return true;
  }
  return false;
}

/** `ey` or `ew` and what {@link jwtRecognizer} takes after them. */
function holdsHeader(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end - 2; index++) {
    if (bytes[index] === 0x65 && (bytes[index + 1] === 0x79 || bytes[index + 1] === 0x77)) return true;
  }
  return false;
}
