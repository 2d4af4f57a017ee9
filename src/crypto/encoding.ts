import { StrongroomError } from '../errors.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

interface BufferLike extends Uint8Array<ArrayBuffer> {
  toString(encoding?: string): string;
}
interface BufferConstructorLike {
  allocUnsafe(size: number): BufferLike;
  from(source: string | ArrayBufferLike, encodingOrOffset?: string | number, length?: number): BufferLike;
}
// Present on Node and Bun; much faster than anything in JavaScript. Not imported: the core has no `node:` import.
const NodeBuffer = (globalThis as { Buffer?: BufferConstructorLike }).Buffer;

/** The bytes of a text. On Node they come from a pool of small buffers, which is twice as fast. */
export function utf8(text: string): Uint8Array {
  return NodeBuffer === undefined ? encoder.encode(text) : NodeBuffer.from(text, 'utf8');
}

/** UTF-8 cannot encode these: two texts would become equal. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether the text can be encoded in UTF-8. */
export function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text);
}

/** Uninitialized bytes, to be overwritten completely. */
export function scratch(size: number): Uint8Array<ArrayBuffer> {
  return NodeBuffer === undefined ? new Uint8Array(size) : NodeBuffer.allocUnsafe(size);
}

/** Writes an ASCII text into `target` and returns the number of bytes. */
export function writeAscii(text: string, target: Uint8Array): number {
  return encoder.encodeInto(text, target).written;
}

/** Strict UTF-8; throws `TypeError` on invalid bytes. */
export function fromUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

export function toBase64(bytes: Uint8Array): string {
  if (NodeBuffer !== undefined) {
    return NodeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  }
  let binary = '';
  for (let index = 0; index < bytes.length; index += 8_192) {
    binary += String.fromCharCode(...bytes.subarray(index, index + 8_192));
  }
  return btoa(binary);
}

/** The bytes, or `undefined` when `text` is not exactly the result of {@link toBase64}. */
export function fromBase64(text: string): Uint8Array | undefined {
  const bytes = decodeBase64(text);
  // A copy: items hold plain `Uint8Array`s, never a `Buffer` or a view into its pool.
  return bytes !== undefined && toBase64(bytes) === text ? new Uint8Array(bytes) : undefined;
}

export function toBase64url(bytes: Uint8Array): string {
  if (NodeBuffer !== undefined) {
    return NodeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
  }
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** The bytes, or `undefined` when `text` is not the canonical base64url of any (RFC 4648 section 5, unpadded). */
export function fromBase64url(text: string): Uint8Array | undefined {
  const bytes =
    NodeBuffer === undefined ? decodeBase64(fromUrlAlphabet(text)) : NodeBuffer.from(text, 'base64url');
  return bytes !== undefined && toBase64url(bytes) === text ? bytes : undefined;
}

function fromUrlAlphabet(text: string): string {
  return text
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .padEnd(Math.ceil(text.length / 4) * 4, '=');
}

function decodeBase64(text: string): Uint8Array | undefined {
  if (NodeBuffer !== undefined) return NodeBuffer.from(text, 'base64');
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** A whole number as 64 bits, little endian, top bit clear (PASETO's `LE64`). */
export function le64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  putLe64(bytes, 0, value);
  return bytes;
}

/** Writes {@link le64} of `value` into `target`. */
export function putLe64(target: Uint8Array, offset: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      'A length or index must be a whole number of at least 0.',
    );
  }
  let rest = value;
  for (let index = offset; index < offset + 8; index++) {
    target[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

/** {@link pae} in pieces, for a hash. */
export function paePieces(...pieces: readonly (string | Uint8Array)[]): readonly Uint8Array[] {
  const parts = [le64(pieces.length)];
  for (const piece of pieces) {
    const bytes = typeof piece === 'string' ? utf8(piece) : piece;
    parts.push(le64(bytes.length), bytes);
  }
  return parts;
}

/** PASETO's pre-authentication encoding: the count, then each piece after its length. */
export function pae(...pieces: readonly (string | Uint8Array)[]): Uint8Array {
  const parts = paePieces(...pieces);
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/**
 * {@link pae} of these pieces and one more of `length` bytes, without the bytes of that last piece, which can be
 * long.
 */
export function paeBefore(length: number, ...pieces: readonly (string | Uint8Array)[]): Uint8Array {
  const out = pae(...pieces, '');
  putLe64(out, out.length - 8, length);
  return out;
}
