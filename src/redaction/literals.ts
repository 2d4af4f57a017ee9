import { SYMBOL_BITS, symbolOf, TRAITS } from './byte-traits.ts';

/** Many literals that are searched for at once, in any case of letters. */
export interface Literals {
  /**
   * By three symbols in a row, five bits each, of which the middle one stands at an even place: 1 when a literal may
   * begin at the first of them, 2 when one may begin before it. So each literal is found although only every second
   * position is checked.
   */
  readonly filter: Uint8Array;
  /** The kinds of all literals that stand at `place`, as bits. */
  readonly kindsAt: (bytes: Uint8Array, place: number) => number;
}

/**
 * @param kinds Literals of three characters and more by the bits of their kind. One of three characters is looked for by
 *   its last two, so it should end in a rare pair.
 */
export function literalsOf(kinds: ReadonlyMap<number, readonly string[]>): Literals {
  const filter = new Uint8Array(1 << 15);
  const children: number[][] = [[]];
  const found: number[] = [0];
  for (const [kind, literals] of kinds) {
    for (const literal of literals) {
      const path = Array.from(literal, (character) => symbolOf(character.charCodeAt(0)));
      let node = 0;
      for (const symbol of path) {
        const row = children[node] as number[];
        row[symbol] ??= children.push([]) - 1;
        node = row[symbol];
        found[node] ??= 0;
      }
      found[node] = (found[node] as number) | kind;
      const [first = 0, second = 0, third = 0, fourth] = path;
      markFilter(filter, 1, first, second, third);
      const after = fourth === undefined ? Array.from({ length: 32 }, (_, symbol) => symbol) : [fourth];
      for (const symbol of after) markFilter(filter, 2, second, third, symbol);
    }
  }
  const next = new Uint16Array(children.length * 32);
  for (const [node, row] of children.entries())
    row.forEach((child, symbol) => (next[node * 32 + symbol] = child));
  const kindOf = Uint16Array.from(found);
  return {
    filter,
    kindsAt(bytes, place) {
      let all = 0;
      let node = 0;
      for (let index = place; ; index++) {
        const symbol = (TRAITS[bytes[index] as number] as number) & SYMBOL_BITS;
        if (symbol === 0) return all;
        node = next[node * 32 + symbol] as number;
        if (node === 0) return all;
        all |= kindOf[node] as number;
      }
    },
  };
}

function markFilter(filter: Uint8Array, bit: number, first: number, second: number, third: number): void {
  const place = placeInFilter(first, second, third);
  filter[place] = (filter[place] as number) | bit;
}

/** Of three symbols, or of the traits of bytes that have them. */
export function placeInFilter(first: number, second: number, third: number): number {
  return ((first & SYMBOL_BITS) << 10) | ((second & SYMBOL_BITS) << 5) | (third & SYMBOL_BITS);
}
