import { pae, putLe64, writeAscii } from './encoding.ts';
import { randomScratch } from './random.ts';

/** Longest header segment: 1,024 bytes in base64url. */
export const MAX_SEGMENT = 1_366;

const RANDOM_BYTES = 32;
const LABEL = pae('hedged', '', '', '').slice(0, 8 + 8 + 'hedged'.length);
const RANDOM_AT = LABEL.length + 8;
const HEADER_AT = RANDOM_AT + RANDOM_BYTES + 8;

// Shared by all entries, so that its constant parts are written once; calls are synchronous and do not nest.
const buffer = new Uint8Array(HEADER_AT + MAX_SEGMENT + 8);
buffer.set(LABEL);
putLe64(buffer, LABEL.length, RANDOM_BYTES);
let lastSegment: string | undefined;
let lastEnd = HEADER_AT;
const random = buffer.subarray(RANDOM_AT, RANDOM_AT + RANDOM_BYTES);

/**
 * `PAE("hedged", 32 fresh random bytes, header segment, plaintext)` in two pieces; the next call overwrites the
 * first. The nonce of an entry without an operation is a MAC of this message.
 *
 * @param drawn The random bytes, of {@link createDraws}, which are overwritten. By default they are drawn here.
 */
export function hedgedMessage(
  headerSegment: string,
  plaintext: Uint8Array,
  drawn?: Uint8Array,
): readonly [Uint8Array, Uint8Array] {
  if (headerSegment.length > MAX_SEGMENT) throw new RangeError('A header segment is too long.');
  if (drawn === undefined) globalThis.crypto.getRandomValues(random);
  else {
    random.set(drawn);
    drawn.fill(0);
  }
  // Entries of one write have one header.
  if (headerSegment !== lastSegment) {
    lastEnd = HEADER_AT + writeAscii(headerSegment, buffer.subarray(HEADER_AT));
    putLe64(buffer, HEADER_AT - 8, lastEnd - HEADER_AT);
    lastSegment = headerSegment;
  }
  putLe64(buffer, lastEnd, plaintext.length);
  return [buffer.subarray(0, lastEnd + 8), plaintext];
}

/** How many entries share one call of the system's generator, which takes a quarter of the time of a seal. */
const AT_ONCE = 16;

/**
 * The random bytes for the entries of one write, 32 for each, drawn for some of them at once. Remaining bytes are
 * not used for anything else.
 *
 * @param count How many entries there are.
 */
export function createDraws(count: number): () => Uint8Array {
  let left = count;
  let drawn: Uint8Array = new Uint8Array(0);
  let next = 0;
  return () => {
    if (next === drawn.length) {
      drawn = randomScratch(RANDOM_BYTES * Math.max(Math.min(left, AT_ONCE), 1));
      next = 0;
    }
    left--;
    next += RANDOM_BYTES;
    return drawn.subarray(next - RANDOM_BYTES, next);
  };
}
