import { StrongroomError } from './errors.ts';
import { dropPromise, invalidOption, parseDuration, type Duration } from './options.ts';

/**
 * The option `clock`, by default that of the machine. The returned function gives whole Unix milliseconds, and
 * throws `ERR_CLOCK` when the clock gives anything else.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for what is no function.
 */
export function clockOf(where: string, clock: unknown = Date.now): () => number {
  if (typeof clock !== 'function') {
    return invalidOption(where, 'clock', 'a function that returns Unix milliseconds', clock);
  }
  return () => {
    const time: unknown = (clock as () => unknown)();
    const now = Math.floor(time as number);
    if (Number.isSafeInteger(now) && now >= 0) return now;
    dropPromise(time);
    throw new StrongroomError(
      'ERR_CLOCK',
      `${where}: the clock must return Unix milliseconds, a number of at least 0.`,
    );
  };
}

/** The time that a clock is compared with before a deletion by it. */
export interface TimeReference {
  /** Unix milliseconds. */
  readonly time: number;
  /** The name of the clock, for the message. */
  readonly of: string;
  /** The database runs in this process and has no clock of its own: it cannot check a clock that was passed as an option. */
  readonly inProcess?: true;
  /** Milliseconds that a clock may be ahead of it, unless the caller sets another bound. */
  readonly bound: number;
}

/** Returns the reference to compare with, if there is one. */
export type ReadReference = () => Promise<TimeReference | undefined>;

/** Synchronized clocks differ by less, and a deletion that is early by this much does no harm. */
export const SERVER_BOUND = 300_000;

/** A suspended machine does not have a wrong clock; a suspension of 30 days is not expected. */
const PROCESS_BOUND = 2_592_000_000;

/**
 * The option `maxAhead`.
 *
 * @returns Milliseconds; infinite for `'any'`, `undefined` for the bound of the reference.
 */
export function parseMaxAhead(where: string, value: Duration | 'any' | undefined): number | undefined {
  if (value === undefined) return undefined;
  return value === 'any' ? Number.POSITIVE_INFINITY : parseDuration(where, 'maxAhead', value);
}

/**
 * Refuses a permanent deletion by a clock that is far ahead, because it would delete records that are still needed. A clock
 * that is behind only deletes later.
 *
 * @param maxAhead As {@link parseMaxAhead} gives it.
 * @param isGiven Whether the clock was passed as an option, instead of the clock of the machine.
 * @throws {@link StrongroomError} `ERR_CLOCK`.
 */
export async function checkAhead(
  where: string,
  now: number,
  read: ReadReference | undefined,
  maxAhead: number | undefined,
  isGiven: boolean = false,
): Promise<void> {
  if (maxAhead === Number.POSITIVE_INFINITY) return;
  const reference = await read?.();
  if (reference === undefined || (isGiven && reference.inProcess === true)) return;
  const ahead = now - reference.time;
  const bound = maxAhead ?? reference.bound;
  if (ahead <= bound) return;
  throw new StrongroomError(
    'ERR_CLOCK',
    `${where}: the clock is ${lengthOf(ahead)} ahead of ${reference.of}, more than ${lengthOf(bound)}, and a deletion ` +
      'cannot be undone. Nothing was deleted. Correct the clock, or raise maxAhead.',
    { written: 'no' },
  );
}

/**
 * The reference of a process whose database has no clock of its own: the time at which it began, plus the time
 * since then by a monotonic clock.
 */
export function processReference(): ReadReference {
  const begin = Date.now() - performance.now();
  return () =>
    Promise.resolve({
      time: begin + performance.now(),
      of: 'the time since the store was opened',
      inProcess: true,
      bound: PROCESS_BOUND,
    });
}

const UNITS = [
  ['days', 86_400_000],
  ['hours', 3_600_000],
  ['minutes', 60_000],
] as const;

function lengthOf(milliseconds: number): string {
  for (const [name, length] of UNITS) {
    if (milliseconds >= 2 * length) return `${Math.floor(milliseconds / length)} ${name}`;
  }
  return `${Math.floor(milliseconds / 1_000)} seconds`;
}
