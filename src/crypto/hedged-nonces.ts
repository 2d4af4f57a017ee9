import { NONCE_BYTES } from './aead.ts';
import { pae, putLe64, writeAscii } from './encoding.ts';
import type { Mac } from './mac.ts';

/** Longest header segment: 1,024 bytes in base64url. */
export const MAX_SEGMENT = 1_366;

/** An entry before it is sealed. */
export interface Unsealed {
  readonly headerSegment: string;
  readonly plaintext: Uint8Array;
}

/** At most so many entries share a MAC: the last byte of their nonces tells them apart. */
export const MOST_ENTRIES = 16;
/** Entries share a MAC until they have so many bytes of plaintext: a longer message is copied more than it spares. */
export const ENOUGH_BYTES = 8_192;

const RANDOM_BYTES = 32;
/** Of the PAE, before the random bytes; the number of its pieces and their length are written over it. */
const BEGINNING = pae('hedged', '');
const RANDOM_AT = BEGINNING.length;
const ENTRIES_AT = RANDOM_AT + RANDOM_BYTES;

// Shared by all writes: calls are synchronous and do not nest.
const buffer = new Uint8Array(ENTRIES_AT + MOST_ENTRIES * (8 + MAX_SEGMENT + 8) + ENOUGH_BYTES);
buffer.set(BEGINNING);
putLe64(buffer, RANDOM_AT - 8, RANDOM_BYTES);
const random = buffer.subarray(RANDOM_AT, ENTRIES_AT);

/**
 * The nonces of entries without an operation that are sealed together: the first 24 bytes of a MAC of
 * `PAE("hedged", 32 fresh random bytes, header segment, plaintext, header segment, plaintext, …)`, with the index of the
 * entry in the last byte (XOR). A random generator that repeats itself, as in two clones of a process, repeats a MAC for
 * the same entries only, which are then sealed to the same bytes (SPEC.md, 3.2).
 *
 * @param entries At most {@link MOST_ENTRIES}, of which all but the last have fewer than {@link ENOUGH_BYTES} together.
 */
export function hedgedNonces(mac: Mac, entries: readonly Unsealed[]): readonly Uint8Array[] {
  putLe64(buffer, 0, 2 + 2 * entries.length);
  globalThis.crypto.getRandomValues(random);
  let end = ENTRIES_AT;
  let headerAt = 0;
  let headerEnd = 0;
  let lastSegment: string | undefined;
  for (const [index, { headerSegment, plaintext }] of entries.entries()) {
    if (headerSegment.length > MAX_SEGMENT) throw new RangeError('A header segment is too long.');
    if (headerSegment === lastSegment) {
      // Entries of one write have one header.
      buffer.copyWithin(end, headerAt, headerEnd);
      end += headerEnd - headerAt;
    } else {
      headerAt = end;
      putLe64(buffer, end, headerSegment.length);
      end += 8 + writeAscii(headerSegment, buffer.subarray(end + 8));
      headerEnd = end;
      lastSegment = headerSegment;
    }
    putLe64(buffer, end, plaintext.length);
    end += 8;
    // The last plaintext, which may be long, is not copied.
    if (index === entries.length - 1) break;
    buffer.set(plaintext, end);
    end += plaintext.length;
  }
  const digest = mac(buffer.subarray(0, end), (entries[entries.length - 1] as Unsealed).plaintext);
  buffer.fill(0, RANDOM_AT, end);
  return entries.map((_, index) => {
    const nonce = digest.slice(0, NONCE_BYTES);
    nonce[NONCE_BYTES - 1] = (nonce[NONCE_BYTES - 1] as number) ^ index;
    return nonce;
  });
}
