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

/** Letters of a word that its own charge covers. */
const COVERED_LATIN = 6;
const COVERED_ACCENTED = 4;
const COVERED_CYRILLIC = 3;
const COVERED_ARABIC = 3;

/** From this share of words with accents on, a text in Latin letters is not English. */
const FOREIGN_SHARE = 0.02;

/** A run of letters and digits is random (base64, hashes, keys) from this length and share of changes on. */
const RANDOM_LENGTH = 10;
const RANDOM_CHANGES = 0.34;

const MARK = 0;
const LOWER = 1;
const UPPER = 2;
const DIGIT = 3;
const BLANK = 4;
const LINE = 5;
const ACCENTED = 6;
const CYRILLIC = 7;
const ARABIC = 8;
const HAN = 9;
const KANA = 10;
const HANGUL = 11;
const INDIC = 12;
const OTHER = 13;

const ASCII = new Uint8Array(128);
for (let code = 0; code < 128; code++) {
  if (code >= 97 && code <= 122) ASCII[code] = LOWER;
  else if (code >= 65 && code <= 90) ASCII[code] = UPPER;
  else if (code >= 48 && code <= 57) ASCII[code] = DIGIT;
  else if (code === 32 || code === 9) ASCII[code] = BLANK;
  else if (code === 10 || code === 13) ASCII[code] = LINE;
}

const SPACE = 32;
const ZERO = 48;
const NINE = 57;
const UPPER_A = 65;
const UPPER_Z = 90;
const LOWER_A = 97;
const LOWER_Z = 122;

/** 1 for the letters and digits of ASCII. */
const ASCII_RUN: Uint8Array = ASCII.map((kind) => (kind >= LOWER && kind <= DIGIT ? 1 : 0));

type Codes = Uint8Array | Uint16Array;

const encoder = new TextEncoder();
const SCRATCH = 65_536;
const bytes = new Uint8Array(SCRATCH);
const units = new Uint16Array(SCRATCH);

/** The UTF-16 units of a text in an array, which reads several times faster than the text itself. */
function codesOf(text: string): Codes {
  const { length } = text;
  const ascii = length <= SCRATCH ? bytes : new Uint8Array(length);
  // As many bytes as units: all of it is ASCII.
  const { read, written } = encoder.encodeInto(text, ascii);
  if (read === length && written === length) return ascii;
  const wide = length <= SCRATCH ? units : new Uint16Array(length);
  for (let index = 0; index < length; index++) wide[index] = text.charCodeAt(index);
  return wide;
}

/**
 * How often each of {@link PIECES} occurs in `text`. One pass, linear for any text, and written for speed: planning a
 * long history must cost less than reading it.
 */
export function countPieces(text: string): number[] {
  let words = 0;
  let letters = 0;
  let accentedWords = 0;
  let accentedLetters = 0;
  let digits = 0;
  let punctuation = 0;
  let marks = 0;
  let lines = 0;
  let blanks = 0;
  let random = 0;
  let hex = 0;
  let cyrillicWords = 0;
  let cyrillicLetters = 0;
  let arabicWords = 0;
  let arabicLetters = 0;
  let han = 0;
  let kana = 0;
  let hangul = 0;
  let indic = 0;
  let other = 0;

  const end = text.length;
  const codes = codesOf(text);
  let index = 0;
  while (index < end) {
    const from = index;
    let code = codes[index] as number;
    if (code === SPACE && index + 1 < end) {
      const next = codes[index + 1] as number;
      if (next > SPACE && next < 0x80) {
        // A single space belongs to the word or mark behind it.
        index++;
        continue;
      }
    }
    const kind = code < 0x80 ? (ASCII[code] as number) : classOf(code);
    if (kind === LOWER) {
      // Most of most texts: a word of small letters between blanks and marks.
      do index++;
      while (index < end && (code = codes[index] as number) >= LOWER_A && code <= LOWER_Z);
      if (index === end || (code < 0x80 && ASCII_RUN[code] === 0)) {
        words++;
        if (index - from > COVERED_LATIN) letters += index - from - COVERED_LATIN;
        continue;
      }
      index = from;
      code = codes[index] as number;
    }
    if (kind >= LOWER && kind <= DIGIT) {
      // A run of letters and digits: its words, split where the case changes, unless it turns out to be random.
      let runWords = 0;
      let runLetters = 0;
      let runDigits = 0;
      let changes = -1;
      let upper = false;
      let accented = 0;
      let isRun = true;
      while (isRun) {
        changes++;
        const wordStart = index;
        if (code <= NINE) {
          do index++;
          while (index < end && (code = codes[index] as number) >= ZERO && code <= NINE);
          runDigits += Math.ceil((index - wordStart) / 3);
        } else {
          if (code <= UPPER_Z) {
            upper = true;
            do index++;
            while (index < end && (code = codes[index] as number) >= UPPER_A && code <= UPPER_Z);
            if (index < end && code >= LOWER_A && code <= LOWER_Z) changes++;
          }
          // Almost all of most texts is read by this loop.
          while (index < end && (code = codes[index] as number) >= LOWER_A && code <= LOWER_Z) index++;
          if (index < end && code >= 0xc0 && code < 0x250) {
            // The word goes on with an accented letter: all of it is an accented word.
            accented = wordStart;
            break;
          }
          runWords++;
          if (index - wordStart > COVERED_LATIN) runLetters += index - wordStart - COVERED_LATIN;
        }
        isRun = index < end && code < 0x80 && ASCII_RUN[code] === 1;
      }
      const length = index - from;
      if (length >= RANDOM_LENGTH && changes >= RANDOM_CHANGES * length) {
        if (upper) random += length;
        else hex += length;
        continue;
      }
      words += runWords;
      letters += runLetters;
      digits += runDigits;
      if (isRun) {
        index = wordEnd(codes, end, index);
        accentedWords++;
        if (index - accented > COVERED_ACCENTED) accentedLetters += index - accented - COVERED_ACCENTED;
      }
      continue;
    }
    switch (kind) {
      case MARK:
        index = runEnd(codes, end, index + 1, MARK);
        punctuation++;
        marks += index - from - 1;
        break;
      case BLANK:
        index = runEnd(codes, end, index + 1, BLANK);
        // One blank belongs to the word or mark behind it.
        if (index - from > 1) blanks += 1 + (index - from) / 16;
        break;
      case LINE:
        index = runEnd(codes, end, index + 1, LINE);
        lines++;
        break;
      case ACCENTED:
        index = wordEnd(codes, end, index + 1);
        accentedWords++;
        if (index - from > COVERED_ACCENTED) accentedLetters += index - from - COVERED_ACCENTED;
        break;
      case CYRILLIC:
        index = runEnd(codes, end, index + 1, CYRILLIC);
        cyrillicWords++;
        if (index - from > COVERED_CYRILLIC) cyrillicLetters += index - from - COVERED_CYRILLIC;
        break;
      case ARABIC:
        index = runEnd(codes, end, index + 1, ARABIC);
        arabicWords++;
        if (index - from > COVERED_ARABIC) arabicLetters += index - from - COVERED_ARABIC;
        break;
      default:
        index++;
        if (kind === HAN) han++;
        else if (kind === KANA) kana++;
        else if (kind === HANGUL) hangul++;
        else if (kind === INDIC) indic++;
        else other++;
    }
  }
  // The vocabulary holds long English words whole; those of other languages in Latin letters it cuts up.
  const foreign = accentedWords > 0 && accentedWords >= FOREIGN_SHARE * (words + accentedWords);
  return [
    words,
    foreign ? 0 : letters,
    foreign ? letters : 0,
    accentedWords,
    accentedLetters,
    digits,
    punctuation,
    marks,
    lines,
    blanks,
    random,
    hex,
    cyrillicWords,
    cyrillicLetters,
    arabicWords,
    arabicLetters,
    han,
    kana,
    hangul,
    indic,
    other,
  ];
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

function runEnd(codes: Codes, end: number, from: number, kind: number): number {
  let index = from;
  while (index < end && classOf(codes[index] as number) === kind) index++;
  return index;
}

/** The end of a word of Latin letters, with accents or not. */
function wordEnd(codes: Codes, end: number, from: number): number {
  let index = from;
  while (index < end) {
    const kind = classOf(codes[index] as number);
    if (kind !== ACCENTED && kind !== LOWER && kind !== UPPER) break;
    index++;
  }
  return index;
}

function classOf(code: number): number {
  if (code < 0x80) return ASCII[code] as number;
  if (code < 0xc0) return code === 0xa0 ? BLANK : MARK;
  if (code < 0x250) return ACCENTED;
  if (code < 0x370) return OTHER;
  if (code < 0x530) return CYRILLIC;
  if (code < 0x590) return OTHER;
  if (code < 0x780) return ARABIC;
  if (code < 0x900) return OTHER;
  if (code < 0x1000) return INDIC;
  if (code >= 0x2010 && code < 0x2070) return MARK;
  if (code >= 0x3000 && code < 0x3040) return MARK;
  if (code >= 0x3040 && code < 0x3100) return KANA;
  if (code >= 0x3400 && code < 0xa000) return HAN;
  if (code >= 0xac00 && code < 0xd7b0) return HANGUL;
  if (code >= 0xff00 && code < 0xff10) return MARK;
  return OTHER;
}
