import { LETTER } from './late.ts';

/** Lines of one text that follow each other and have as many cells as the first, which names them. */
interface Table {
  readonly start: number;
  readonly end: number;
  readonly delimiter: string;
  readonly heads: readonly string[];
}

const DELIMITERS = ['|', '\t', ';', ','] as const;
const LONGEST_LINE = 4096;
const MOST_CELLS = 256;
const LONGEST_HEAD = 40;
/** Text that a header does not contain: values have numbers and addresses. */
const NO_HEAD = /\d{4}|[@$€£{}[\]]|\d[.:/-]\d/;
const AROUND = /^[\s"'*_`]+|[\s"'*_`]+$/g;
const RULE = /^[\s|:+-]+$/;
/** Headers of tables with names on the left and values on the right. */
const VALUE_HEADS: ReadonlySet<string> = new Set([
  'value',
  'values',
  'wert',
  'valor',
  'valeur',
  'content',
  'data',
  'details',
  '',
]);

/** Beside these headers "phone" is a product, and the number below it a product number. */
const ARTICLE_HEADS = /^(?:price|model|sku|stock|colou?r|brand|product|warranty|storage|qty|quantity)$/i;

/** The tables of the last text: its finds are processed one after another. */
let known: { readonly text: string; readonly tables: readonly Table[] } = { text: '', tables: [] };

/**
 * The header of the cell that contains `start`, with the text before it in the cell: `Phone: `. `undefined` outside
 * of tables. The text is read once for all its finds.
 */
export function tableLead(text: string, start: number): string | undefined {
  if (known.text !== text) known = { text, tables: tablesOf(text) };
  const table = tableAt(known.tables, start);
  if (table === undefined) return undefined;
  const lineStart = text.lastIndexOf('\n', start - 1) + 1;
  const cells = splitCells(text.slice(lineStart, start), table.delimiter);
  const cell = cells[cells.length - 1] as string;
  const head = table.heads[cells.length - 1] ?? '';
  // Text in the cell itself is nearer than its header.
  if (LETTER().test(cell)) return undefined;
  const left = headOf(cells[cells.length - 2] ?? '');
  const name = VALUE_HEADS.has(head.toLowerCase()) ? (left ?? head) : head;
  return table.heads.some((other) => ARTICLE_HEADS.test(other)) ? `${name} ` : `${name}: `;
}

/** The name in a cell, empty for an empty one; `undefined` for a value. */
function headOf(cell: string): string | undefined {
  const name = cell.replace(AROUND, '');
  return name.length > LONGEST_HEAD || NO_HEAD.test(name) ? undefined : name;
}

/** Clauses of a sentence are not cells: cells begin without a space, or there are three and more. */
function areCells(cells: readonly string[], delimiter: string): boolean {
  if (cells.length < 2 || cells.length > MOST_CELLS) return false;
  if (delimiter === '|' || delimiter === '\t' || cells.length > 2) return true;
  return !cells.some((cell, index) => index > 0 && cell.startsWith(' '));
}

/** Keeps nothing of a text beyond its search. */
export function forgetTables(): void {
  known = { text: '', tables: [] };
}

function tableAt(tables: readonly Table[], place: number): Table | undefined {
  let low = 0;
  let high = tables.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tables[middle] as Table).start <= place) low = middle + 1;
    else high = middle;
  }
  const table = tables[low - 1];
  return table !== undefined && place < table.end ? table : undefined;
}

function tablesOf(text: string): readonly Table[] {
  const tables: Table[] = [];
  if (!text.includes('\n')) return tables;
  let lineStart = 0;
  while (lineStart < text.length) {
    const headEnd = lineEnd(text, lineStart);
    const table = tableFrom(text, lineStart, headEnd);
    if (table !== undefined) tables.push(table);
    lineStart = table?.end ?? headEnd + 1;
  }
  return tables;
}

/** The table whose headers are on this line: the next line must have as many cells. */
function tableFrom(text: string, start: number, headEnd: number): Table | undefined {
  if (headEnd - start > LONGEST_LINE) return undefined;
  const line = text.slice(start, headEnd);
  for (const delimiter of DELIMITERS) {
    if (!line.includes(delimiter)) continue;
    const cells = splitCells(line, delimiter);
    if (!areCells(cells, delimiter)) continue;
    const heads = cells.map((cell) => headOf(cell) ?? '');
    if (cells.some((cell) => headOf(cell) === undefined) || heads.every((head) => !LETTER().test(head)))
      continue;
    let end = headEnd + 1;
    while (end < text.length) {
      const rowEnd = lineEnd(text, end);
      if (rowEnd - end > LONGEST_LINE) break;
      const row = text.slice(end, rowEnd);
      if (!RULE.test(row) && splitCells(row, delimiter).length !== cells.length) break;
      end = rowEnd + 1;
    }
    if (end > headEnd + 1) return { start: headEnd + 1, end, delimiter, heads };
  }
  return undefined;
}

/** A delimiter within quotes is none (RFC 4180, 2.6). */
function splitCells(line: string, delimiter: string): readonly string[] {
  const whole = line.replace(/\r$/, '');
  if (!whole.includes('"')) return whole.split(delimiter);
  const cells: string[] = [];
  let from = 0;
  let isQuoted = false;
  for (let index = 0; index < whole.length; index++) {
    if (whole[index] === '"') isQuoted = !isQuoted;
    else if (!isQuoted && whole[index] === delimiter) {
      cells.push(whole.slice(from, index));
      from = index + 1;
    }
  }
  cells.push(whole.slice(from));
  return cells;
}

function lineEnd(text: string, start: number): number {
  const end = text.indexOf('\n', start);
  return end < 0 ? text.length : end;
}
