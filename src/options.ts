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

/**
 * What a function of the application returned that has to return at once. A promise is an object, which is neither `false` nor a number,
 * so it would decide without an error.
 *
 * @param option The name of the function.
 */
export function atOnce<T>(where: string, option: string, result: T): T {
  if (!dropPromise(result)) return result;
  return invalidOption(
    where,
    option,
    'a function that returns its result at once, and not a promise',
    result,
  );
}

/** Whether a value is a promise. Nobody waits for it then: its error must not end the process. */
export function dropPromise(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('then' in value)) return false;
  if (typeof value.then !== 'function') return false;
  void Promise.resolve(value).then(undefined, () => undefined);
  return true;
}

/** Whether JSON would call it an object: a list is none. */
export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Checks that a value is a plain object: what an object literal makes. A `Map`, an instance of a class, inherited
 * or symbol keys and accessors would be read as missing options, without an error.
 */
export function checkPlainObject(
  where: string,
  option: string,
  rule: string,
  value: unknown,
): asserts value is Readonly<Record<string, unknown>> {
  if (!isObject(value)) {
    invalidOption(where, option, rule, value);
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    refuseObject(where, option, rule, 'an instance of a class, or an object that inherits properties');
  }
  for (const key of Reflect.ownKeys(value)) {
    const property = Reflect.getOwnPropertyDescriptor(value, key);
    if (typeof key === 'symbol') refuseObject(where, option, rule, 'an object with a symbol key');
    if (property === undefined || !('value' in property))
      refuseObject(where, option, rule, 'an object with an accessor');
    if (property.enumerable !== true)
      refuseObject(where, option, rule, 'an object with a non-enumerable property');
  }
}

function refuseObject(where: string, option: string, rule: string, what: string): never {
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${where}: ${option} must be ${rule}, a plain object with properties of its own; this is ${what}.`,
  );
}

/** Checks that `options` is a plain object with known names only. */
export function checkOptions(where: string, options: unknown, known: readonly string[]): void {
  checkPlainObject(where, 'options', 'an object', options);
  Object.keys(options).forEach((name, index, names) => {
    if (known.includes(name)) return;
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: unknown option ${shownName(name) ?? `(number ${index + 1} of ${names.length})`}. ` +
        `Known: ${known.join(', ')}.`,
    );
  });
}

/** A name in quotes if it looks like the name of an option; a key of an object can be anything, also a secret. */
export function shownName(name: string): string | undefined {
  return /^[A-Za-z][a-zA-Z]{0,31}$/.test(name) ? JSON.stringify(name) : undefined;
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

/** The type of a value without the value: a PIN or a token can be a number. */
export function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return kindOfNumber(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`.replace('a undefined', 'undefined');
}

function kindOfNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return 'an infinite number';
  if (value === 0) return 'zero';
  if (!Number.isInteger(value)) return 'a number with a fraction';
  return value < 0 ? 'a negative number' : 'a positive number';
}
