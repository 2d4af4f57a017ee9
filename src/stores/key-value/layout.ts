import { fromUtf8, utf8 } from '../../crypto/encoding.ts';
import { StrongroomError } from '../../errors.ts';
import { digestOf } from '../../protocol/digest.ts';
import type { KeyRange } from './database.ts';

/*
 * How a store lies in one table of keys and values. A key is the name of a table and its parts, with `/` between them.
 *
 * | key                                | value                                                          |
 * |------------------------------------|----------------------------------------------------------------|
 * | `version`                          | number of this layout                                          |
 * | `session/<id>`                     | {@link SessionRow}, of sessions that were written to           |
 * | `item/<id>/<number>`               | one record, see element.ts                                     |
 * | `operation/<id>/<key>`             | digest of an operation that was applied                        |
 * | `applied/<id>/<number>`            | key of an operation, in the order in which they were applied   |
 * | `subject/<subject>/<id>`           | id of a session of this subject                                |
 * | `tree/<root>/<id>`                 | id of a session that belongs to this conversation              |
 * | `expiry/<time>/<id>`, `birth/…`    | id of a session whose records expire or were born then or later |
 * | `dek/<id>/<did>`                   | a wrapped data key, or its tombstone                           |
 * | `hold/<hold>`                      | a legal hold                                                   |
 * | `held/<id>`                        | ids of the open holds on a session                             |
 * | `lease/<name>`                     | owner and end of a lease                                       |
 */

/** Version of the layout that this file describes. Version 1 had no `tree/`. */
export const LAYOUT_VERSION = 2;

/** Longer parts of a key are replaced by their beginning and a digest, so that every key fits into every database's index. */
const MOST_PART = 200;
const KEPT_OF_PART = 150;

function part(text: string): string {
  const encoded = encodeURIComponent(text);
  if (encoded.length <= MOST_PART) return encoded;
  // No encoded text has a `=` in it.
  return `${encoded.slice(0, KEPT_OF_PART)}=${digestOf(text)}`;
}

export function keyOf(table: string, ...parts: readonly string[]): string {
  return [table, ...parts.map(part)].join('/');
}

/** All keys that begin with these parts. */
export function rangeOf(table: string, ...parts: readonly string[]): KeyRange {
  const begin = keyOf(table, ...parts);
  // `0` is the character after `/`.
  return { from: `${begin}/`, to: `${begin}0` };
}

/** The part of the range that comes after this key. */
export function after({ to }: KeyRange, key: string): KeyRange {
  // No key has a character below `!` in it.
  return { from: `${key}!`, to };
}

/** Digits of the greatest whole number of JavaScript. */
const DIGITS = 16;
/** Numbers can be negative: the replacement of the beginning of a history gets numbers before its first one. */
const MIDDLE = 2 ** 52;

/**
 * Encodes a number so that keys have its order. A time that is negative or not a whole number is moved to the next
 * valid one.
 */
function ordered(number: number): string {
  const whole = Math.min(Math.max(Math.ceil(number), 0), Number.MAX_SAFE_INTEGER);
  return String(whole).padStart(DIGITS, '0');
}

export function itemKeyOf(sessionId: string, number: number): string {
  return keyOf('item', sessionId, ordered(number + MIDDLE));
}

/** Undoes {@link itemKeyOf}. */
export function itemNumberOf(key: string): number {
  return Number(key.slice(-DIGITS)) - MIDDLE;
}

export function appliedKeyOf(sessionId: string, position: number): string {
  return keyOf('applied', sessionId, ordered(position));
}

/** The bounds that a purge uses. */
export type Bound = 'expiry' | 'birth';

export function boundKeyOf(bound: Bound, time: number, sessionId: string): string {
  return keyOf(bound, ordered(time), sessionId);
}

/** Sessions whose bound is at this time or before. */
export function dueRange(bound: Bound, time: number): KeyRange {
  return { from: `${bound}/`, to: keyOf(bound, ordered(Math.floor(time) + 1)) };
}

export function encodeJson(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value));
}

/** @throws {@link StrongroomError} `ERR_MALFORMED` for a damaged value. */
export function decodeJson(value: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(value));
  } catch {
    // The parser's message quotes the text.
    throw new StrongroomError(
      'ERR_MALFORMED',
      'A value of the database is damaged: it is not what the store wrote. Restore it from a backup.',
    );
  }
}
