import { isWellFormed, utf8 } from './crypto/encoding.ts';
import { StrongroomError } from './errors.ts';
import { invalidOption } from './options.ts';

/**
 * The largest length of each text in UTF-8 bytes. The limits are the same for all databases, and a longer text is
 * refused before it is sent: a database could truncate it.
 */
export const MAX_BYTES = {
  sessionId: 512,
  subject: 512,
  holdId: 512,
  /** Why a hold was placed. */
  reason: 65_535,
  /** Who placed or released a hold. */
  by: 512,
  did: 64,
  kid: 255,
  /** A data key as a compact JWE. */
  wrapped: 65_535,
  /** Of a lease: `session ` and a session id, or `job ` and a name. */
  lease: 520,
  owner: 64,
} as const;

/**
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Every database stores and finds an accepted text unchanged.
 */
export function checkText(
  where: string,
  what: string,
  value: unknown,
  most: number,
): asserts value is string {
  if (typeof value !== 'string' || value === '') invalidOption(where, what, 'a non-empty string', value);
  if (value.includes('\0') || !isWellFormed(value)) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: ${what} must be well-formed text without the character U+0000.`,
    );
  }
  // No character has more than three bytes for each of its UTF-16 units.
  const bytes = value.length * 3 <= most ? 0 : utf8(value).length;
  if (bytes > most) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: ${what} must have at most ${most} bytes in UTF-8, it has ${bytes}.`,
    );
  }
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION`. */
export function checkSessionId(where: string, id: unknown): asserts id is string {
  checkText(where, 'the session id', id, MAX_BYTES.sessionId);
}
