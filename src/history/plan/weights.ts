import type { HistorySize, MutableSize } from './size.ts';

/** The size of each item of a history, and whether it stays for every cut. */
export interface Weights {
  /** 1 for an item that starts a turn. */
  readonly turns: Uint8Array;
  readonly tokens: Float64Array;
  /** 1 for an item that is kept for every cut. */
  readonly always: Uint8Array;
  sizeOf(index: number): HistorySize;
  change(total: MutableSize, index: number, sign: 1 | -1): void;
}

export function createWeights(count: number): Weights {
  const turns = new Uint8Array(count);
  const tokens = new Float64Array(count);
  return {
    turns,
    tokens,
    always: new Uint8Array(count),
    sizeOf: (index) => ({ items: 1, turns: turns[index] as number, tokens: tokens[index] as number }),
    change(total, index, sign) {
      total.items += sign;
      total.turns += sign * (turns[index] as number);
      total.tokens += sign * (tokens[index] as number);
    },
  };
}
