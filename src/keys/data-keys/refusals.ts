import { boundedMap } from '../../bounded-map.ts';
import { toBase64url, utf8 } from '../../crypto/encoding.ts';
import { sha256 } from '../../crypto/hash.ts';
import { isStrongroomError, StrongroomError, type ErrorCode } from '../../errors.ts';
import { isWithin } from './opened-keys.ts';

/** How long a wrapped key that did not open is not tried again, in milliseconds of the stack's clock. */
export const REFUSED_FOR = 10_000;
/** How many of them are remembered, about 200 bytes each. */
const MAX_REFUSALS = 1_000;

/**
 * What only the bytes of the wrapped key and its key-encryption key decide. States of keys, of stores and of services
 * change, so an error that speaks of them is never remembered.
 */
const LASTING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_AUTHENTICATION',
  'ERR_COMMITMENT',
  'ERR_MALFORMED',
  'ERR_UNSUPPORTED',
]);

/** Wrapped keys that did not open a moment ago: who writes rows to the database must not choose how often a KMS is asked. */
export interface Refusals {
  /** Runs `open`, or throws what it threw for the same key and the same wrapped form a moment ago. */
  unless<T>(name: string, wrapped: string, now: number, open: () => Promise<T>): Promise<T>;
}

export function createRefusals(): Refusals {
  const refusals = boundedMap<{ readonly error: StrongroomError; readonly at: number }>(MAX_REFUSALS);
  return {
    async unless(name, wrapped, now, open) {
      // A digest: the text is as long as its writer wants.
      const digest = toBase64url(sha256(utf8(`${name} ${wrapped}`)));
      const known = refusals.get(digest);
      if (known !== undefined && isWithin(now - known.at, REFUSED_FOR)) {
        throw new StrongroomError(known.error.code, known.error.message, { cause: known.error });
      }
      try {
        return await open();
      } catch (error) {
        if (isStrongroomError(error) && LASTING.has(error.code)) refusals.set(digest, { error, at: now });
        throw error;
      }
    },
  };
}
