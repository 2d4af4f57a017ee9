import { tableLead } from './table-text.ts';

/** What names a value is looked for in so many code units before it. */
const LONGEST_LOOK = 64;
/** Marks that stand between a label's line and its value: quotes, list and quotation marks, emphasis. */
const NO_WORD = /^[\s>*_|"'`“”‘’«»\-–•(#]*$/u;
/** A line that is a label and no sentence: few words, no number, perhaps a colon. */
const LABEL_LINE = /^[\s>*_|"'`#\-–•]*(\p{L}[\p{L}\p{M} .()/&'_-]{0,38}?)[\s*_"'`]*([:：=]?)[\s*_"'`]*$/u;
const EMPHASIS = /[*_`]{1,3}(?=[:：=])|(?<=[:：=])[*_`]{1,3}/gu;
/** `| Phone | `: a table of names on the left and values on the right. */
const LEFT_CELL = /(?:^|[|\t])[ *_`]*(\p{L}[\p{L}\p{M} .()/&'_-]{0,38}?)[ *_`:]*[|\t][ *_`]*$/u;

/**
 * What stands before a value and names it, as if it stood on the same line: the text of its own line, else the label
 * on the line above, else the head of its column in a table or in CSV. At most 64 code units.
 */
export function leadOf(text: string, start: number): string {
  // Cut first: looking for the line's beginning in the whole text would cost its length at each find.
  const piece = text.slice(Math.max(0, start - LONGEST_LOOK), start);
  const newline = piece.lastIndexOf('\n');
  const line = piece.slice(newline + 1);
  const head = tableLead(text, start);
  if (head !== undefined) return head;
  const left = LEFT_CELL.exec(line)?.[1];
  if (left !== undefined) return `${left}: `;
  if (newline >= 0 && NO_WORD.test(line)) {
    const above = labelAbove(piece.slice(0, newline));
    if (above !== undefined) return above;
  }
  return /[*_`]/.test(line) ? line.replace(EMPHASIS, '') : line;
}

/** The label on the last line of what stands above, with one blank line between at most. */
function labelAbove(above: string): string | undefined {
  const lines = above.split('\n', 64);
  let last = lines.length - 1;
  if (lines[last]?.trim() === '') last--;
  // The first line of the piece may be the end of a longer one.
  if (last < 1 && above.length >= LONGEST_LOOK - 1) return undefined;
  const match = LABEL_LINE.exec(lines[last] ?? '');
  if (match === null) return undefined;
  const isHeading = match[2] !== '' || /^\s*#/.test(match[0]);
  return `${match[1]}${isHeading ? ': ' : ' '}`;
}
