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

const SHOWN_SEGMENTS = 24;
const PLAIN_KEY = /^[A-Za-z_$][\w$-]{0,63}$/;

/** `content[0].text`. At most 24 segments; keys that are no identifiers are `*`, so that reports hold no values. */
export function formatPath(path: Path | undefined): string {
  const parts: string[] = [];
  let place = path;
  for (; place !== undefined && parts.length < SHOWN_SEGMENTS; place = place.above) {
    const { segment } = place;
    if (typeof segment === 'number') parts.push(`[${segment}]`);
    else parts.push(`${place.above === undefined ? '' : '.'}${PLAIN_KEY.test(segment) ? segment : '*'}`);
  }
  if (place !== undefined) parts.push('…');
  return parts.reverse().join('');
}
