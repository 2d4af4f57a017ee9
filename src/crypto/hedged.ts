import { paePieces } from './encoding.ts';
import { hmacSha256 } from './mac.ts';
import { randomBytes } from './random.ts';

/** Of {@link hedgedWith}. */
export const HEDGE_BYTES = 32;

/**
 * 32 bytes for one purpose: HMAC-SHA256 under fresh random bytes over the purpose and all pieces. A random
 * generator that repeats itself repeats the result only for equal input. One of the `pieces` should be secret.
 */
export function hedged(purpose: string, ...pieces: readonly (string | Uint8Array)[]): Uint8Array {
  return hedgedWith(randomBytes(HEDGE_BYTES), purpose, ...pieces);
}

/** {@link hedged} with {@link HEDGE_BYTES} fresh random bytes that are used for this alone. Overwrites them. */
export function hedgedWith(
  random: Uint8Array,
  purpose: string,
  ...pieces: readonly (string | Uint8Array)[]
): Uint8Array {
  const mac = hmacSha256(random);
  const result = mac(...paePieces(purpose, ...pieces));
  mac.wipe();
  random.fill(0);
  return result;
}
