import { invalidOption } from '../options.ts';

/** What becomes of a find. */
export type Operator =
  /** Puts `with` in its place, by default the entity's name: `<EMAIL_ADDRESS>`. */
  | { readonly type: 'replace'; readonly with?: string }
  /** Covers its letters and digits with `char` (default `*`), all but the first and last few. */
  | {
      readonly type: 'mask';
      readonly char?: string;
      readonly keepFirst?: number;
      readonly keepLast?: number;
    };

/** An operator, or the name of one that needs no options. */
export type OperatorOption = Operator | 'replace' | 'mask';

/** An operator that is ready to work. */
export interface PreparedOperator {
  readonly type: Operator['type'];
  apply(value: string, entityType: string): string;
}

const FIELDS: Readonly<Record<Operator['type'], readonly string[]>> = {
  replace: ['with'],
  mask: ['char', 'keepFirst', 'keepLast'],
};

/** Checks an operator and makes it ready. Throws `ERR_INVALID_OPTION`. */
export function prepareOperator(where: string, option: string, value: unknown): PreparedOperator {
  const operator = (typeof value === 'string' ? { type: value } : value) as Operator;
  const names = Object.keys(FIELDS).join(', ');
  if (typeof operator !== 'object' || operator === null || !Object.hasOwn(FIELDS, operator.type)) {
    invalidOption(where, option, `an operator (${names}) or an object with such a type`, value);
  }
  for (const field of Object.keys(operator)) {
    if (field !== 'type' && !FIELDS[operator.type].includes(field)) {
      invalidOption(where, `${option}.${field}`, `absent (${operator.type} has no such field)`, undefined);
    }
  }
  if (operator.type === 'mask') return maskOperator(where, option, operator);
  return replaceOperator(where, option, operator);
}

function replaceOperator(
  where: string,
  option: string,
  operator: Extract<Operator, { type: 'replace' }>,
): PreparedOperator {
  const replacement = operator.with;
  if (replacement !== undefined && typeof replacement !== 'string') {
    invalidOption(where, `${option}.with`, 'a string', replacement);
  }
  return { type: 'replace', apply: (_value, entityType) => replacement ?? `<${entityType}>` };
}

function maskOperator(
  where: string,
  option: string,
  operator: Extract<Operator, { type: 'mask' }>,
): PreparedOperator {
  const { char = '*', keepFirst = 0, keepLast = 0 } = operator;
  if (typeof char !== 'string' || Array.from(char).length !== 1 || /[\p{L}\p{N}@]/u.test(char)) {
    invalidOption(where, `${option}.char`, 'one character that is no letter, digit or @', char);
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
  return /[\p{L}\p{M}\p{N}]/u.test(character);
}
