/** Field names of the SDK's item types. Every other key may be content: a name, a card number, a token. */
const FIELDS: ReadonlySet<string> = new Set(
  (
    'action actions arguments audio button callId caller callerId code commands content created_by detail ' +
    'diff encrypted_content execution exitCode file fileId filename format id image keys maxOutputLength ' +
    'mediaType mode moveTo name namespace operation outcome output path phase providerData rawContent refusal ' +
    'role scroll_x scroll_y status stderr stdout text timeoutMs tools transcript type url x y'
  ).split(' '),
);

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
  return FIELDS.has(key) ? key : '*';
}
