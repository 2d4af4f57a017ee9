/**
 * Entries of a generation; two generations are kept, so a history of 100,000 items stays in the memo from run to
 * run.
 */
const GENERATION = 131_072;

/** Numbers by content, for sessions that return new objects on every read. It keeps no text, only hashes of it. */
export interface ContentMemo {
  get(text: string, compute: () => number): number;
}

/**
 * A bounded memo. Its key is a hash of 53 bits whose seeds are drawn for each memo, so an attacker cannot prepare a
 * text with the hash of another one.
 */
export function createContentMemo(generation: number = GENERATION): ContentMemo {
  const seeds = [seed(), seed()] as const;
  let young = new Map<number, number>();
  let old = new Map<number, number>();
  return {
    get(text: string, compute: () => number): number {
      const key = hash(text, seeds);
      const known = young.get(key);
      if (known !== undefined) return known;
      const value = old.get(key) ?? compute();
      if (young.size >= generation) {
        old = young;
        young = new Map();
      }
      young.set(key, value);
      return value;
    },
  };
}

function seed(): number {
  return Math.floor(Math.random() * 0x1_0000_0000) | 0;
}

/** Two multiplicative hashes over UTF-16 units, joined to the 53 bits that a number holds exactly. */
function hash(text: string, seeds: readonly [number, number]): number {
  let high = seeds[0] ^ text.length;
  let low = seeds[1];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    high = Math.imul(high ^ code, 0x0100_0193);
    high ^= high >>> 15;
    low = Math.imul(low ^ code, 0x5bd1_e995);
    low ^= low >>> 13;
  }
  return (high >>> 0) * 0x20_0000 + (low >>> 11);
}
