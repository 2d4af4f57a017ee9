import type { TextBytes } from './ascii-bytes.ts';
import { DIGIT, LETTER, TRAITS } from './byte-traits.ts';

/** Many literals with which a word can begin. */
export interface Prefixes {
  /** Where a word begins with one of them, in order; before a word stands no letter and no digit of ASCII. */
  placesIn(source: TextBytes): number[];
}

/** @param prefixes Literals of ASCII of two characters and more, each with a letter or a digit at its beginning. */
export function prefixesOf(prefixes: readonly string[]): Prefixes {
  /** By the last five bits of their first three characters. */
  const byStart = new Map<number, string[]>();
  const filter = new Uint8Array(1 << 15);
  for (const prefix of new Set(prefixes)) {
    const [first = 0, second = 0, third] = Array.from(prefix, (character) => character.charCodeAt(0));
    const lasts = third === undefined ? Array.from({ length: 32 }, (_, code) => code) : [third];
    for (const last of lasts) {
      const start = startOf(first, second, last);
      filter[start] = 1;
      byStart.set(start, [...(byStart.get(start) ?? []), prefix]);
    }
  }
  return {
    placesIn({ bytes, length }) {
      const places: number[] = [];
      let before = 0;
      for (let index = 0; index < length; index++) {
        const isWord = (TRAITS[bytes[index] as number] as number) & (LETTER | DIGIT);
        if (isWord !== 0 && before === 0) {
          const start = startOf(
            bytes[index] as number,
            bytes[index + 1] as number,
            bytes[index + 2] as number,
          );
          if (
            filter[start] !== 0 &&
            byStart.get(start)?.some((prefix) => standsAt(bytes, index, prefix)) === true
          ) {
            places.push(index);
          }
        }
        before = isWord;
      }
      return places;
    },
  };
}

/** Whether the bytes at `place` are the characters of `prefix`. */
export function standsAt(bytes: Uint8Array, place: number, prefix: string): boolean {
  for (let index = 0; index < prefix.length; index++) {
    if (bytes[place + index] !== prefix.charCodeAt(index)) return false;
  }
  return true;
}

function startOf(first: number, second: number, third: number): number {
  return ((first & 31) << 10) | ((second & 31) << 5) | (third & 31);
}
