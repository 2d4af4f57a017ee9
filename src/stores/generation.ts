import { randomNumber } from '../crypto/random.ts';

/**
 * The first generation of a session: a number that it never had, also when it was deleted and made again, whatever the
 * clocks of processes say. Later ones are one more each.
 */
export function firstGeneration(): number {
  return randomNumber();
}
