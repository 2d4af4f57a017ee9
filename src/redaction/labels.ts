import { tableLead } from './table-text.ts';
import { latePattern } from './late.ts';

/** A label is looked for in this many code units before a value. */
const LONGEST_LOOK = 64;
/** Marks between a label's line and its value: quotes, list and quotation marks, emphasis. */
const NO_WORD = /^[\s>*_|"'`“”‘’«»\-–•(#]*$/u;
/** A line that is a label and not a sentence: few words, no number, perhaps a colon. */
const LABEL_LINE = latePattern(
  "^[\\s>*_|\"'`#\\-–•]*(\\p{L}[\\p{L}\\p{M} .()/&'_-]{0,38}?)[\\s*_\"'`]*([:：=](?: {0,2}[|>][+-]?(?=\\s*$))?|)[\\s*_\"'`]*$",
  'u',
);
const EMPHASIS = /[*_`]{1,3}(?=[:：=])|(?<=[:：=])[*_`]{1,3}/gu;
/** `| Phone | `: a table of names on the left and values on the right. */
const LEFT_CELL = latePattern(
  "(?:^|[|\\t])[ *_`]*(\\p{L}[\\p{L}\\p{M} .()/&'_-]{0,38}?)[ *_`:]*[|\\t][ *_`]*$",
  'u',
);
/** `<phone>415…`: an element of XML; a placeholder is in capitals. */
const ELEMENT = /<([a-z][\w.:-]{0,40})(?: [^<>]{0,30})?>$/;
/** `<th>Phone</th><td>`, `<b>Phone</b>: ` */
const LEFT_ELEMENT = latePattern(
  String.raw`>\s*(\p{L}[\p{L}\p{M} .()/&'_-]{0,38}?)\s*:?\s*<\/(?:th|td|dt|b|strong|label|span|name|key)>\s*:?\s*(?:<(?:td|dd|span|p|div|value|string)(?: [^<>]{0,20})?>)?\s*$`,
  'u',
);
/** A cell that begins on its own line: its label may be the cell on the line above. */
const OPEN_CELL = /^\s*(?:<(?:td|dd|span|p|div|value|string)(?: [^<>]{0,20})?>)?\s*$/;
const LAYOUT: ReadonlySet<string> = new Set(
  'td th tr p span div b i em strong a li dd dt code pre value'.split(' '),
);
const UNDERLINE = /^\s*[-=]{3,}\s*$/;
/** In source, JSON and logs the first line of a text begins behind its quote. */
const OPENING = /^.*[\s:=([{,]["'`](?=\p{L})/u;
/** `Phone (daytime):` */
const ASIDE = /\s*\([^()]{0,30}\)/u;

/**
 * The text that labels a value, as if it preceded it on the same line: the text of its own line, else the label on
 * the line above, else the header of its column in a table or in CSV. At most 64 code units.
 */
export function leadOf(text: string, start: number): string {
  // Cut first: looking for the line's beginning in the whole text would cost its length at each find.
  const piece = text.slice(Math.max(0, start - LONGEST_LOOK), start);
  const newline = piece.lastIndexOf('\n');
  const line = piece.slice(newline + 1);
  const head = tableLead(text, start);
  if (head !== undefined) return head;
  const left = line.includes('|') || line.includes('\t') ? LEFT_CELL().exec(line)?.[1] : undefined;
  if (left !== undefined) return `${left}: `;
  if (newline >= 0 && OPEN_CELL.test(line)) {
    const cell = LEFT_ELEMENT().exec(piece)?.[1];
    if (cell !== undefined) return `${cell}: `;
  }
  if (line.includes('>')) {
    const named = labelInMarkup(line);
    if (named !== undefined) return `${named}: `;
  }
  if (newline >= 0 && NO_WORD.test(line)) {
    const above = labelAbove(piece.slice(0, newline));
    if (above !== undefined) return above;
  }
  return /[*_`]/.test(line) ? line.replace(EMPHASIS, '') : line;
}

function labelInMarkup(line: string): string | undefined {
  const left = LEFT_ELEMENT().exec(line)?.[1];
  if (left !== undefined) return left;
  const element = ELEMENT.exec(line)?.[1];
  return element === undefined || LAYOUT.has(element) ? undefined : element;
}

/** The label on the last line above, with at most one blank line between. */
function labelAbove(above: string): string | undefined {
  const lines = above.split('\n', 64);
  let last = lines.length - 1;
  if (lines[last]?.trim() === '') last--;
  const isUnderlined = UNDERLINE.test(lines[last] ?? '');
  if (isUnderlined) last--;
  // The first line of the piece may be the end of a longer one.
  if (last < 0 || (last === 0 && above.length > LONGEST_LOOK - 8)) return undefined;
  const match = LABEL_LINE().exec((lines[last] ?? '').replace(OPENING, '').replace(ASIDE, ''));
  if (match === null) return undefined;
  const isHeading = isUnderlined || match[2] !== '' || /^\s*#/.test(match[0]);
  return `${match[1]}${isHeading ? ': ' : ' '}`;
}
