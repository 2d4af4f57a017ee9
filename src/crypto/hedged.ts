import { pae } from './encoding.ts';
import { hmacSha256 } from './mac.ts';
import { randomBytes } from './random.ts';

const RANDOM_BYTES = 32;

/**
 * 32 bytes for one purpose: HMAC-SHA256 under fresh random bytes over the purpose and all pieces. A random
 * generator that repeats itself repeats the result only for equal input. One of the `pieces` should be secret.
 */
export function hedged(purpose: string, ...pieces: readonly (string | Uint8Array)[]): Uint8Array {
  const random = randomBytes(RANDOM_BYTES);
  const message = pae(purpose, ...pieces);
  const mac = hmacSha256(random);
  const result = mac(message);
  mac.wipe();
  random.fill(0);
  message.fill(0);
  return result;
}
