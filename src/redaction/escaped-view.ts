import { viewBuilder, type TextView } from './view-builder.ts';

/** `%40`, `\u0040`, `&#64;`, `&#x40;` */
const ESCAPE = /%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|&#(?:\d{1,7}|[xX][0-9A-Fa-f]{1,6});/g;
const DEEPEST = 3;

/** The patterns of this file, for the linearity check. */
export const ESCAPE_PATTERNS: readonly RegExp[] = [ESCAPE];

/**
 * Views of the text with percent-encoding (RFC 3986, 2.1), `\u` escapes and numeric character references resolved,
 * one for each level of encoding, at most three. None for text without any.
 */
export function unescapedViews(view: TextView): readonly TextView[] {
  const views: TextView[] = [];
  let current = view;
  for (let depth = 0; depth < DEEPEST; depth++) {
    const next = unescape(current);
    if (next === undefined) break;
    views.push(next);
    current = next;
  }
  return views;
}

function unescape(view: TextView): TextView | undefined {
  const source = view.text;
  if (!/[%\\&]/.test(source)) return undefined;
  const builder = viewBuilder(view);
  ESCAPE.lastIndex = 0;
  for (let match = ESCAPE.exec(source); match !== null; match = ESCAPE.exec(source)) {
    const { index } = match;
    const decoded = match[0].startsWith('%') ? percent(source, index) : reference(match[0]);
    if (decoded === undefined) continue;
    const end = index + decoded.length;
    builder.replace(index, end, decoded.text);
    ESCAPE.lastIndex = end;
  }
  return builder.build();
}

/** One character of UTF-8 in percent-encoding. */
function percent(
  source: string,
  start: number,
): { readonly text: string; readonly length: number } | undefined {
  const first = Number.parseInt(source.slice(start + 1, start + 3), 16);
  const count = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
  const encoded = source.slice(start, start + 3 * count);
  if (count === 0 || encoded.length < 3 * count) return undefined;
  try {
    return { text: decodeURIComponent(encoded), length: encoded.length };
  } catch {
    return undefined; // no UTF-8: stays as it is
  }
}

function reference(source: string): { readonly text: string; readonly length: number } | undefined {
  const body = source.startsWith('\\') ? source.slice(2) : source.slice(2, -1);
  const isHex = source.startsWith('\\') || /^x/i.test(body);
  const code = isHex ? Number.parseInt(body.replace(/^x/i, ''), 16) : Number(body);
  if (code === 0 || code > 0x10ffff) return undefined;
  return { text: String.fromCodePoint(code), length: source.length };
}
