const AMPERSAND = 0x26;
const EQUALS = 0x3d;
const QUESTION = 0x3f;
const LONGEST_NAME = 64;
const QUOTES = '"\'`';

const NAME = 1;
const VALUE = 2;
/** A value has one of these directly before a space. */
const BEFORE = 4;
/** And one of these behind it. */
const BEHIND = 8;
const LINE_END = 16;
const CHARACTERS: readonly (readonly [pattern: RegExp, bit: number])[] = [
  [/[A-Za-z0-9_.%[\]-]/, NAME],
  [/[A-Za-z0-9_.~*%+:@,/()!-]/, VALUE],
  [/[A-Za-z0-9_.,:!)]/, BEFORE],
  [/[A-Za-z0-9_%(]/, BEHIND],
  [/[\r\n]/, LINE_END],
];
const TRAITS: Uint8Array = Uint8Array.from({ length: 0x80 }, (_, code) =>
  CHARACTERS.reduce((all, [pattern, bit]) => all | (pattern.test(String.fromCharCode(code)) ? bit : 0), 0),
);

/** Reads the spaces of text that a form sends (WHATWG URL, 5.1). */
export interface FormReader {
  /**
   * Whether the `+` at `index` is a space: in a value of `?name=value` or of `name=value&name=value`, or in a text or in
   * quotes that hold one such pair. Elsewhere it adds, or is a part of Base64. To be called in the order of the text.
   */
  isSpace(index: number): boolean;
}

/** @param codeAt The code units of the text; of ASCII are enough. */
export function formReader(codeAt: (index: number) => number, length: number): FormReader {
  // All of one value are spaces, or none: each character is read once.
  let last = -1;
  let wasSpace = false;

  const has = (index: number, bit: number): boolean => ((TRAITS[codeAt(index)] ?? 0) & bit) !== 0;
  /** The first place at or behind `from` of no such character. */
  const endOf = (from: number, bit: number): number => {
    let index = from;
    while (index < length && has(index, bit)) index++;
    return index;
  };
  const isPair = (equals: number, index: number): boolean => {
    let start = equals;
    while (start > 0 && equals - start < LONGEST_NAME && has(start - 1, NAME)) start--;
    if (start === equals) return false;
    const before = start === 0 ? -1 : codeAt(start - 1);
    if (before === QUESTION || before === AMPERSAND) return true;
    const end = endOf(index, VALUE);
    if (start === 0 && endOf(end, LINE_END) === length) return true;
    if (end === length) return false;
    if (codeAt(end) === before && QUOTES.includes(String.fromCharCode(before))) return true;
    if (codeAt(end) !== AMPERSAND) return false;
    const next = endOf(end + 1, NAME);
    return next > end + 1 && next < length && codeAt(next) === EQUALS;
  };
  const judge = (index: number): boolean => {
    for (let place = index - 1; place > 0; place--) {
      if (place === last) return wasSpace;
      if (has(place, VALUE)) continue;
      return codeAt(place) === EQUALS && isPair(place, index);
    }
    return false;
  };

  return {
    isSpace(index) {
      if (index === 0 || !has(index - 1, BEFORE) || !has(index + 1, BEHIND)) return false;
      wasSpace = judge(index);
      last = index;
      return wasSpace;
    },
  };
}
