import { latePattern } from '../late.ts';

const PLACEHOLDER = latePattern(
  String.raw`x{6}|(?<![\p{L}\p{N}])your|(?:enter|insert|put|add|use|paste|type)[ _.-]?your|placeholder|changeme|redacted|insert.?here`,
  'iu',
);
/** Four equal signs, as in a mask; a password can end with some. */
const SIGNS = latePattern(String.raw`(?![\p{L}\p{N}=/+_-])(.)\1{3}`, 'u');
const CONTENT = latePattern(String.raw`[\p{L}\p{N}]`, 'gu');

/** What operators write: `<API_KEY>`, `<API_KEY#6f2c…>`, `<API_KEY_bcdf…>`. */
const OUTPUT = /^<[A-Z][A-Z0-9_]{0,63}(?:[#>]|_[a-z])/;

const SHORTEST = 16;
/** This many characters of a value are checked. */
const LOOK = 128;

/**
 * Whether it is a stand-in for a secret: `YOUR_API_KEY_HERE`, `xxxxxx`, `********`, `${TOKEN}`, or the output of an
 * operator. The symbols of Base64 can repeat in a secret: each session token of AWS has some bytes of ones in a
 * row, `//////////`.
 */
export function isStandIn(value: string): boolean {
  const piece = value.slice(0, LOOK);
  return OUTPUT.test(value) || PLACEHOLDER().test(piece) || isMask(piece);
}

function isMask(value: string): boolean {
  return SIGNS().test(value) && 2 * (value.match(CONTENT())?.length ?? 0) <= value.length;
}

/** The same for keys, which have many different characters. */
export function isPlaceholder(value: string): boolean {
  return isStandIn(value) || new Set(value.slice(0, LOOK).toLowerCase()).size < 8;
}

/** Letters and digits mixed, many different ones: no word, no date, no path. */
export function looksRandom(value: string, shortest: number = SHORTEST): boolean {
  if (value.length < shortest || isPlaceholder(value) || isReference(value)) return false;
  const piece = value.slice(0, LOOK);
  const isMixed = /[a-z]/.test(piece) && /[A-Z]/.test(piece);
  const digits = piece.match(/\d/g)?.length ?? 0;
  return /[A-Za-z]/.test(piece) && digits >= (isMixed ? 1 : 3) && new Set(piece).size >= 10;
}

/** Whether it refers to a secret and is not one: a path, an address, a variable, a call. */
export function isReference(value: string): boolean {
  return (
    /^[a-z][a-z0-9+.-]{1,24}:\/\//i.test(value) ||
    /^(?:~|\.{1,2})?\/(?:[\w.-]{1,64}\/){0,8}[a-z]{3,}(?:[./_-]|$)/.test(value) ||
    /^[A-Za-z]:\\/.test(value) ||
    /^(?:\$(?:[{(]|[A-Za-z_]+$)|%[A-Za-z_]+%?$|[{<[(])/.test(value) ||
    /^@?\w{1,64}(?:\.\w{1,64}){0,8}[([]/.test(value) ||
    /^(?:process\.env|os\.environ|env|config|settings|self|this|req|request|res|user|data|props|params|args|body|form|input|state|secrets?|vars?|local|module|ctx|context|options|opts)\./i.test(
      value,
    )
  );
}
