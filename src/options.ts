import { StrongroomError } from './errors.ts';

/** Milliseconds, or a number with a unit: `'15m'`, `'12h'`, `'30d'`. Units: `ms`, `s`, `m`, `h`, `d`, `w`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}`;

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Throws `ERR_INVALID_OPTION`; the value is named by its type only, because it may be a secret. */
export function invalidOption(where: string, option: string, rule: string, value: unknown): never {
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${where}: ${option} must be ${rule}, got ${typeOf(value)}.`,
  );
}

/** Checks that `options` is an object with known names only. */
export function checkOptions(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    invalidOption(where, 'options', 'an object', options);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: unknown option ${JSON.stringify(name)}. Known: ${known.join(', ')}.`,
    );
  }
}

/** Milliseconds of a {@link Duration}; positive and finite, or `ERR_INVALID_OPTION`. */
export function parseDuration(where: string, option: string, value: unknown): number {
  const rule = "a positive number of milliseconds or a duration such as '15m', '12h' or '30d'";
  let milliseconds = value;
  if (typeof value === 'string') {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(value);
    if (match === null) invalidOption(where, option, rule, value);
    milliseconds = Number(match[1]) * (UNITS[match[2] as string] as number);
  }
  if (typeof milliseconds !== 'number' || !Number.isFinite(milliseconds) || milliseconds <= 0) {
    invalidOption(where, option, rule, value);
  }
  return milliseconds;
}

/** A positive safe integer, or `ERR_INVALID_OPTION`. */
export function parseCount(where: string, option: string, value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) <= 0) {
    invalidOption(where, option, 'a positive whole number', value);
  }
  return value as number;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number')
    return Number.isFinite(value) ? `the number ${value}` : `the number ${String(value)}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`.replace('a undefined', 'undefined');
}
