const encoder = new TextEncoder();
const SHARED_SIZE = 1 << 16;
const BEHIND = 8;
const shared = new Uint8Array(SHARED_SIZE + BEHIND);
const sharedPairs = new Uint16Array(shared.buffer);
/** For fewer code units the encoder costs more than it saves. */
const FEWEST_TO_ENCODE = 48;

/**
 * A text as one byte a code unit: ASCII as it is, 0 for every other code unit, and zeros behind the last. Reading bytes
 * takes half the time of reading code units.
 */
export interface TextBytes {
  readonly text: string;
  readonly bytes: Uint8Array;
  /** The same bytes by two. */
  readonly pairs: Uint16Array;
  readonly length: number;
  readonly isAscii: boolean;
}

/**
 * Calls `look` with the bytes of a text that is ASCII; `undefined` for other text. The bytes are wiped afterwards: `look`
 * must not keep them, nor call a function of this file.
 */
export function withAsciiBytes<T>(text: string, look: (source: TextBytes) => T): T | undefined {
  const fill = text.length < FEWEST_TO_ENCODE ? copy : encode;
  return withBytes(text, fill, (source) => (source.isAscii ? look(source) : undefined));
}

/** The same for any text. */
export function withCopy<T>(text: string, look: (source: TextBytes) => T): T {
  return withBytes(text, copy, look);
}

/** @param fill Writes the text and tells whether it is ASCII; of other text it may write a part. */
function withBytes<T>(
  text: string,
  fill: (text: string, bytes: Uint8Array) => boolean,
  look: (source: TextBytes) => T,
): T {
  const { length } = text;
  const isShort = length <= SHARED_SIZE;
  const bytes = isShort ? shared : new Uint8Array(length + (length & 1) + BEHIND);
  const pairs = isShort ? sharedPairs : new Uint16Array(bytes.buffer);
  try {
    const isAscii = fill(text, bytes);
    bytes.fill(0, length, length + BEHIND);
    return look({ text, bytes, pairs, length, isAscii });
  } finally {
    bytes.fill(0, 0, length);
  }
}

/** In pieces, because what is no ASCII is mostly seen early. */
const PIECE = 4096;

function encode(text: string, bytes: Uint8Array): boolean {
  const { length } = text;
  if (length <= PIECE) return isEncoded(text, bytes.subarray(0, length));
  for (let from = 0; from < length; from += PIECE) {
    const end = Math.min(length, from + PIECE);
    if (!isEncoded(text.slice(from, end), bytes.subarray(from, end))) return false;
  }
  return true;
}

/** As many bytes as code units: all are ASCII. */
function isEncoded(text: string, bytes: Uint8Array): boolean {
  const { read, written } = encoder.encodeInto(text, bytes);
  return read === bytes.length && written === bytes.length;
}

function copy(text: string, bytes: Uint8Array): boolean {
  let all = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    all |= code;
    bytes[index] = code < 0x80 ? code : 0;
  }
  return all < 0x80;
}
