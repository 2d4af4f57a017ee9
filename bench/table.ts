import type { Panel, Unit } from './group.ts';
import type { Result } from './rounds.ts';

/** Rows of cells as lines, the first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] as number;
          return column === 0 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** With more candidates than this, measurements are in rows and candidates in columns. */
const MOST_COLUMNS = 4;

/** The baseline in its unit, the others as multiples of it: a row for each candidate, or a column. */
export function panelTable(panel: Panel): string {
  const names = panel.columns[0]?.results.map(({ name }) => name) ?? [];
  const rows = names.map((name, row) => [
    name,
    ...panel.columns.map(({ results }) => cell(results[row] as Result, panel)),
  ]);
  const all = [[panel.title, ...panel.columns.map(({ title }) => title)], ...rows];
  if (panel.columns.length <= MOST_COLUMNS) return table(all);
  return table((all[0] as string[]).map((_, column) => all.map((row) => row[column] as string)));
}

function cell(result: Result, { base, unit }: Panel): string {
  return result.name === base ? amount(result.median, unit) : ratio(result);
}

/** `1.35 [1.28..1.44]` */
export function ratio({ ratio: median, spread: [low, high] }: Result): string {
  return `${digits(median)} [${digits(low)}..${digits(high)}]`;
}

export function amount(value: number, unit: Unit): string {
  return unit === 'time' ? time(value) : bytes(value);
}

function time(microseconds: number): string {
  if (microseconds >= 10_000) return `${(microseconds / 1_000).toFixed(0)} ms`;
  if (microseconds >= 1_000) return `${(microseconds / 1_000).toFixed(1)} ms`;
  return `${microseconds.toFixed(microseconds >= 100 ? 0 : microseconds >= 1 ? 1 : 2)} us`;
}

function bytes(value: number): string {
  return value >= 1_000 ? `${(value / 1_000).toFixed(1)} kB` : `${Number(value.toFixed(2))} B`;
}

export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
