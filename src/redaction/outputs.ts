/** A range of a text. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** An edit of a text: the range from `start` to `end` is replaced by `replacement`. */
export interface Edit extends Range {
  readonly replacement: string;
  /** The replacement is the output of an operator that may look like a find. */
  readonly isOutput: boolean;
}

/**
 * The ranges of outputs of custom operators, by the current text: a further round over an item finds values that
 * edits joined, and must not pass an operator its own output.
 */
export type Outputs = ReadonlyMap<string, readonly Range[]>;

/** Whether a range overlaps one of these (sorted, apart). */
export function overlapsOne(ranges: readonly Range[], { start, end }: Range): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle] as Range).end <= start) low = middle + 1;
    else high = middle;
  }
  return low < ranges.length && (ranges[low] as Range).start < end;
}

/**
 * The text after these edits (sorted, disjoint), and the ranges of outputs in it: the earlier ones, moved, and the
 * new ones.
 */
export function applyEdits(
  text: string,
  edits: readonly Edit[],
  before: readonly Range[],
): { readonly text: string; readonly outputs: readonly Range[] } {
  const pieces: string[] = [];
  const outputs: Range[] = [];
  let done = 0;
  let moved = 0;
  let next = 0;
  const keepBefore = (place: number): void => {
    for (; next < before.length && (before[next] as Range).start < place; next++) {
      const { start, end } = before[next] as Range;
      outputs.push({ start: start + moved, end: end + moved });
    }
  };
  for (const { start, end, replacement, isOutput } of edits) {
    keepBefore(start);
    pieces.push(text.slice(done, start), replacement);
    if (isOutput && replacement !== '') {
      outputs.push({ start: start + moved, end: start + moved + replacement.length });
    }
    moved += replacement.length - (end - start);
    done = end;
  }
  keepBefore(Number.POSITIVE_INFINITY);
  pieces.push(text.slice(done));
  return { text: pieces.join(''), outputs };
}
