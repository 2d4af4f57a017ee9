import { FIELD_NAMES } from './field-names.ts';

const SHOWN_SEGMENTS = 24;

/** `item.content[0].text`. Keys that are not fields of items are `*`, and a deep path is cut to its beginning. */
export function itemPath(segments: readonly (string | number)[]): string {
  const shown = segments
    .slice(0, SHOWN_SEGMENTS)
    .map((segment) => (typeof segment === 'number' ? `[${segment}]` : `.${shownKey(segment)}`));
  return `item${shown.join('')}${segments.length > SHOWN_SEGMENTS ? '…' : ''}`;
}

/** A path that {@link itemPath} or the redaction gives, with keys that are no fields of items as `*`. */
export function shownPath(path: string): string {
  return path.replaceAll(/[^.[\]]+/g, (segment) =>
    /^\d+$|^[*…]$/.test(segment) ? segment : shownKey(segment),
  );
}

function shownKey(key: string): string {
  return FIELD_NAMES.has(key) ? key : '*';
}
