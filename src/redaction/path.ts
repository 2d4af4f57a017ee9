import { StrongroomError } from '../errors.ts';

/** A location in an item, linked to the one above it: extending it has a constant cost at any depth. */
export interface Path {
  readonly above?: Path;
  readonly segment: string | number;
  /** Segments above this one. */
  readonly depth: number;
}

/** Levels of objects and lists in one item. Each costs the walk some frames of its stack; real items have below 20. */
const DEEPEST_ITEM = 256;

/** The place of a member or an element. */
export function pathBelow(above: Path | undefined, segment: string | number): Path {
  return above === undefined ? { segment, depth: 0 } : { above, segment, depth: above.depth + 1 };
}

/** Throws `ERR_INVALID_ITEM` for a nesting deeper than {@link DEEPEST_ITEM}. */
export function checkDepth(path: Path): void {
  if (path.depth < DEEPEST_ITEM) return;
  throw new StrongroomError(
    'ERR_INVALID_ITEM',
    `redact: an item nests more than ${DEEPEST_ITEM} levels of objects and lists. Make it flatter, or store it as JSON text.`,
  );
}
