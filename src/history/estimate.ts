/**
 * How many tokens a text becomes, without a tokenizer. The text is cut roughly where the `o200k_base` vocabulary of
 * OpenAI's models cuts it (words with their leading space, runs of up to three digits, runs of punctuation), and
 * every piece is charged by its script and length. `tools/calibrate-tokens.ts` fits the charges against exact
 * counts.
 */

/** The kinds of pieces that are charged for, in the order of {@link CHARGES}. */
export const PIECES = [
  'word',
  'letter',
  'foreignLetter',
  'accentedWord',
  'accentedLetter',
  'digits',
  'punctuation',
  'mark',
  'lines',
  'blanks',
  'random',
  'hex',
  'cyrillicWord',
  'cyrillicLetter',
  'arabicWord',
  'arabicLetter',
  'han',
  'kana',
  'hangul',
  'indic',
  'other',
] as const;

/** Tokens for each of {@link PIECES}, as `tools/calibrate-tokens.ts` printed them. */
export const CHARGES: readonly number[] = [
  1, 0.12, 0.207, 1.053, 0.401, 1.05, 0.842, 0.185, 0.766, 0.02, 0.68, 0.564, 1.145, 0.132, 1.495, 0.175,
  0.733, 0.605, 0.677, 0.319, 1.5,
];

const [WORD, LETTER, FOREIGN_LETTER, ACCENTED, ACCENTED_LETTER, DIGITS, PUNCTUATION] = [
  0, 1, 2, 3, 4, 5, 6,
] as const;
const [MARK, LINES, BLANKS, RANDOM, HEX, CYRILLIC, CYRILLIC_LETTER] = [7, 8, 9, 10, 11, 12, 13] as const;
const [ARABIC, ARABIC_LETTER, HAN, KANA, HANGUL, INDIC, OTHER] = [14, 15, 16, 17, 18, 19, 20] as const;

/** Letters of a word that its own charge covers. */
const COVERED = { latin: 6, accented: 4, cyrillic: 3, arabic: 3 } as const;

/** From this share of words with accents on, a text in Latin letters is not English. */
const FOREIGN_SHARE = 0.02;

/** A run of letters and digits is random (base64, hashes, keys) from this length and share of changes on. */
const RANDOM_LENGTH = 10;
const RANDOM_CHANGES = 0.34;

/** Class of each ASCII character: 0 mark, 1 lower, 2 upper, 3 digit, 4 blank, 5 line break. */
const ASCII = new Uint8Array(128);
for (let code = 0; code < 128; code++) {
  if (code >= 97 && code <= 122) ASCII[code] = 1;
  else if (code >= 65 && code <= 90) ASCII[code] = 2;
  else if (code >= 48 && code <= 57) ASCII[code] = 3;
  else if (code === 32 || code === 9) ASCII[code] = 4;
  else if (code === 10 || code === 13) ASCII[code] = 5;
}

/** How often each of {@link PIECES} occurs in `text`. One pass, linear for any text. */
export function countPieces(text: string): Float64Array {
  const pieces = new Float64Array(PIECES.length);
  const add = (piece: number, amount: number): void => {
    pieces[piece] = (pieces[piece] as number) + amount;
  };
  const end = text.length;
  let index = 0;
  while (index < end) {
    const code = text.charCodeAt(index);
    const kind = classOf(code);
    if (kind <= 3 && kind !== 0) {
      const runEnd = alphanumericEnd(text, index);
      if (isRandom(text, index, runEnd)) {
        add(hasUpper(text, index, runEnd) ? RANDOM : HEX, runEnd - index);
        index = runEnd;
      } else {
        index = chargeRun(text, index, runEnd, add);
      }
      continue;
    }
    let next = index + 1;
    if (kind === 4) {
      while (next < end && classOf(text.charCodeAt(next)) === 4) next++;
      // One blank belongs to the word or mark behind it.
      if (next - index > 1) {
        add(BLANKS, 1);
        add(BLANKS, (next - index) / 16);
      }
    } else if (kind === 5) {
      while (next < end && classOf(text.charCodeAt(next)) === 5) next++;
      add(LINES, 1);
    } else if (kind === 0) {
      while (next < end && classOf(text.charCodeAt(next)) === 0) next++;
      // A mark directly before a word is part of the word's first token.
      add(PUNCTUATION, 1);
      if (next - index > 1) add(MARK, next - index - 1);
    } else if (kind === 6 || kind === 7 || kind === 8) {
      while (next < end && wordClass(text.charCodeAt(next), kind)) next++;
      const length = next - index;
      if (kind === 6) chargeWord(add, ACCENTED, ACCENTED_LETTER, length, COVERED.accented);
      else if (kind === 7) chargeWord(add, CYRILLIC, CYRILLIC_LETTER, length, COVERED.cyrillic);
      else chargeWord(add, ARABIC, ARABIC_LETTER, length, COVERED.arabic);
    } else {
      add(kind === 9 ? HAN : kind === 10 ? KANA : kind === 11 ? HANGUL : kind === 12 ? INDIC : OTHER, 1);
    }
    index = next;
  }
  // The vocabulary holds long English words whole; those of other languages in Latin letters it cuts up.
  const words = (pieces[WORD] as number) + (pieces[ACCENTED] as number);
  if ((pieces[ACCENTED] as number) >= FOREIGN_SHARE * words) {
    pieces[FOREIGN_LETTER] = pieces[LETTER] as number;
    pieces[LETTER] = 0;
  }
  return pieces;
}

/** Tokens of `text`, rounded up. See `docs/context-window.md` for the error on each kind of text. */
export function estimateText(text: string): number {
  const pieces = countPieces(text);
  let tokens = 0;
  for (let piece = 0; piece < pieces.length; piece++) {
    tokens += (pieces[piece] as number) * (CHARGES[piece] as number);
  }
  return Math.ceil(tokens);
}

function chargeWord(
  add: (piece: number, amount: number) => void,
  word: number,
  letter: number,
  length: number,
  covered: number,
): void {
  add(word, 1);
  if (length > covered) add(letter, length - covered);
}

/** The words and digits of a run of letters and digits, split where the case changes. Returns where it stopped. */
function chargeRun(
  text: string,
  start: number,
  end: number,
  add: (piece: number, amount: number) => void,
): number {
  let index = start;
  while (index < end) {
    const from = index;
    if (ASCII[text.charCodeAt(index)] === 3) {
      while (index < end && ASCII[text.charCodeAt(index)] === 3) index++;
      add(DIGITS, Math.ceil((index - from) / 3));
      continue;
    }
    while (index < end && ASCII[text.charCodeAt(index)] === 2) index++;
    while (index < end && ASCII[text.charCodeAt(index)] === 1) index++;
    if (index === end && index < text.length && classOf(text.charCodeAt(index)) === 6) {
      // The word goes on with an accented letter: all of it is an accented word.
      while (index < text.length && wordClass(text.charCodeAt(index), 6)) index++;
      chargeWord(add, ACCENTED, ACCENTED_LETTER, index - from, COVERED.accented);
      return index;
    }
    chargeWord(add, WORD, LETTER, index - from, COVERED.latin);
  }
  return index;
}

function alphanumericEnd(text: string, start: number): number {
  let index = start;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    if (code >= 128) break;
    const kind = ASCII[code] as number;
    if (kind === 0 || kind > 3) break;
    index++;
  }
  return index;
}

function isRandom(text: string, start: number, end: number): boolean {
  if (end - start < RANDOM_LENGTH) return false;
  let changes = 0;
  for (let index = start + 1; index < end; index++) {
    if (ASCII[text.charCodeAt(index)] !== ASCII[text.charCodeAt(index - 1)]) changes++;
  }
  return changes / (end - start) >= RANDOM_CHANGES;
}

function hasUpper(text: string, start: number, end: number): boolean {
  for (let index = start; index < end; index++) if (ASCII[text.charCodeAt(index)] === 2) return true;
  return false;
}

function wordClass(code: number, kind: number): boolean {
  const own = classOf(code);
  return own === kind || (kind === 6 && (own === 1 || own === 2));
}

/** ASCII classes, then 6 accented Latin, 7 Cyrillic and Greek, 8 Arabic and Hebrew, 9 Han, 10 Kana, 11 Hangul,
 * 12 the Indic and Thai blocks, 13 anything else. */
function classOf(code: number): number {
  if (code < 128) return ASCII[code] as number;
  if (code < 0xc0) return code === 0xa0 ? 4 : 0;
  if (code < 0x250) return 6;
  if (code < 0x370) return 13;
  if (code < 0x530) return 7;
  if (code < 0x590) return 13;
  if (code < 0x780) return 8;
  if (code < 0x900) return 13;
  if (code < 0x1000) return 12;
  if (code >= 0x2010 && code < 0x2070) return 0;
  if (code >= 0x3000 && code < 0x3040) return 0;
  if (code >= 0x3040 && code < 0x3100) return 10;
  if (code >= 0x3400 && code < 0xa000) return 9;
  if (code >= 0xac00 && code < 0xd7b0) return 11;
  if (code >= 0xff00 && code < 0xff10) return 0;
  return 13;
}
