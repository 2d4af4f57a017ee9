const NUMBER = new Intl.NumberFormat('en-GB');

/** `12,345`. */
export function number(value: number): string {
  return NUMBER.format(value);
}

/** `1 item`, `12,345 items`. */
export function count(value: number, noun: string): string {
  return `${number(value)} ${value === 1 ? noun : pluralOf(noun)}`;
}

function pluralOf(noun: string): string {
  return noun.endsWith('y') && !/[aeo]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}

/** `37.5%`; never 0% or 100% of what is not none or all. */
export function share(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0%';
  if (part === whole) return '100%';
  return `${Math.min(99.9, Math.max(0.1, (100 * part) / whole)).toFixed(1)}%`;
}

/** `2026-11-27 18:40 UTC`. */
export function time(milliseconds: number): string {
  return isDate(milliseconds)
    ? `${new Date(milliseconds).toISOString().slice(0, 16).replace('T', ' ')} UTC`
    : 'unreadable time';
}

/** `2026-11-27`. */
export function day(milliseconds: number): string {
  return isDate(milliseconds) ? new Date(milliseconds).toISOString().slice(0, 10) : 'unreadable time';
}

function isDate(milliseconds: number): boolean {
  return Number.isFinite(milliseconds) && Math.abs(milliseconds) < 8.64e15;
}

const UNITS: readonly (readonly [number, string])[] = [
  [365 * 86_400_000, 'year'],
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1_000, 'second'],
];

/** `30 days`, `12 hours`: in the largest unit of which there are at least two, rounded. Years only from two on. */
export function duration(milliseconds: number): string {
  const value = Math.abs(milliseconds);
  for (const [unit, name] of UNITS) {
    if (value >= 2 * unit || (value >= unit && value % unit === 0))
      return count(Math.round(value / unit), name);
    if (name === 'day' && value >= unit) return count(Math.round(value / 3_600_000), 'hour');
  }
  return value < 1_000 ? count(Math.round(value), 'millisecond') : count(Math.round(value / 1_000), 'second');
}

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `1.5 MiB`. */
export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 1_024 && unit < SIZES.length - 1) {
    size /= 1_024;
    unit++;
  }
  return `${unit === 0 ? number(size) : size.toFixed(1)} ${SIZES[unit] as string}`;
}
