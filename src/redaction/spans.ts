/** A find in the original text, ready to be replaced. */
export interface Span {
  readonly entityType: string;
  readonly start: number;
  readonly end: number;
  readonly score: number;
  readonly validated: boolean;
  readonly recognizer: string;
  /** The value as the recognizer got it, if it differs from the original text. */
  readonly value?: string;
}

/** How an operator treats the finds of an entity. What changes more goes before what changes less. */
export const STRENGTH = { keeps: 0, replaces: 1, blocks: 2 } as const;

/** The {@link STRENGTH} of an entity's operator. */
export type StrengthOf = (entityType: string) => number;

/**
 * One list without overlaps: proven finds before unproven ones, then those whose operator changes more, then longer
 * ones, then higher scores, then earlier ones. So a URL that is kept does not keep the key in it. A find that loses against an overlapping one is reduced to its remaining part, so that no part of it stays;
 * adjacent finds of one entity are merged.
 */
export function resolveOverlaps(spans: readonly Span[], strengthOf: StrengthOf): readonly Span[] {
  if (spans.length < 2) return spans;
  const byStart = [...spans].sort((a, b) => a.start - b.start || b.end - a.end);
  const result: Span[] = [];
  // Clusters of overlapping finds are short; each is resolved separately.
  for (let from = 0; from < byStart.length;) {
    let end = (byStart[from] as Span).end;
    let to = from + 1;
    for (; to < byStart.length && (byStart[to] as Span).start < end; to++) {
      end = Math.max(end, (byStart[to] as Span).end);
    }
    if (to === from + 1) result.push(byStart[from] as Span);
    else for (const span of resolveCluster(byStart.slice(from, to), strengthOf)) result.push(span);
    from = to;
  }
  return result;
}

/**
 * Assigns the finds, in the order of their rank, to the ranges between all their boundaries, skipping assigned
 * ones: linear except for sorting, for any number of finds.
 */
function resolveCluster(cluster: readonly Span[], strengthOf: StrengthOf): readonly Span[] {
  const ranked = [...cluster].sort(
    (a, b) =>
      Number(b.validated) - Number(a.validated) ||
      strengthOf(b.entityType) - strengthOf(a.entityType) ||
      b.end - b.start - (a.end - a.start) ||
      b.score - a.score ||
      a.start - b.start ||
      (a.entityType < b.entityType ? -1 : 1),
  );
  const boundaries = [...new Set(cluster.flatMap((span) => [span.start, span.end]))].sort((a, b) => a - b);
  const places = new Map(boundaries.map((boundary, index) => [boundary, index]));
  const owners: (Span | undefined)[] = boundaries.map(() => undefined);
  const nextFree = boundaries.map((_, index) => index);
  for (const span of ranked) {
    const last = places.get(span.end) as number;
    let stretch = firstFree(nextFree, places.get(span.start) as number);
    while (stretch < last) {
      owners[stretch] = span;
      nextFree[stretch] = stretch + 1;
      stretch = firstFree(nextFree, stretch);
    }
  }
  const pieces: Span[] = [];
  for (const [index, owner] of owners.entries()) {
    if (owner === undefined) continue;
    const start = boundaries[index] as number;
    const end = boundaries[index + 1] as number;
    const previous = pieces[pieces.length - 1];
    if (previous !== undefined && owners[index - 1] === owner) {
      pieces[pieces.length - 1] = { ...previous, end };
    } else pieces.push({ ...owner, start, end });
  }
  const originals = new Set(cluster.map(rangeKey));
  const isKept = (span: Span): boolean => strengthOf(span.entityType) === STRENGTH.keeps;
  return onePieceOfEach(joinLeftovers(pieces, originals, isKept), originals, isKept).map((span) => {
    // A value belongs to the whole range in which it was found.
    if (originals.has(rangeKey(span))) return span;
    const { value: _, ...rest } = span;
    return rest;
  });
}

function rangeKey(span: Span): string {
  return `${span.entityType} ${span.start} ${span.end}`;
}

function firstFree(nextFree: number[], from: number): number {
  let place = from;
  while (nextFree[place] !== place && nextFree[place] !== undefined) {
    const next = nextFree[place] as number;
    nextFree[place] = nextFree[next] ?? next;
    place = next;
  }
  return place;
}

/** A find that is kept is only reported, so the first of its remaining parts is enough. */
function onePieceOfEach(
  sorted: readonly Span[],
  originals: ReadonlySet<string>,
  isKept: (span: Span) => boolean,
): readonly Span[] {
  const reported = new Set<string>();
  return sorted.filter((span) => {
    if (!isKept(span) || originals.has(rangeKey(span))) return true;
    const isNew = !reported.has(span.entityType);
    reported.add(span.entityType);
    return isNew;
  });
}

/**
 * The remaining part of a losing find is merged into the adjacent find: one placeholder instead of two. What is kept
 * is not merged into what is replaced, nor the reverse.
 */
function joinLeftovers(
  sorted: readonly Span[],
  originals: ReadonlySet<string>,
  isKept: (span: Span) => boolean,
): readonly Span[] {
  const joined: Span[] = [];
  let lastIsWhole = false;
  for (const span of sorted) {
    const last = joined[joined.length - 1];
    const spanIsWhole = originals.has(rangeKey(span));
    const isAdjacent = last !== undefined && last.end === span.start && isKept(last) === isKept(span);
    if (isAdjacent && !(lastIsWhole && spanIsWhole)) {
      const lead = spanIsWhole && !lastIsWhole ? span : last;
      joined[joined.length - 1] = { ...lead, start: last.start, end: span.end };
      lastIsWhole ||= spanIsWhole;
    } else {
      joined.push(span);
      lastIsWhole = spanIsWhole;
    }
  }
  return joined;
}

/** Index of the last of these sorted offsets that is at or before `offset`, the first when none is. */
export function textAt(offsets: readonly number[], offset: number): number {
  let low = 0;
  let high = offsets.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
