import type { RedisArgument } from './client.ts';

// Redis Cluster specification, *Hash tags* and *appendix A*.

const SLOTS = 16_384;
const POLYNOMIAL = 0x1021;

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte << 8;
  for (let bit = 0; bit < 8; bit++) {
    remainder = (remainder & 0x8000) === 0 ? remainder << 1 : (remainder << 1) ^ POLYNOMIAL;
  }
  return remainder;
});

/** The slot of the cluster that a key is in, 0 to 16383. */
export function slotOf(key: string): number {
  let remainder = 0;
  for (const byte of Buffer.from(hashed(key))) {
    remainder = ((remainder << 8) & 0xffff) ^ (TABLE[(remainder >> 8) ^ byte] as number);
  }
  return remainder % SLOTS;
}

function hashed(key: string): string {
  const start = key.indexOf('{');
  const end = key.indexOf('}', start + 1);
  return start < 0 || end < 0 || end === start + 1 ? key : key.slice(start + 1, end);
}

/** The first key of a command; all commands of the store have one, except those for each primary. */
export function keyOf([name, first = '', , third = '']: readonly RedisArgument[]): string {
  return String(name).startsWith('EVAL') ? String(third) : String(first);
}
