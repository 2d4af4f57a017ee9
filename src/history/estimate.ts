import { KINDS, move, PIECES, START, type Kind, type Piece, type State } from './token-pieces.ts';

/**
 * Estimates the tokens of a text without a tokenizer: the pieces of `token-pieces.ts`, each with a charge. Counting
 * a long history must cost less than reading it, so the rules are compiled into a table once, and a text is read
 * with the table, two characters at a time and without branches.
 */

/** Tokens for each of {@link PIECES}, as `tools/calibrate-tokens.ts` fitted them to exact counts. */
export const CHARGES: readonly number[] = [
  1, 0.12, 0.204, 0.173, 0.424, 1.05, 0.87, 0.15, 0.888, 0.11, 0.785, 0.567, 1.148, 0.127, 1.492, 0.175,
  0.728, 0.602, 0.674, 0.319, 1.5,
];

/** From this share of letters with accents on, a text in Latin letters is not English. */
const FOREIGN_SHARE = 0.003;

/** Bits of a kind. */
const KIND_BITS = 4;

/** The transitions of each reachable state, by kind of character. */
interface Automaton {
  readonly next: readonly (readonly number[])[];
  readonly pieces: readonly (readonly (readonly Piece[])[])[];
}

function explore(): Automaton {
  const keyOf = ({ run, length, score }: State): string => `${run} ${length} ${score}`;
  const states: State[] = [START];
  const numbers = new Map([[keyOf(START), 0]]);
  const numberOf = (state: State): number => {
    const known = numbers.get(keyOf(state));
    if (known !== undefined) return known;
    numbers.set(keyOf(state), states.length);
    return states.push(state) - 1;
  };
  const next: number[][] = [];
  const pieces: (readonly Piece[])[][] = [];
  // The list grows during the loop.
  for (const state of states) {
    const moves = KINDS.map((kind) => move(state, kind));
    next.push(moves.map(({ to }) => numberOf(to)));
    pieces.push(moves.map((each) => each.pieces));
  }
  return { next, pieces };
}

/** The automaton with two characters a step: an index is a state and two kinds, {@link KIND_BITS} each. */
interface Table {
  /** The next state, shifted for use in an index. */
  readonly next: Uint16Array;
  /** The cost of the two characters in tokens, in English and in other languages. */
  readonly english: Float64Array;
  readonly foreign: Float64Array;
}

function tabulate(): Table {
  const { next, pieces } = explore();
  const english = pieces.map((moves) => moves.map((added) => cost(added, 'letter')));
  const foreign = pieces.map((moves) => moves.map((added) => cost(added, 'foreignLetter')));
  const size = next.length << (2 * KIND_BITS);
  const table = {
    next: new Uint16Array(size),
    english: new Float64Array(size),
    foreign: new Float64Array(size),
  };
  for (let state = 0; state < next.length; state++) {
    for (let first = 0; first < KINDS.length; first++) {
      const between = at(next, state, first);
      for (let second = 0; second < KINDS.length; second++) {
        const index = (((state << KIND_BITS) | first) << KIND_BITS) | second;
        table.next[index] = at(next, between, second) << (2 * KIND_BITS);
        table.english[index] = at(english, state, first) + at(english, between, second);
        table.foreign[index] = at(foreign, state, first) + at(foreign, between, second);
      }
    }
  }
  return table;
}

function cost(added: readonly Piece[], letter: Piece): number {
  return added.reduce(
    (sum, piece) => sum + (CHARGES[PIECES.indexOf(piece === 'letter' ? letter : piece)] as number),
    0,
  );
}

function at<T>(rows: readonly (readonly T[])[], state: number, kind: number): T {
  return rows[state]?.[kind] as T;
}

/** Made for the first text that is counted, to keep the import fast. */
let tabulated: Table | undefined;

/** Above every ASCII code: {@link codes} holds the kind plus this for other characters. */
const BEYOND = 0x80;
const END = BEYOND + KINDS.indexOf('end');

/** The kind of each code in {@link codes}. */
const KIND_OF = Uint8Array.from({ length: BEYOND + KINDS.length }, (_, code) =>
  code < BEYOND ? KINDS.indexOf(kindOfAscii(code)) : code - BEYOND,
);

function kindOfAscii(code: number): Kind {
  if (code >= 97 && code <= 122) return 'lower';
  if (code >= 65 && code <= 90) return 'upper';
  if (code >= 48 && code <= 57) return 'digit';
  if (code === 32 || code === 9) return 'blank';
  return code === 10 || code === 13 ? 'line' : 'mark';
}

/** The ranges of scripts beyond ASCII, in blocks of 16 UTF-16 units; each ends at the next. */
const SCRIPTS: readonly (readonly [from: number, kind: Kind])[] = [
  [0x80, 'mark'],
  [0xc0, 'accented'],
  [0x250, 'other'],
  [0x370, 'cyrillic'],
  [0x530, 'other'],
  [0x590, 'arabic'],
  [0x780, 'other'],
  [0x900, 'indic'],
  [0x1000, 'other'],
  [0x2010, 'mark'],
  [0x2070, 'other'],
  [0x3000, 'mark'],
  [0x3040, 'kana'],
  [0x3100, 'other'],
  [0x3400, 'han'],
  [0xa000, 'other'],
  [0xac00, 'hangul'],
  [0xd7b0, 'other'],
  [0xff00, 'mark'],
  [0xff10, 'other'],
];

/** For each block, the code in {@link codes} of its units. */
const CODE_OF_BLOCK = new Uint8Array(0x1000);
for (const [from, kind] of SCRIPTS) CODE_OF_BLOCK.fill(BEYOND + KINDS.indexOf(kind), from >> 4);

/** A text is read in chunks, so that a long one needs no memory of its own. */
const CHUNK = 65_536;
const codes = new Uint8Array(CHUNK + 1);
const encoder = new TextEncoder();

/** Writes a chunk of a text into {@link codes}, followed by an end mark. Returns the share of letters with accents. */
function load(chunk: string): number {
  const { length } = chunk;
  const { read, written } = encoder.encodeInto(chunk, codes);
  let accents = 0;
  // As many bytes as UTF-16 units: all of it is ASCII.
  if (read !== length || written !== length) {
    for (let index = 0; index < length; index++) {
      const unit = chunk.charCodeAt(index);
      if (unit >= 0xc0 && unit < 0x250) accents++;
      codes[index] = unit < BEYOND ? unit : (CODE_OF_BLOCK[unit >> 4] as number);
    }
  }
  codes[length] = END;
  return accents / length;
}

/** Tokens of `text`, rounded up. See `docs/context-window.md` for the error on each kind of text. */
export function estimateText(text: string): number {
  const { next, english, foreign } = (tabulated ??= tabulate());
  let tokens = 0;
  let state = 0;
  for (let from = 0; from < text.length; from += CHUNK) {
    const chunk = text.length <= CHUNK ? text : text.slice(from, from + CHUNK);
    const costs = load(chunk) >= FOREIGN_SHARE ? foreign : english;
    for (let index = 0; index < chunk.length; index += 2) {
      const step =
        state |
        ((KIND_OF[codes[index] as number] as number) << KIND_BITS) |
        (KIND_OF[codes[index + 1] as number] as number);
      tokens += costs[step] as number;
      state = next[step] as number;
    }
  }
  return Math.ceil(tokens);
}

/**
 * How often each of {@link PIECES} occurs in `text`: the pieces that {@link estimateText} charges for. Used by the
 * fit.
 */
export function countPieces(text: string): number[] {
  const { next, pieces } = explore();
  const counts = PIECES.map(() => 0);
  let state = 0;
  for (let from = 0; from < text.length; from += CHUNK) {
    const chunk = text.slice(from, from + CHUNK);
    const foreign = load(chunk) >= FOREIGN_SHARE;
    for (let index = 0; index < chunk.length; index++) {
      const kind = KIND_OF[codes[index] as number] as number;
      for (const piece of at(pieces, state, kind)) {
        const counted = PIECES.indexOf(foreign && piece === 'letter' ? 'foreignLetter' : piece);
        counts[counted] = (counts[counted] as number) + 1;
      }
      state = at(next, state, kind);
    }
  }
  return counts;
}
