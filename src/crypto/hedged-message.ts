import { pae, putLe64, writeAscii } from './encoding.ts';

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
const random = buffer.subarray(RANDOM_AT, RANDOM_AT + RANDOM_BYTES);

/**
 * `PAE("hedged", 32 fresh random bytes, header segment, plaintext)` in two pieces; the next call overwrites the
 * first. The nonce of an entry without an operation is a MAC of this message.
 */
export function hedgedMessage(
  headerSegment: string,
  plaintext: Uint8Array,
): readonly [Uint8Array, Uint8Array] {
  if (headerSegment.length > MAX_SEGMENT) throw new RangeError('A header segment is too long.');
  globalThis.crypto.getRandomValues(random);
  const written = writeAscii(headerSegment, buffer.subarray(HEADER_AT));
  putLe64(buffer, HEADER_AT - 8, written);
  putLe64(buffer, HEADER_AT + written, plaintext.length);
  return [buffer.subarray(0, HEADER_AT + written + 8), plaintext];
}
