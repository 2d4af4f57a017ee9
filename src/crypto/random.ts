import { putLe64, scratch, toBase64url } from './encoding.ts';

// This module keeps no random bytes for later, and uses neither `randomUUID()` nor `randomInt()`, which take their
// values from a pool inside Node: clones of a process (a startup snapshot, a restored virtual machine) have the
// same pool and would use the same values.

/** Fresh random bytes from the system's generator at each call. */
export function randomBytes(size: number): Uint8Array<ArrayBuffer> {
  return globalThis.crypto.getRandomValues(new Uint8Array(size));
}

/** The same where {@link scratch} has its bytes, to be overwritten by the caller. */
export function randomScratch(size: number): Uint8Array {
  return globalThis.crypto.getRandomValues(scratch(size));
}

let names = 0;

/**
 * A unique name: 16 bytes in base64url, 22 characters. The time makes the names of two clones with the same
 * generator state different; clones in the same microsecond need a reseeded generator.
 */
export function randomName(): string {
  const time = new Uint8Array(16);
  putLe64(time, 0, microseconds());
  putLe64(time, 8, names++);
  return toBase64url(randomBytes(16).map((byte, index) => byte ^ (time[index] as number)));
}

/** A whole number from 1 to 2^48 - 1, from random bytes and the time. */
export function randomNumber(): number {
  const random = randomBytes(6).reduce((number, byte) => number * 256 + byte, 0);
  return 1 + ((random + microseconds()) % (2 ** 48 - 1));
}

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

function microseconds(): number {
  return Math.trunc((performance.timeOrigin + performance.now()) * 1_000);
}
