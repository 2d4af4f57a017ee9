import { emphasisReader } from './emphasis.ts';
import { formReader } from './form-text.ts';
import { foldView } from './text-view.ts';
import { viewBuilder, type TextView } from './view-builder.ts';

/** Each stands for one character. In quoted-printable `=` is always written so (RFC 2045, 6.7). */
const WRITTEN: ReadonlyMap<string, string> = new Map([
  ['\\n', '\n'],
  ['\\r', '\r'],
  ['\\t', '\t'],
  ['\\e', '\x1b'],
  ['=3D', '='],
  ['=3d', '='],
  ['&nbsp;', ' '],
  ['&commat;', '@'],
  ['&quot;', '"'],
]);
const ESCAPE = new RegExp(
  [
    String.raw`%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}`,
    String.raw`\\u([0-9A-Fa-f]{4})|\\u\{([0-9A-Fa-f]{1,6})\}|&#[xX]([0-9A-Fa-f]{1,6});`,
    String.raw`&#(\d{1,7});`,
    String.raw`\\([01][0-7]{2})`,
    String.raw`\\[nrt]|\\e(?=\[)|=3[Dd]|&(?:nbsp|commat|quot);|\+|_{1,3}`,
    // What a terminal does not show, such as a colour (ECMA-48, 5.3 and 5.4).
    String.raw`(?:\x1b|\^\[)\[[0-?]{0,32}[ -/]{0,4}[@-~]|\x1b[ -/]{0,4}[0-Z\\-~]`,
  ].join('|'),
  'g',
);
const DEEPEST = 3;

/** The patterns of this file, for the linearity check. */
export const ESCAPE_PATTERNS: readonly RegExp[] = [ESCAPE];

/**
 * Views of the text with escapes resolved and the result folded, one for each level of escapes, at most three. None
 * for text without any. In the text itself the last letter of an escape joins the value that follows it.
 */
export function unescapedViews(view: TextView): readonly TextView[] {
  const views: TextView[] = [];
  let current = view;
  for (let depth = 0; depth < DEEPEST; depth++) {
    const next = unescape(current);
    if (next === undefined) break;
    current = foldView(next);
    views.push(current);
  }
  return views;
}

function unescape(view: TextView): TextView | undefined {
  const source = view.text;
  const builder = viewBuilder(view);
  const form = formReader((index) => source.charCodeAt(index), source.length);
  const emphasis = emphasisReader(source);
  const resolve = (match: RegExpExecArray): Decoded | undefined => {
    const { 0: escape, index } = match;
    const { length } = escape;
    const isMark = escape.startsWith('_');
    if (escape !== '+' && !isMark) return decode(match);
    const isSpace = isMark ? emphasis.isMark(index, length) : form.isSpace(index);
    return isSpace ? { text: ' ', length } : undefined;
  };
  ESCAPE.lastIndex = 0;
  for (let match = ESCAPE.exec(source); match !== null; match = ESCAPE.exec(source)) {
    const decoded = resolve(match);
    if (decoded === undefined) continue;
    const end = match.index + decoded.length;
    builder.replace(match.index, end, decoded.text);
    ESCAPE.lastIndex = end;
  }
  return builder.build();
}

/** What an escape stands for, and its length with the escapes that belong to the same character. */
interface Decoded {
  readonly text: string;
  readonly length: number;
}

function decode(match: RegExpExecArray): Decoded | undefined {
  const [escape, unit, point, reference, decimal, octal] = match;
  const { length } = escape;
  const written = WRITTEN.get(escape);
  if (written !== undefined) return { text: written, length };
  if (escape.startsWith('%')) return utf8(match, '%');
  // Not UTF-8: what a string of JavaScript and Python has, one character of Latin-1 each.
  if (escape.startsWith('\\x')) return utf8(match, '\\x') ?? character(escape.slice(2), 16, length);
  const hexadecimal = unit ?? point ?? reference;
  if (hexadecimal !== undefined) return character(hexadecimal, 16, length);
  if (decimal !== undefined) return character(decimal, 10, length);
  if (octal !== undefined) return character(octal, 8, length);
  return { text: '', length };
}

function character(digits: string, radix: number, length: number): Decoded | undefined {
  const code = Number.parseInt(digits, radix);
  return code === 0 || code > 0x10ffff ? undefined : { text: String.fromCodePoint(code), length };
}

/** One character of UTF-8, as in percent-encoding (RFC 3986, 2.1). */
function utf8({ input, index }: RegExpExecArray, mark: string): Decoded | undefined {
  const size = mark.length + 2;
  const first = Number.parseInt(input.slice(index + mark.length, index + size), 16);
  const count = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
  const encoded = input.slice(index, index + size * count);
  if (count === 0 || encoded.length < size * count) return undefined;
  try {
    return { text: decodeURIComponent(encoded.replaceAll(mark, '%')), length: encoded.length };
  } catch {
    return undefined; // no UTF-8: stays as it is
  }
}
