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
 * The time, for what has to differ between clones of a process. By the clock of the system, which a restored virtual machine sets
 * anew: its monotonic clock goes on from where it stood, in each copy, and gives the fraction of a millisecond only.
 */
export function microseconds(): number {
  return Date.now() * 1_000 + Math.trunc((performance.now() % 1) * 1_000);
}
