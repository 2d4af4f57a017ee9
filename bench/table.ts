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

/** `1.35 [1.28..1.44]` */
export function ratio({ ratio: median, spread: [low, high] }: Result): string {
  return `${digits(median)} [${digits(low)}..${digits(high)}]`;
}

export function time({ microseconds }: Result): string {
  return microseconds >= 10_000
    ? `${(microseconds / 1_000).toFixed(0)} ms`
    : microseconds >= 1_000
      ? `${(microseconds / 1_000).toFixed(1)} ms`
      : `${microseconds.toFixed(microseconds >= 100 ? 0 : 1)} us`;
}

function digits(value: number): string {
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
