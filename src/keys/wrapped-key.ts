import { fromBase64url, fromUtf8 } from '../crypto/encoding.ts';
import { StrongroomError } from '../errors.ts';
import { isObject } from '../options.ts';
import type { WrapOptions, WrappedKey } from './provider.ts';

/** `typ` of every wrapped data key: a JWE of another purpose is never accepted as one. */
const DEK_TYPE = 'sr1-dek';
/** `enc` of every wrapped data key. */
export const DEK_ENCRYPTION = 'A256GCM';

/** More than any of our providers makes: the header can hold a KMS ciphertext of 8 KiB, in base64url twice. */
const MAX_LENGTH = 16_384;

/** Bytes of a wrapped content key: 256 bits, and 8 more under AES key wrap; of RSA up to 16,384 bits. */
const MAX_ENCRYPTED_KEY = 2_048;

/**
 * Checks the form of a compact JWE before any key is used: jose itself accepts a changed last character in some
 * segments.
 *
 * @throws {@link StrongroomError} `ERR_MALFORMED`, or `ERR_UNSUPPORTED` for a header that is not that of a data
 * key.
 */
export function parseWrappedKey(text: string): WrappedKey {
  if (text.length > MAX_LENGTH) malformed('it is too long');
  const segments = text.split('.').map(fromBase64url);
  if (!areFive(segments)) malformed('it is not five segments of canonical base64url');
  let header: unknown;
  try {
    header = JSON.parse(fromUtf8(segments[0]));
  } catch {
    // The parser's message quotes the text.
    malformed('its header is not JSON in UTF-8');
  }
  if (!isObject(header)) {
    malformed('its header is not an object');
  }
  const { kid, alg, enc, typ, use } = header as Record<string, unknown>;
  if (typeof kid !== 'string' || typeof alg !== 'string') malformed('its header names no kid or alg');
  const known = typ === DEK_TYPE && enc === DEK_ENCRYPTION && (use === undefined || use === 'open');
  if (!known || 'zip' in header || 'crit' in header) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `A wrapped data key has a header that this version does not know: typ must be "${DEK_TYPE}", enc ` +
        `"${DEK_ENCRYPTION}", without zip and crit. Update strongroom, or restore the record from a backup.`,
    );
  }
  if ('apu' in header || 'apv' in header) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      'The header of a wrapped data key has apu or apv, which strongroom never writes. Restore the record from a backup.',
    );
  }
  const [, encryptedKey, nonce, ciphertext, tag] = segments;
  if (
    encryptedKey.length > MAX_ENCRYPTED_KEY ||
    nonce.length !== 12 ||
    ciphertext.length !== 32 ||
    tag.length !== 16
  ) {
    malformed('its segments do not have the sizes of a 32-byte data key under AES-256-GCM');
  }
  return { text, header: header as Record<string, unknown>, segments, kid, alg, openOnly: use === 'open' };
}

/** The fields that every wrapped data key has in its protected header. */
export function dekHeader(
  alg: string,
  kid: string,
  options: WrapOptions | undefined,
): { alg: string; enc: string; typ: string; kid: string; use?: 'open' } {
  const header = { alg, enc: DEK_ENCRYPTION, typ: DEK_TYPE, kid };
  return options?.openOnly === true ? { ...header, use: 'open' } : header;
}

function areFive(segments: readonly (Uint8Array | undefined)[]): segments is WrappedKey['segments'] {
  return segments.length === 5 && segments.every((segment) => segment !== undefined);
}

function malformed(what: string): never {
  throw new StrongroomError(
    'ERR_MALFORMED',
    `A wrapped data key is not a compact JWE: ${what}. Restore the record from a backup.`,
  );
}

/** The error of a wrapped key that its key-encryption key does not unwrap. */
export function notOpened(kid: string, cause?: unknown): never {
  throw new StrongroomError(
    'ERR_AUTHENTICATION',
    `A wrapped data key does not open with the key ${JSON.stringify(kid)}: it was changed, or the keyring holds ` +
      'another key under this kid. Check the keyring, then restore the record from a backup.',
    { cause },
  );
}
