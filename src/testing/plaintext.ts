import { AssertionError } from 'node:assert';
import { utf8 } from '../crypto/encoding.ts';

/** Options of the search for plaintext, see {@link assertNoPlaintext}. */
export interface PlaintextOptions {
  /**
   * The stored data of the same stack for the same session ids with other text. Bytes that are also in the control
   * are structure of the store (column names, the carrier), not plaintext. Same forms as `stored`.
   */
  readonly control?: string | Uint8Array;
}

/** A shorter match can be coincidence or structure. */
const WINDOW = 12;

/**
 * Asserts that the data of a store contains no plaintext of the inputs: no run of 12 bytes of any of their strings
 * (object keys included, as they are and as JSON escapes them) occurs in it, as it is or in Base64 (both alphabets,
 * whatever the alignment), unless the control holds it too. Exact, and linear in the sizes.
 *
 * @param stored The bytes of the database file, or the JSON of all records.
 * @param inputs Items, texts or anything made of them.
 *
 * @throws `AssertionError` that says where, without quoting the text.
 *
 * @example
 * ```ts
 * import { assertNoPlaintext } from 'strongroom/testing';
 *
 * const inputs = [{ role: 'user', content: 'My code is 4471-9902' }];
 * assertNoPlaintext('sr1.eyJzIjoiWEMyMFAifQ.q1w2e3', inputs);
 * ```
 */
export function assertNoPlaintext(
  stored: string | Uint8Array,
  inputs: readonly unknown[],
  options: PlaintextOptions = {},
): void {
  const texts = inputs.flatMap((input, index) => stringsOf(input).map((text) => ({ text, index })));
  const windows = indexWindows(texts.map(({ text }) => utf8(text)));
  if (windows.count === 0) {
    fail(
      'assertNoPlaintext needs inputs of at least 12 bytes, otherwise it would prove nothing.',
      assertNoPlaintext,
    );
  }
  const allowed = new Uint8Array(windows.bytes.length);
  if (options.control !== undefined) {
    for (const { bytes } of readings(toBytes(options.control))) {
      windows.scan(bytes, (position) => {
        allowed[position] = 1;
        return false;
      });
    }
  }
  for (const { bytes, how } of readings(toBytes(stored))) {
    windows.scan(bytes, (position, at) => {
      if (allowed[position] === 1) return false;
      const source = texts[windows.owner(position)];
      return fail(
        `Plaintext in the store: ${how}, at byte ${at} of that reading, from input ${source?.index ?? '?'}.`,
        assertNoPlaintext,
      );
    });
  }
}

function fail(message: string, stackStartFn: (...args: never[]) => unknown): never {
  throw new AssertionError({ message, stackStartFn });
}

/** All strings and keys inside a value, each as it is and as JSON escapes it. */
function stringsOf(value: unknown): string[] {
  if (typeof value === 'string') {
    const escaped = JSON.stringify(value).slice(1, -1);
    return escaped === value ? [value] : [value, escaped];
  }
  if (typeof value !== 'object' || value === null) return [];
  if (value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([key, child]) =>
    Array.isArray(value) ? stringsOf(child) : [...stringsOf(key), ...stringsOf(child)],
  );
}

interface WindowIndex {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Calls `found` for each place in `haystack` that equals a window, until it returns `true`. */
  scan(haystack: Uint8Array, found: (position: number, at: number) => boolean): void;
  /** Which text a position belongs to. */
  owner(position: number): number;
}

/** An open-addressing table over all windows: exact, and without a string object a window. */
function indexWindows(texts: readonly Uint8Array[]): WindowIndex {
  const usable = texts.map((text) => (text.length < WINDOW ? new Uint8Array(0) : text));
  const starts: number[] = [];
  let total = 0;
  for (const text of usable) {
    starts.push(total);
    total += text.length;
  }
  const bytes = new Uint8Array(total);
  usable.forEach((text, index) => bytes.set(text, starts[index]));
  let size = 1_024;
  while (size < total * 2) size *= 2;
  const slots = new Int32Array(size).fill(-1);
  const mask = size - 1;

  /** The position of an equal window, or the bitwise complement of the free slot. */
  const find = (source: Uint8Array, at: number): number => {
    let slot = hashWindow(source, at) & mask;
    for (;;) {
      const position = slots[slot] as number;
      if (position < 0) return ~slot;
      if (equalWindows(bytes, position, source, at)) return position;
      slot = (slot + 1) & mask;
    }
  };

  let count = 0;
  usable.forEach((text, index) => {
    for (let offset = 0; offset + WINDOW <= text.length; offset++) {
      const position = (starts[index] as number) + offset;
      const slot = find(bytes, position);
      if (slot < 0) {
        slots[~slot] = position;
        count++;
      }
    }
  });

  return {
    bytes,
    count,
    scan: (haystack, found) => {
      for (let at = 0; at + WINDOW <= haystack.length; at++) {
        const position = find(haystack, at);
        if (position >= 0 && found(position, at)) return;
      }
    },
    owner: (position) => starts.findLastIndex((start) => start <= position),
  };
}

/** FNV-1a over one window. */
function hashWindow(bytes: Uint8Array, at: number): number {
  let hash = 0x811c9dc5;
  for (let index = at; index < at + WINDOW; index++) {
    hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193);
  }
  return hash ^ (hash >>> 15);
}

function equalWindows(left: Uint8Array, leftAt: number, right: Uint8Array, rightAt: number): boolean {
  for (let index = 0; index < WINDOW; index++) {
    if (left[leftAt + index] !== right[rightAt + index]) return false;
  }
  return true;
}

/** The bytes themselves, and their Base64 decodings from each of the four offsets of a group. */
function* readings(stored: Uint8Array): Generator<{ readonly bytes: Uint8Array; readonly how: string }> {
  yield { bytes: stored, how: 'as it is' };
  for (let phase = 0; phase < 4; phase++) {
    yield { bytes: decodeRuns(stored, phase), how: `in Base64 (phase ${phase})` };
  }
}

/** Decodes each run of Base64 characters from its `phase`-th character on; runs are kept apart by a zero byte. */
function decodeRuns(stored: Uint8Array, phase: number): Uint8Array {
  const out = new Uint8Array(stored.length + 8);
  let length = 0;
  let group = 0;
  let held = 0;
  let skip = phase;
  const endRun = (): void => {
    if (held >= 2) out[length++] = (group >>> (held === 2 ? 4 : 10)) & 255;
    if (held === 3) out[length++] = (group >>> 2) & 255;
    if (held > 0 || skip !== phase) out[length++] = 0;
    group = held = 0;
    skip = phase;
  };
  for (const byte of stored) {
    const value = SEXTETS[byte] as number;
    if (value === 255) {
      endRun();
      continue;
    }
    if (skip > 0) {
      skip--;
      continue;
    }
    group = (group << 6) | value;
    if (++held === 4) {
      out[length++] = group >>> 16;
      out[length++] = (group >>> 8) & 255;
      out[length++] = group & 255;
      group = held = 0;
    }
  }
  endRun();
  return out.subarray(0, length);
}

const SEXTETS = new Uint8Array(256).fill(255);
'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.split('').forEach((character, value) => {
  SEXTETS[character.charCodeAt(0)] = value;
});
SEXTETS['-'.charCodeAt(0)] = 62;
SEXTETS['_'.charCodeAt(0)] = 63;

function toBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? utf8(value) : value;
}
