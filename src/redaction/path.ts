/** A place in an item, linked to the place above it: extending it costs nothing, however deep a text nests. */
export interface Path {
  readonly above?: Path;
  readonly segment: string | number;
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
