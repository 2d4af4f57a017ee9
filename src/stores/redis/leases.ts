import type { Leases } from '../../session-contract.ts';
import { leaseWatch } from '../lease-watch.ts';
import type { RedisCommands } from './client.ts';
import { leaseKey } from './keys.ts';
import { ACQUIRE, RENEW, TAKE_OVER } from './scripts.ts';

/**
 * By how many milliseconds the expiry of an unchanged key can differ between two reads: it is computed from two
 * clocks.
 */
const PRECISION = 1_000;

/** How much longer a key lasts than its lease: a clock that jumps ahead by less does not remove it. */
const LONGEST_RESERVE = 2 * 3_600_000;

function reserveOf(milliseconds: number): number {
  return Math.min(milliseconds * 500, LONGEST_RESERVE);
}

/**
 * Leases are keys with a time. The key lasts longer than the lease, and an expired one is taken over by observation
 * (see lease-watch.ts).
 */
export function redisLeases(prefix: string, commands: RedisCommands): Leases {
  const mayTake = leaseWatch(PRECISION);
  const lasts = (milliseconds: number): string => String(milliseconds + reserveOf(milliseconds));
  return {
    async acquire(name, owner, milliseconds, patience = 0) {
      const keys = [leaseKey(prefix, name)];
      const answer = await commands.script(ACQUIRE, keys, [owner, lasts(milliseconds)]);
      if (!Array.isArray(answer)) return true;
      const [current, left, ends] = [String(answer[0]), Number(answer[1]), Number(answer[2])];
      const lease = { owner: current, ends, ended: left <= reserveOf(milliseconds) };
      if (!mayTake(name, lease, { milliseconds, patience })) return false;
      const taken = [owner, lasts(milliseconds), current, String(ends + PRECISION)];
      return (await commands.script(TAKE_OVER, keys, taken)) === 1;
    },
    renew: async (name, owner, milliseconds) =>
      (await commands.script(RENEW, [leaseKey(prefix, name)], [owner, lasts(milliseconds)])) === 1,
    release: async (name, owner) =>
      void (await commands.script(RENEW, [leaseKey(prefix, name)], [owner, '0'])),
  };
}
