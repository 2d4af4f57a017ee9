import { ASCII_BITS, codeUnits, FOLDED, MAY_FOLD, OTHER, WINDOW_SHIFT } from './code-units.ts';
import { WINDOW_ENDS, WINDOW_STARTS } from './recognizers/foreign-windows.ts';

const encoder = new TextEncoder();
const SHARED_SIZE = 1 << 16;
const BEHIND = 8;
const shared = new Uint8Array(SHARED_SIZE + BEHIND);
const sharedPairs = new Uint16Array(shared.buffer);
/** For fewer code units the encoder costs more than it saves. */
const FEWEST_TO_ENCODE = 48;

/**
 * A text as one byte a code unit: ASCII as it is or as it is folded ({@link foldedView}), 0 for every other code unit, and
 * zeros behind the last. Reading bytes takes half the time of reading code units.
 */
export interface TextBytes extends Known {
  readonly bytes: Uint8Array;
  /** The same bytes by two. */
  readonly pairs: Uint16Array;
  readonly length: number;
}

/** Facts about a text that are known when its bytes are written. */
interface Known {
  /** When all is folded. */
  readonly isAscii: boolean;
  /** Whether characters may be folded that the bytes do not show. */
  readonly mayFold: boolean;
  /** Whether characters are folded that the bytes show. */
  readonly isFolded: boolean;
  /** Where windows of names may end, see {@link endsWindow}; `undefined` when there are too many. */
  readonly windowEnds: readonly number[] | undefined;
}

/**
 * Calls `look` with the bytes of a text that is ASCII; `undefined` for other text. The bytes are wiped afterwards: `look`
 * must not keep them, nor call a function of this file.
 */
export function withAsciiBytes<T>(text: string, look: (source: TextBytes) => T): T | undefined {
  return withBytes(text, text.length < FEWEST_TO_ENCODE ? copy : encode, look, true);
}

/** The same for any text. */
export function withCopy<T>(text: string, look: (source: TextBytes) => T): T {
  return withBytes(text, copy, look, false) as T;
}

/**
 * @param fill Writes the text; of text that is not ASCII it may write a part. Behind that it leaves zeros.
 * @param isPlain Whether `look` is for text that is ASCII without a fold.
 */
function withBytes<T>(
  text: string,
  fill: (text: string, bytes: Uint8Array) => Known,
  look: (source: TextBytes) => T,
  isPlain: boolean,
): T | undefined {
  const { length } = text;
  const isShort = length <= SHARED_SIZE;
  const bytes = isShort ? shared : new Uint8Array(length + (length & 1) + BEHIND);
  const pairs = isShort ? sharedPairs : new Uint16Array(bytes.buffer);
  try {
    const { isAscii, mayFold, isFolded, windowEnds } = fill(text, bytes);
    if (isPlain && (!isAscii || isFolded)) return undefined;
    return look({ isAscii, mayFold, isFolded, windowEnds, bytes, pairs, length });
  } finally {
    bytes.fill(0, 0, length);
  }
}

/** In pieces, because text that is not ASCII is mostly detected early. */
const PIECE = 4096;

const ASCII: Known = { isAscii: true, mayFold: false, isFolded: false, windowEnds: [] };
const NO_ASCII: Known = { isAscii: false, mayFold: true, isFolded: true, windowEnds: undefined };

function encode(text: string, bytes: Uint8Array): Known {
  const { length } = text;
  if (length <= PIECE) {
    // Into the whole buffer, which is large enough: a view of a part costs as much as the encoder.
    const { written } = encoder.encodeInto(text, bytes);
    if (written === length) return ASCII;
    bytes.fill(0, length, written);
    return NO_ASCII;
  }
  for (let from = 0; from < length; from += PIECE) {
    const end = Math.min(length, from + PIECE);
    if (!isEncoded(text.slice(from, end), bytes.subarray(from, end))) return NO_ASCII;
  }
  return ASCII;
}

/** As many bytes as code units: all are ASCII. */
function isEncoded(text: string, bytes: Uint8Array): boolean {
  const { read, written } = encoder.encodeInto(text, bytes);
  return read === bytes.length && written === bytes.length;
}

const MOST_WINDOWS = 64;
const ends = new Int32Array(MOST_WINDOWS);

function copy(text: string, bytes: Uint8Array): Known {
  // Held in a variable, because an imported binding is loaded again at each use.
  const units = codeUnits();
  const ascii = ASCII_BITS;
  const shift = WINDOW_SHIFT;
  const starts = WINDOW_STARTS;
  const last = WINDOW_ENDS;
  const most = MOST_WINDOWS;
  const places = ends;
  let traits = 0;
  let state = 0;
  let count = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = units[text.charCodeAt(index)] as number;
    bytes[index] = unit & ascii;
    traits |= unit;
    state = ((state << 1) | starts) & (unit >> shift);
    if ((state & last) !== 0 && count < most) places[count++] = index + 1;
  }
  return {
    isAscii: (traits & OTHER) === 0,
    mayFold: (traits & MAY_FOLD) !== 0,
    isFolded: (traits & FOLDED) !== 0,
    windowEnds: count < most ? Array.from(places.subarray(0, count)) : undefined,
  };
}
