import { boundedMap } from '../../bounded-map.ts';
import { toBase64url, utf8 } from '../../crypto/encoding.ts';
import { sha256 } from '../../crypto/hash.ts';
import { isStrongroomError, StrongroomError, type ErrorCode } from '../../errors.ts';
import { isWithin } from './opened-keys.ts';

/** For how long a wrapped key that did not open is not tried again, in milliseconds of the stack's clock. */
const REFUSED_FOR = 10_000;
/**
 * Errors that depend only on the bytes of the wrapped key and on its key-encryption key. States of keys, of stores
 * and of services change, so errors about them are never remembered.
 */
const LASTING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_AUTHENTICATION',
  'ERR_COMMITMENT',
  'ERR_MALFORMED',
  'ERR_UNSUPPORTED',
]);

/** Not the error itself: its stack and its causes are many times as large. */
interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly at: number;
}

/** Wrapped keys that recently did not open: a writer of the database must not control how often a KMS is called. */
export interface Refusals {
  /** Runs `open`, or throws its recent error for the same key and the same wrapped form. */
  unless<T>(name: string, wrapped: string, now: number, open: () => Promise<T>): Promise<T>;
}

/**
 * @param max How many are remembered, about 300 bytes each. It must be at least the number that one read can find:
 * else that read would evict the first ones before it ends, and the next read would try all of them again.
 */
export function createRefusals(max: number): Refusals {
  const refusals = boundedMap<Refusal>(max);
  return {
    async unless(name, wrapped, now, open) {
      // A digest: the writer of the text controls its length.
      const digest = toBase64url(sha256(utf8(`${name} ${wrapped}`)));
      const known = refusals.get(digest);
      if (known !== undefined && isWithin(now - known.at, REFUSED_FOR)) {
        throw new StrongroomError(known.code, known.message);
      }
      try {
        return await open();
      } catch (error) {
        if (isStrongroomError(error) && LASTING.has(error.code)) {
          refusals.set(digest, { code: error.code, message: error.message, at: now });
        }
        throw error;
      }
    },
  };
}
