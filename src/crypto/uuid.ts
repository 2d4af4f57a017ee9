import { randomBytes } from './random.ts';

/**
 * A UUID of version 7 (RFC 9562, section 5.7). The 12 bits behind the milliseconds are the fraction of the millisecond
 * (section 6.2, method 3). Written here because the packages that make such ids keep random bytes in a pool.
 */
export function uuidV7(): string {
  const { milliseconds, fraction } = nextTick();
  const bytes = randomBytes(16);
  for (let index = 0; index < 6; index++) {
    bytes[index] = Math.trunc(milliseconds / 2 ** (8 * (5 - index))) % 256;
  }
  bytes[6] = 0x70 + (fraction >> 8);
  bytes[7] = fraction % 256;
  bytes[8] = 0x80 + ((bytes[8] as number) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

interface Tick {
  /** Unix time. */
  readonly milliseconds: number;
  /** In 4,096ths of a millisecond. */
  readonly fraction: number;
}

let lastTick: Tick = { milliseconds: 0, fraction: 0 };
/** A clock that is set back by less keeps the order of ids, in milliseconds. */
const SET_BACK = 1_000;

/**
 * The time by the clock of the system, later at each call. The monotonic clock, which stands still while a computer sleeps and is
 * not corrected by a time server, gives the fraction only.
 */
function nextTick(): Tick {
  const milliseconds = Date.now();
  const fraction = Math.trunc((performance.now() % 1) * 4_096);
  const { milliseconds: before, fraction: last } = lastTick;
  const isLater = milliseconds > before || (milliseconds === before && fraction > last);
  if (isLater || before - milliseconds >= SET_BACK) lastTick = { milliseconds, fraction };
  else if (last < 4_095) lastTick = { milliseconds: before, fraction: last + 1 };
  else lastTick = { milliseconds: before + 1, fraction: 0 };
  return lastTick;
}
