import type { MaybePromise } from '../layer.ts';
import { checkOptions, invalidOption } from '../options.ts';
import { keyedHash, parseHashKey, type HashKey } from './keyed-hash.ts';
import { tokenFor } from './token.ts';
import { latePattern } from './late.ts';

const NO_MASK = latePattern(String.raw`[\p{L}\p{N}@]`, 'u');
const CHARACTER = latePattern(String.raw`[\p{L}\p{M}\p{N}]`, 'u');

/** The context that a custom operator gets with the value. */
export interface OperatorContext {
  readonly entityType: string;
  /** `content[0].text`, `arguments.customer.email`. */
  readonly path: string;
}

/** The replacement of a find in a JSON number: a text, `null`, or a number of as many digits, all nines. */
export type NumberReplacement = 'text' | 'null' | 'digits';

/**
 * How a find is replaced. `numbers` sets the replacement of a JSON number, for tools whose schema refuses a text
 * there; default `'text'`, the same as for texts. The result of `custom` stays a number when it is digits only.
 */
export type Operator =
  /** Replaces it by `with`, by default the entity's name: `<EMAIL_ADDRESS>`. */
  | { readonly type: 'replace'; readonly with?: string; readonly numbers?: NumberReplacement }
  /** Removes it. */
  | { readonly type: 'redact'; readonly numbers?: NumberReplacement }
  /**
   * Covers its letters and digits with `char` (default `*`), all but the first and last few (default 0, at most 8,
   * and never more than a third).
   */
  | {
      readonly type: 'mask';
      readonly char?: string;
      readonly keepFirst?: number;
      readonly keepLast?: number;
      readonly numbers?: NumberReplacement;
    }
  /**
   * Replaces it by 128 bits of its HMAC-SHA-256: the same for the same value, reversible only by trying all values
   * with the key.
   */
  | { readonly type: 'hash'; readonly key: HashKey; readonly numbers?: NumberReplacement }
  /**
   * Replaces it by a token: the same for the same value across turns, processes and retries. With a `vault`, {@link
   * restoreToolArguments} restores the values.
   */
  | { readonly type: 'pseudonymize'; readonly key: HashKey }
  /** Reports it and does not change it; other finds in it are changed, unless only this one is proven (by a checksum). */
  | { readonly type: 'keep' }
  /** Refuses the write with `ERR_PII_BLOCKED`; on reads it works like `replace`. */
  | { readonly type: 'block' }
  /**
   * A custom function. It must return the same for the same value, and a text that is not found again; a promise
   * always or never.
   */
  | {
      readonly type: 'custom';
      readonly apply: (value: string, context: OperatorContext) => MaybePromise<string>;
    };

/** An operator, or the name of one that needs no options. */
export type OperatorOption = Operator | 'replace' | 'redact' | 'mask' | 'keep' | 'block';

/** A checked operator, ready for use. */
export interface PreparedOperator {
  readonly type: Operator['type'];
  /** The replacement of a JSON number; absent: the result of `apply`. */
  readonly numbers?: 'null' | 'digits';
  apply(value: string, context: OperatorContext): MaybePromise<string>;
}

const FIELDS: Readonly<Record<Operator['type'], readonly string[]>> = {
  replace: ['with', 'numbers'],
  redact: ['numbers'],
  mask: ['char', 'keepFirst', 'keepLast', 'numbers'],
  hash: ['key', 'numbers'],
  pseudonymize: ['key'],
  keep: [],
  block: [],
  custom: ['apply'],
};

/** Checks and prepares an operator. Throws `ERR_INVALID_OPTION`. */
export function prepareOperator(where: string, option: string, value: unknown): PreparedOperator {
  const operator = (typeof value === 'string' ? { type: value } : value) as Operator;
  const names = Object.keys(FIELDS).join(', ');
  if (typeof operator !== 'object' || operator === null || !Object.hasOwn(FIELDS, operator.type)) {
    invalidOption(where, option, `an operator (${names}) or an object with one of them as type`, value);
  }
  checkOptions(`${where}: ${option}`, operator, ['type', ...FIELDS[operator.type]]);
  const { numbers = 'text' } = operator as { readonly numbers?: NumberReplacement };
  if (numbers !== 'text' && numbers !== 'null' && numbers !== 'digits') {
    invalidOption(where, `${option}.numbers`, "'text', 'null' or 'digits'", numbers);
  }
  const prepared = PREPARE[operator.type](where, option, operator as never);
  return numbers === 'text' ? prepared : { ...prepared, numbers };
}

type Preparation<T extends Operator['type']> = (
  where: string,
  option: string,
  operator: Extract<Operator, { type: T }>,
) => PreparedOperator;

const PREPARE: { readonly [T in Operator['type']]: Preparation<T> } = {
  replace(where, option, operator) {
    const replacement = operator.with;
    if (replacement !== undefined && typeof replacement !== 'string') {
      invalidOption(where, `${option}.with`, 'a string', replacement);
    }
    return { type: 'replace', apply: (_value, { entityType }) => replacement ?? placeholder(entityType) };
  },
  redact: () => ({ type: 'redact', apply: () => '' }),
  mask(where, option, operator) {
    const { char = '*', keepFirst = 0, keepLast = 0 } = operator;
    if (typeof char !== 'string' || Array.from(char).length !== 1 || NO_MASK().test(char)) {
      invalidOption(where, `${option}.char`, 'one character other than a letter, a digit or @', char);
    }
    for (const [name, count] of [
      ['keepFirst', keepFirst],
      ['keepLast', keepLast],
    ] as const) {
      if (!Number.isSafeInteger(count) || count < 0 || count > 8) {
        invalidOption(where, `${option}.${name}`, 'a whole number from 0 to 8', count);
      }
    }
    return { type: 'mask', apply: (value) => mask(value, char, keepFirst, keepLast) };
  },
  hash(where, option, operator) {
    const key = parseHashKey(where, `${option}.key`, operator.key);
    return {
      type: 'hash',
      apply: (value, { entityType }) => {
        const hash = keyedHash(key, 'strongroom/hash', entityType, value);
        return `<${entityType}#${hex(hash.subarray(0, 16))}>`;
      },
    };
  },
  pseudonymize(where, option, operator) {
    const key = parseHashKey(where, `${option}.key`, operator.key);
    return { type: 'pseudonymize', apply: (value, { entityType }) => tokenFor(key, entityType, value) };
  },
  keep: () => ({ type: 'keep', apply: (value) => value }),
  block: () => ({ type: 'block', apply: (_value, { entityType }) => placeholder(entityType) }),
  custom(where, option, operator) {
    const { apply } = operator;
    if (typeof apply !== 'function') invalidOption(where, `${option}.apply`, 'a function', apply);
    return { type: 'custom', apply: (value, context) => apply(value, context) };
  },
};

function placeholder(entityType: string): string {
  return `<${entityType}>`;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Letters and digits are covered, separators stay; at most a third of them may be kept, for short values. */
function mask(value: string, char: string, keepFirst: number, keepLast: number): string {
  const characters = Array.from(value);
  const total = characters.filter(isContent).length;
  const most = Math.floor(total / 3);
  const last = Math.min(keepLast, most);
  const first = Math.min(keepFirst, most - last);
  let seen = 0;
  return characters
    .map((character) => {
      if (!isContent(character)) return character;
      seen++;
      return seen <= first || seen > total - last ? character : char;
    })
    .join('');
}

function isContent(character: string): boolean {
  return CHARACTER().test(character);
}
