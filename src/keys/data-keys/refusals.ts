import { boundedMap } from '../../bounded-map.ts';
import { toBase64url, utf8 } from '../../crypto/encoding.ts';
import { sha256 } from '../../crypto/hash.ts';
import { isStrongroomError, StrongroomError, type ErrorCode } from '../../errors.ts';
import { isWithin } from './opened-keys.ts';

/** How long a wrapped key that did not open is not tried again, in milliseconds of the stack's clock. */
const REFUSED_FOR = 10_000;
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

/** Not the error itself: its stack and its causes are many times as large. */
interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly at: number;
}

/** Wrapped keys that did not open a moment ago: who writes rows to the database must not choose how often a KMS is asked. */
export interface Refusals {
  /** Runs `open`, or throws what it threw for the same key and the same wrapped form a moment ago. */
  unless<T>(name: string, wrapped: string, now: number, open: () => Promise<T>): Promise<T>;
}

/**
 * @param max How many are remembered, about 300 bytes each. With fewer than one read can meet, that read would push out the
 * first before it ends, and the next one would ask for all of them again.
 */
export function createRefusals(max: number): Refusals {
  const refusals = boundedMap<Refusal>(max);
  return {
    async unless(name, wrapped, now, open) {
      // A digest: the text is as long as its writer wants.
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
