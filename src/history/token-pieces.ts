/**
 * The rules that split a text into pieces, roughly like the `o200k_base` vocabulary of OpenAI's models: words with
 * their leading space, runs of up to three digits, runs of punctuation. A state machine reads one character after
 * the other; some transitions begin a piece or increase its charge.
 */

/** The pieces that are charged, in the order of {@link CHARGES}. */
export const PIECES = [
  'word',
  /** Of a word, each letter after those that its own charge covers. */
  'letter',
  /** The same where a text in Latin letters is not English: the vocabulary holds long English words whole. */
  'foreignLetter',
  /** Of a word, its first letter with an accent. */
  'accent',
  'accentedLetter',
  'digits',
  'punctuation',
  'mark',
  'lines',
  'blanks',
  /** Each character of a run of letters and digits that is not a word: base64, hashes, keys. */
  'random',
  /** The same without capital letters. */
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

export type Piece = (typeof PIECES)[number];

/** Letters of a word that its own charge covers. */
const COVERED = { latin: 6, accented: 4, cyrillic: 3, arabic: 3 } as const;

/**
 * A run of letters and digits is random once it has changed so much: two points for a change (a new word or number
 * inside the run), one point less for a character that continues the word or number.
 */
const RANDOM_SCORE = 10;

/** The kinds of characters. */
export const KINDS = [
  'mark',
  'lower',
  'upper',
  'digit',
  'blank',
  'line',
  'accented',
  'cyrillic',
  'arabic',
  'han',
  'kana',
  'hangul',
  'indic',
  'other',
  'end',
] as const;

export type Kind = (typeof KINDS)[number];

/** The state of the reader: the run, the relevant part of its length, and how random the run looks. */
export interface State {
  readonly run: Kind | 'random' | 'hex';
  readonly length: number;
  readonly score: number;
}

export interface Move {
  readonly to: State;
  readonly pieces: readonly Piece[];
}

export const START: State = { run: 'end', length: 0, score: 0 };

/** The transition for one more character of this kind. */
export function move(from: State, kind: Kind): Move {
  switch (kind) {
    case 'lower':
    case 'upper':
    case 'digit':
      return from.run === 'accented' && kind !== 'digit' ? accentedLetter(from) : letterOrDigit(from, kind);
    case 'accented':
      return accentedLetter(from);
    case 'cyrillic':
      return scriptLetter(from, kind, COVERED.cyrillic, 'cyrillicWord', 'cyrillicLetter');
    case 'arabic':
      return scriptLetter(from, kind, COVERED.arabic, 'arabicWord', 'arabicLetter');
    case 'mark':
      return { to: { run: kind, length: 1, score: 0 }, pieces: [from.run === kind ? 'mark' : 'punctuation'] };
    case 'line':
      return { to: { run: kind, length: 1, score: 0 }, pieces: from.run === kind ? [] : ['lines'] };
    case 'blank': {
      // One blank belongs to the next word or mark.
      const length = from.run === kind ? Math.min(from.length + 1, 3) : 1;
      return { to: { run: kind, length, score: 0 }, pieces: length === 2 ? ['blanks'] : [] };
    }
    case 'end':
      return { to: START, pieces: [] };
    default:
      return { to: START, pieces: [kind] };
  }
}

function letterOrDigit({ run, length, score }: State, kind: 'lower' | 'upper' | 'digit'): Move {
  if (run === 'random' || run === 'hex') {
    const still = kind === 'upper' ? 'random' : run;
    return { to: { run: still, length: 0, score: 0 }, pieces: [still] };
  }
  const goesOn = run === 'lower' || run === 'upper' || run === 'digit';
  const capitalized = run === 'upper' && kind === 'lower';
  const suspicion = !goesOn || capitalized ? score : run === kind ? Math.max(0, score - 1) : score + 2;
  if (suspicion >= RANDOM_SCORE) {
    const found = kind === 'upper' || run === 'upper' ? 'random' : 'hex';
    return { to: { run: found, length: 0, score: 0 }, pieces: [found] };
  }
  const samePiece = run === kind || capitalized;
  const position = samePiece ? length + 1 : 1;
  const to = (place: number): State => ({ run: kind, length: suspicion > 0 ? 1 : place, score: suspicion });
  // Three digits are one token.
  if (kind === 'digit') return { to: to(position % 3), pieces: position % 3 === 1 ? ['digits'] : [] };
  return {
    to: to(Math.min(position, COVERED.latin)),
    pieces: position === 1 ? ['word'] : position > COVERED.latin ? ['letter'] : [],
  };
}

/** A letter of a word from its first letter with an accent on. */
function accentedLetter({ run, length }: State): Move {
  const goesOn = run === 'lower' || run === 'upper' || run === 'accented';
  const position = goesOn ? length + 1 : 1;
  const pieces: Piece[] = goesOn ? [] : ['word'];
  if (run !== 'accented') pieces.push('accent');
  if (position > COVERED.accented) pieces.push('accentedLetter');
  return { to: { run: 'accented', length: Math.min(position, COVERED.accented), score: 0 }, pieces };
}

function scriptLetter(from: State, kind: Kind, covered: number, word: Piece, letter: Piece): Move {
  const position = from.run === kind ? from.length + 1 : 1;
  return {
    to: { run: kind, length: Math.min(position, covered), score: 0 },
    pieces: position === 1 ? [word] : position > covered ? [letter] : [],
  };
}
