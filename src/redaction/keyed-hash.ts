import { fromBase64url, pae } from '../crypto/encoding.ts';
import { hmacSha256 } from '../crypto/mac.ts';
import { invalidOption } from '../options.ts';
import { latePattern } from './late.ts';

const NO_DIAL = latePattern(String.raw`[^\p{Nd}+]`, 'gu');
/** The scheme, the user and the host of a URL (RFC 3986, appendix B); each can be absent. */
const AUTHORITY = /^([a-z][a-z0-9+.-]*:\/\/)?([^/?#@]*@)?([^/?#]*)/i;
const NO_CHARACTER = latePattern(String.raw`[^\p{L}\p{Nd}]`, 'gu');

/** A secret of at least 16 bytes: the bytes, or an `oct` JWK as `generateKey()` makes it. */
export type HashKey = Uint8Array | { readonly kty: 'oct'; readonly k: string };

const FEWEST_BYTES = 16;

/** The bytes of a key, copied. Throws `ERR_INVALID_OPTION`. */
export function parseHashKey(where: string, option: string, key: unknown): Uint8Array {
  const rule =
    'a Uint8Array of at least 16 bytes or an oct JWK (generateKey() makes one); a password or an unkeyed hash ' +
    'can be reversed by trying all values';
  let bytes: Uint8Array | undefined;
  if (key instanceof Uint8Array) bytes = new Uint8Array(key);
  else if (typeof key === 'object' && key !== null) {
    const { kty, k } = key as { kty?: unknown; k?: unknown };
    if (kty === 'oct' && typeof k === 'string') bytes = fromBase64url(k);
  }
  if (bytes === undefined || bytes.length < FEWEST_BYTES) return invalidOption(where, option, rule, key);
  return bytes;
}

/** HMAC-SHA-256 over a purpose, the entity and the value in its one canonical form. */
export function keyedHash(key: Uint8Array, purpose: string, entityType: string, value: string): Uint8Array {
  const mac = hmacSha256(key);
  const hash = mac(pae(purpose, entityType, canonicalValue(entityType, value)));
  mac.wipe();
  return hash;
}

/** Entities of which a value that differs in one character is another one. */
export const SECRETS: ReadonlySet<string> = new Set([
  'PASSWORD',
  'PASSWORD_IN_URL',
  'API_KEY',
  'JWT',
  'PRIVATE_KEY',
]);

/** One canonical form for all notations of a value, so that it has one hash and one token. */
export function canonicalValue(entityType: string, value: string): string {
  if (SECRETS.has(entityType)) return value;
  const folded = value.normalize('NFKC').trim();
  switch (entityType) {
    case 'EMAIL_ADDRESS':
      return folded.toLowerCase();
    case 'URL':
      // RFC 3986, 6.2.2.1: of a URL only the scheme and the host have no case.
      return folded.replace(
        AUTHORITY,
        (_, scheme = '', user = '', host = '') =>
          `${(scheme as string).toLowerCase()}${user as string}${(host as string).toLowerCase()}`,
      );
    case 'PHONE_NUMBER':
      return folded.replace(NO_DIAL(), '');
    case 'CREDIT_CARD':
    case 'US_SSN':
    case 'US_ITIN':
    case 'UK_NHS':
    case 'DE_TAX_ID':
    case 'PL_PESEL':
    case 'IN_AADHAAR':
    case 'AU_TFN':
      return folded.replace(/\P{Nd}/gu, '');
    case 'IBAN_CODE':
    case 'UK_NINO':
    case 'ES_NIF':
    case 'ES_NIE':
    case 'IT_FISCAL_CODE':
      return folded.replace(NO_CHARACTER(), '').toUpperCase();
    case 'IP_ADDRESS':
    case 'MAC_ADDRESS':
      return folded.toLowerCase().replaceAll('-', ':');
    default:
      return folded;
  }
}
