import type { JWK } from 'jose';
import { fromBase64url, fromUtf8 } from '../crypto/encoding.ts';
import { StrongroomError } from '../errors.ts';
import { checkPlainObject, isObject } from '../options.ts';

/** The JWE algorithms that wrap data keys (RFC 7518 section 4). */
export type KeyAlgorithm = 'A256KW' | 'A256GCMKW' | 'ECDH-ES+A256KW' | 'RSA-OAEP-256' | 'PBES2-HS512+A256KW';

export const KEY_ALGORITHMS: readonly KeyAlgorithm[] = [
  'A256KW',
  'A256GCMKW',
  'ECDH-ES+A256KW',
  'RSA-OAEP-256',
  'PBES2-HS512+A256KW',
];

/** A JWK whose members were checked and copied. */
export interface CheckedJwk {
  readonly kid: string;
  readonly alg: KeyAlgorithm;
  /** The key for wrapping: the public half of an asymmetric key, else the key. */
  readonly sealing: JWK;
  /** The key for unwrapping; `undefined` when only the public half was given. */
  readonly opening: JWK | undefined;
  /** Iterations of a password, else 0. */
  readonly iterations: number;
}

/** OWASP's floor for PBKDF2 with HMAC-SHA-512 (Password Storage Cheat Sheet, 2023). */
export const MIN_PASSWORD_ITERATIONS = 210_000;
/** The largest count in a JWK. A wrapped key may have at most the count of the JWK. */
export const MAX_PASSWORD_ITERATIONS = 10_000_000;
/** For a password that is the only factor: NIST SP 800-63B-4 section 3.1.1.2; the OWASP Authentication Cheat Sheet says the same. */
const MIN_PASSWORD_LENGTH = 15;

/** A command that makes a key, for messages. */
const KEYGEN =
  'node --input-type=module -e "console.log(JSON.stringify(await (await import(\'strongroom\')).generateKey()))"';

const COORDINATE_BYTES: Readonly<Record<string, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66 };
const RSA_PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const;
const KID = /^[\x20-\x7e]{1,128}$/;

/** Whether a value is a valid `kid`. */
export function isKid(value: unknown): value is string {
  return typeof value === 'string' && KID.test(value);
}

/**
 * Checks and copies a JWK, once and at construction: an unusable key is refused before the first message.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. The message names members, never their values.
 */
export function checkJwk(where: string, given: unknown): CheckedJwk {
  if (!isObject(given)) {
    invalid(where, `is not a JWK object. Make one with generateKey(), for example: ${KEYGEN}`);
  }
  checkPlainObject(where, 'the key', 'a JWK object', given);
  const jwk = { ...(given as Record<string, unknown>) };
  const { kid, alg } = jwk;
  if (!isKid(kid)) invalid(where, 'needs a kid of 1 to 128 printable ASCII characters');
  if (!(KEY_ALGORITHMS as readonly unknown[]).includes(alg)) {
    invalid(where, `needs an alg of ${KEY_ALGORITHMS.join(', ')}`);
  }
  if (jwk['use'] !== undefined && jwk['use'] !== 'enc') invalid(where, 'is not for encryption (its use)');
  return { kid, ...CHECKS[alg as KeyAlgorithm](where, jwk, alg as KeyAlgorithm) };
}

type Members = Record<string, unknown>;
type Check = (where: string, jwk: Members, alg: KeyAlgorithm) => Omit<CheckedJwk, 'kid'>;

const CHECKS: Readonly<Record<KeyAlgorithm, Check>> = {
  A256KW: checkSecret,
  A256GCMKW: checkSecret,
  'PBES2-HS512+A256KW': checkPassword,
  'ECDH-ES+A256KW': checkCurveKey,
  'RSA-OAEP-256': checkRsaKey,
};

function checkSecret(where: string, jwk: Members, alg: KeyAlgorithm): Omit<CheckedJwk, 'kid'> {
  if (jwk['kty'] !== 'oct') invalid(where, `has alg ${alg}, so its kty must be "oct"`);
  if (bytes(where, jwk, 'k').length !== 32) invalid(where, 'needs a k of exactly 32 bytes');
  const key = copy(jwk, ['kty', 'k', 'alg', 'kid']);
  return { alg, sealing: key, opening: key, iterations: 0 };
}

function checkPassword(where: string, jwk: Members, alg: KeyAlgorithm): Omit<CheckedJwk, 'kid'> {
  if (jwk['kty'] !== 'oct') invalid(where, `has alg ${alg}, so its kty must be "oct"`);
  if (passwordLength(bytes(where, jwk, 'k')) < MIN_PASSWORD_LENGTH) {
    invalid(
      where,
      `needs a password (k) of at least ${MIN_PASSWORD_LENGTH} characters, the minimum of NIST SP 800-63B for a password that is the only ` +
        'protection. Use at least six random words, or a random key of generateKey()',
    );
  }
  const iterations = jwk['p2c'] ?? MIN_PASSWORD_ITERATIONS;
  if (!isIterationCount(iterations)) {
    invalid(where, `needs a p2c of ${MIN_PASSWORD_ITERATIONS} to ${MAX_PASSWORD_ITERATIONS} iterations`);
  }
  const key = copy(jwk, ['kty', 'k', 'alg', 'kid']);
  return { alg, sealing: key, opening: key, iterations };
}

/** Whether the ephemeral public key of a wrapped key is one of the curve of this key, and nothing more. */
export function isEphemeralKey(value: unknown, { kty, crv }: JWK): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const members = value as Members;
  const coordinates = kty === 'EC' ? ['x', 'y'] : ['x'];
  const size = kty === 'EC' ? COORDINATE_BYTES[String(crv)] : 32;
  return (
    Object.keys(members).length === 2 + coordinates.length &&
    members['kty'] === kty &&
    members['crv'] === crv &&
    coordinates.every((name) => {
      const text = members[name];
      return typeof text === 'string' && text.length <= 88 && fromBase64url(text)?.length === size;
    })
  );
}

/** Code points, as NIST counts; bytes where it is not text. */
function passwordLength(password: Uint8Array): number {
  try {
    return Array.from(fromUtf8(password)).length;
  } catch {
    return password.length;
  }
}

/** Whether a count of iterations is neither too weak nor so large that it blocks the process. */
export function isIterationCount(value: unknown): value is number {
  return (
    Number.isSafeInteger(value) &&
    (value as number) >= MIN_PASSWORD_ITERATIONS &&
    (value as number) <= MAX_PASSWORD_ITERATIONS
  );
}

function checkCurveKey(where: string, jwk: Members, alg: KeyAlgorithm): Omit<CheckedJwk, 'kid'> {
  const { kty, crv } = jwk;
  const publicMembers = kty === 'EC' ? ['x', 'y'] : ['x'];
  const size = kty === 'EC' ? COORDINATE_BYTES[String(crv)] : crv === 'X25519' ? 32 : undefined;
  if ((kty !== 'EC' && kty !== 'OKP') || size === undefined) {
    invalid(where, `has alg ${alg}, so it must be EC on P-256, P-384 or P-521, or OKP on X25519`);
  }
  for (const member of jwk['d'] === undefined ? publicMembers : [...publicMembers, 'd']) {
    if (bytes(where, jwk, member).length !== size) {
      invalid(where, `needs a ${member} of exactly ${size} bytes`);
    }
  }
  return { alg, ...halves(jwk, ['kty', 'crv', ...publicMembers, 'kid'], ['d']), iterations: 0 };
}

function checkRsaKey(where: string, jwk: Members, alg: KeyAlgorithm): Omit<CheckedJwk, 'kid'> {
  if (jwk['kty'] !== 'RSA') invalid(where, `has alg ${alg}, so its kty must be "RSA"`);
  const modulus = bytes(where, jwk, 'n');
  bytes(where, jwk, 'e');
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < 2_048) invalid(where, `needs a modulus of at least 2048 bits, has ${bits}`);
  if (jwk['oth'] !== undefined) invalid(where, 'has more than two primes (oth), which is not supported');
  if (jwk['d'] !== undefined) for (const member of RSA_PRIVATE) bytes(where, jwk, member);
  return { alg, ...halves(jwk, ['kty', 'n', 'e', 'kid'], RSA_PRIVATE), iterations: 0 };
}

/** jose refuses to encrypt to a private JWK, so the public half is copied member by member. */
function halves(
  jwk: Members,
  publicMembers: readonly string[],
  privateMembers: readonly string[],
): { sealing: JWK; opening: JWK | undefined } {
  return {
    sealing: copy(jwk, publicMembers),
    opening: jwk['d'] === undefined ? undefined : copy(jwk, [...publicMembers, ...privateMembers]),
  };
}

function copy(jwk: Members, members: readonly string[]): JWK {
  return Object.fromEntries(members.map((member) => [member, jwk[member]]));
}

function bytes(where: string, jwk: Members, member: string): Uint8Array {
  const value = jwk[member];
  const decoded = typeof value === 'string' ? fromBase64url(value) : undefined;
  if (decoded === undefined || decoded.length === 0)
    invalid(where, `needs a ${member} in canonical base64url`);
  return decoded;
}

function invalid(where: string, rule: string): never {
  throw new StrongroomError('ERR_INVALID_OPTION', `${where} ${rule}.`);
}
