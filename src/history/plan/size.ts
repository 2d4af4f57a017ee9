/** An amount of history. `tokens` is 0 where no budget needs them counted. */
export interface HistorySize {
  readonly items: number;
  /** User messages: each starts a turn. */
  readonly turns: number;
  readonly tokens: number;
}

export interface MutableSize {
  items: number;
  turns: number;
  tokens: number;
}

export function emptySize(): MutableSize {
  return { items: 0, turns: 0, tokens: 0 };
}

export function addTo(total: MutableSize, part: HistorySize, sign: 1 | -1): void {
  total.items += sign * part.items;
  total.turns += sign * part.turns;
  total.tokens += sign * part.tokens;
}

export function fits(size: HistorySize, limit: HistorySize): boolean {
  return size.items <= limit.items && size.turns <= limit.turns && size.tokens <= limit.tokens;
}
