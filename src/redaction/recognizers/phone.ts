import { isJoinedAfter, isJoinedBefore } from '../boundary.ts';
import { keyHint, nearestHint, words } from '../context.ts';
import { forEachRun, runPattern } from '../long-runs.ts';
import type { BuiltInRecognizer, RecognizerResult, TextContext } from '../recognizer.ts';
import { followsVerb, isAnnouncedInText, isMentioned, PHONE_WORDS, touchesPhoneWord } from './phone-words.ts';

/** A maximal run of digits with the separators that telephone numbers have. */
const FIRST_DIGIT = '(?:\\(?\\+ ?\\(?|\\( ?)?\\d';
const CANDIDATE = runPattern(FIRST_DIGIT, '[ ()./-]{0,3}\\d');
/** Parts of a run that are numbers by themselves: apart by two spaces, a stroke, a bracket, in the end by one space. */
const PIECES = [
  runPattern(FIRST_DIGIT, '[().-]{0,2}\\d|(?: \\(| |\\) )\\d'),
  runPattern(FIRST_DIGIT, '[.-]{0,2}\\d| \\d|\\) ?-?\\d'),
  runPattern('(?:\\(?\\+|\\( ?)?\\d', '[().-]{0,2}\\d'),
] as const;
const EXTENSION =
  /^ {0,2}[,;]? ?(?:x|ext\.?=?|extn\.?|extension|durchwahl|poste|anexo|ramal|доб\.?|内線|내선|分机|分機) {0,2}\d{1,6}(?![\w%])/iu;

/** Country calling codes (ITU-T E.164, list of assigned codes). */
const CALLING_CODES: ReadonlySet<string> = words(
  '1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 ' +
    '86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 ' +
    '236 237 238 239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 ' +
    '264 265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 ' +
    '376 377 378 379 380 381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 ' +
    '592 593 594 595 596 597 598 599 670 672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 ' +
    '691 692 800 808 850 852 853 855 856 870 878 880 881 882 883 886 888 960 961 962 963 964 965 966 967 968 970 ' +
    '971 972 973 974 975 976 977 979 992 993 994 995 996 998',
);
/** Fewer are extensions, short codes and house numbers. */
const FEWEST_DIGITS = 7;
/** After its word or under its key a number is one with six too, as in Andorra and Greenland. */
const FEWEST_ANNOUNCED = 6;
const MOST_DIGITS = 15; // E.164, 6.2.1
/** Code units of the longest writing, brackets and spaces included. */
export const LONGEST = 34;

/**
 * Telephone numbers: with `+` or `00` and a calling code that exists, in the separated shapes of North America and of
 * countries that dial `0`, in other groups where a telephone is spoken of, and anything plausible directly after its
 * word ("phone: …") or under a phone key. A bare run of digits is a telephone number only there: ids have the same
 * lengths.
 */
export const phoneRecognizer: BuiltInRecognizer = {
  name: 'phone',
  entities: ['PHONE_NUMBER'],
  patterns: [CANDIDATE, ...PIECES].flatMap(({ start, more }) => [start, more]),
  analyze(text, context): readonly RecognizerResult[] {
    if (text.length < FEWEST_ANNOUNCED) return [];
    const found: RecognizerResult[] = [];
    forEachRun(text, CANDIDATE, FEWEST_ANNOUNCED, (index, run) => {
      findInRun(text, index, run, 0, context, found);
    });
    return found;
  },
};

/** A run can hold several numbers ("415-555-2671 / 415-555-2672") or a number and something else. */
function findInRun(
  text: string,
  offset: number,
  run: string,
  level: number,
  context: TextContext,
  found: RecognizerResult[],
): void {
  const whole = judge(text, offset, run, context) ?? judgeBeginning(text, offset, run, context);
  if (whole !== undefined) {
    found.push(whole);
    return;
  }
  const pattern = PIECES[level];
  if (pattern === undefined || run.length <= 10) return;
  forEachRun(run, pattern, FEWEST_DIGITS, (index, piece) => {
    findInRun(text, offset + index, piece, level + 1, context, found);
  });
}

/** "+44 20 7946 0958 2024-01-15": what stands after an international number is no part of it. */
function judgeBeginning(
  text: string,
  start: number,
  run: string,
  context: TextContext,
): RecognizerResult | undefined {
  if (!/^\(?\+/.test(run)) return undefined;
  for (let end = Math.min(run.length, LONGEST); end > FEWEST_DIGITS; end--) {
    if (!/^\d[ /(]/.test(run.slice(end - 1, end + 1))) continue;
    const result = judge(text, start, run.slice(0, end), context);
    if (result !== undefined) return result;
  }
  return undefined;
}

function judge(text: string, from: number, run: string, context: TextContext): RecognizerResult | undefined {
  if (run.length > LONGEST) return undefined;
  // A bracket that is not closed is one of the sentence.
  const isOpen = run.startsWith('(') && !run.includes(')');
  const source = isOpen ? run.replace(/^\( ?/, '') : run;
  const start = from + run.length - source.length;
  // +44 (0)20 …: the zero is dialled only within the country.
  const digits = source.replace(/^(\(?\+.{1,6})\(0\)/, '$1').replace(/\D/g, '');
  if (
    digits.length < FEWEST_ANNOUNCED ||
    digits.length > MOST_DIGITS + prefixLength(digits) ||
    /^(\d)\1*$/.test(digits)
  )
    return undefined;
  const end = start + source.length;
  const whole = end + extensionLength(text, end);
  if (!standsAlone(text, start, whole)) return undefined;
  const score = scoreOf(text, start, whole, source, digits, context);
  return score === undefined ? undefined : { entityType: 'PHONE_NUMBER', start, end: whole, score };
}

/** Digits that are dialled before a calling code: 00, 011, 0011. */
function prefixLength(digits: string): number {
  return /^(?:0011|011|00)/.exec(digits)?.[0].length ?? 0;
}

/** Code units of the extension that follows a number (" ext. 12"); 0 without one. */
export function extensionLength(text: string, end: number): number {
  return EXTENSION.exec(text.slice(end, end + 24))?.[0].length ?? 0;
}

/** Whether a find is no part of a longer word, number or name. */
export function standsAlone(text: string, start: number, end: number): boolean {
  const before = text[start - 1] ?? '';
  const next = text[end] ?? '';
  if (/[+#\p{Sc}]/u.test(before) || next === '%' || isJoinedAfter(text, end)) return false;
  const isInternational = /^\(?\+/.test(text.slice(start, start + 2));
  // "Tel+49…"; "3+4155552671" is a sum.
  if (isJoinedBefore(text, start)) {
    // "+14155552671+14155552672": each begins where the other ends, or each pass would find one more.
    const isChained = isInternational && /\+\d{7,15}$/.test(text.slice(Math.max(0, start - 16), start));
    if (!isChained && !(isInternational && touchesPhoneWord(text, start, end) === 'before')) return false;
  }
  if (/[-./]/.test(before) && isJoinedBefore(text, start - 1)) {
    if (!isInternational && touchesPhoneWord(text, start, end) !== 'before') return false;
    if (isInternational && before !== '.' && /\d/.test(text[start - 2] ?? '')) return false;
  }
  if (!/[-/@]/.test(next) || !/[A-Za-z_]/.test(text[end + 1] ?? '')) return true;
  return next !== '@' && (isInternational || touchesPhoneWord(text, start, end) === 'after');
}

function scoreOf(
  text: string,
  start: number,
  end: number,
  source: string,
  digits: string,
  context: TextContext,
): number | undefined {
  if (/^\(?\+/.test(source)) return isInternational(digits) || AMERICAN.test(source) ? 0.9 : undefined;
  if (isDate(source)) return undefined;
  if (isAnnounced(text, start, context, digits)) return 0.85;
  if (digits.length < FEWEST_DIGITS) return undefined;
  const isBare = /^\d+$/.test(source);
  if (isBare && !isDialledAbroad(source, digits)) return undefined;
  const hint = nearestHint(text, start, PHONE_WORDS);
  if (hint === 'denies' || (hint === undefined && keyHint(context, PHONE_WORDS) === 'denies'))
    return undefined;
  if (isDialledAbroad(source, digits)) return 0.8;
  const shape = shapeOf(source, digits);
  if (shape === 'marked') return 0.65;
  if (shape === 'plain' && isNorthAmerican(digits)) return 0.65;
  const isNamed = hint === 'supports' || followsVerb(text, start);
  return isGrouped(source, digits, isNamed) && isMentioned(text, start, end) ? 0.7 : undefined;
}

/** @param digits Calling code and national number. */
function isInternational(digits: string): boolean {
  const code = [1, 2, 3].map((length) => digits.slice(0, length)).find((prefix) => CALLING_CODES.has(prefix));
  if (code === undefined) return false;
  if (code === '1') return digits.length === 11 && isNorthAmerican(digits.slice(1));
  const national = digits.slice(code.length);
  // The fewest digits are those of islands: Niue and Tokelau have four.
  const fewest = code.length === 3 ? 4 : 5;
  return (
    national.length >= fewest &&
    national.length <= 13 &&
    !/^(\d)\1*$/.test(national) &&
    !national.startsWith('00')
  );
}

/** Written as in North America, whatever its plan says: made-up numbers are written so too. */
const AMERICAN = /^(?:\(?\+1\)?|001)[ .-]?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}$/;

/** `00` and what would stand after `+`, in groups; groups of two throughout are bytes. */
function isDialledAbroad(source: string, digits: string): boolean {
  const prefix = /^(?:0011|011)(?=[ -]\d)/.exec(source)?.[0]; // from Australia, from North America
  if (prefix !== undefined && isInternational(digits.slice(prefix.length))) return true;
  if (!/^\(?00[ .-]?\(?[1-9]/.test(source)) return false;
  // A bare run can be a padded id or a barcode: it needs a whole number of some country, and no check digit.
  if (source === digits) {
    return (
      !digits.startsWith('001') &&
      digits.length >= 12 &&
      !isArticleNumber(digits) &&
      isInternational(digits.slice(2))
    );
  }
  // Bytes, code points, a decimal.
  if (/^\d\d(?:[ .-]\d\d)+$|^\d{4}(?: \d{4})+$|^\d+\.\d+$/.test(source)) return false;
  return isInternational(digits.slice(2)) || AMERICAN.test(source);
}

/** GTIN-12 to GTIN-14 with zeros before (GS1, check digit). */
function isArticleNumber(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    sum += Number(digits[digits.length - 1 - index]) * (index % 2 === 0 ? 1 : 3);
  }
  return digits.length >= 12 && digits.length <= 14 && sum % 10 === 0;
}

/** North American Numbering Plan: NXX-NXX-XXXX, N from 2 to 9; a leading 1 may stand before it. */
function isNorthAmerican(digits: string): boolean {
  return /^1?[2-9]\d{2}[2-9]\d{6}$/.test(digits);
}

/** How a number that nothing announces is written; `plain` shapes need a numbering plan besides. */
function shapeOf(source: string, digits: string): 'marked' | 'plain' | undefined {
  if (/^(?:1[ .-]?)?\( ?\d{3} ?\)[ .-]{0,2}\d{3}[ .-]?\d{4}$/.test(source)) return 'marked';
  if (/^(?:1-)?\d{3}-\d{3}-\d{4}$/.test(source)) return 'marked';
  if (/^(?:1[ .])?\d{3}([ .])\d{3}[ .-]\d{4}$/.test(source)) return 'plain';
  // Mobile numbers of China, numbers of Russia with the trunk prefix 8.
  if (/^1[3-9]\d([ -])\d{4}\1\d{4}$/.test(source)) return 'marked';
  if (/^8[ -]?(?:\([3-9]\d{2}\) ?|[3-9]\d{2}[ -])\d{3}[ -]\d{2}[ -]\d{2}$/.test(source)) return 'marked';
  const count = digits.length;
  // An area code in brackets: (02) 9876 5432, (11) 91234-5678; no year, no range of years.
  if (/^\((?!(?:19|20)\d\d\))\d{2,5}\)[ -]?\d{2,5}(?:[ .-]?\d{2,5}){1,3}$/.test(source)) {
    return count >= 9 && count <= 12 && !/(?:19|20)\d\d-(?:19|20)\d\d$/.test(source) ? 'marked' : undefined;
  }
  // Countries that dial 0 first: 020 7946 0958, 07911 123456, 0171/12345678, 01 23 45 67 89, (0)20 …, 02 123 45 67
  if (/^\(?0[1-9]\d{0,4}\)?(?:[ /-]\d{2,8}){1,4}$/.test(source)) {
    if (count === 10 || count === 11) return 'marked';
    if (count === 12 && /^0\d{2,4}[ /-]\d{7,9}$/.test(source)) return 'marked';
    return /^0[1-9][ -]\d{3}[ -]?\d{2}[ -]?\d{2}$/.test(source) ? 'marked' : undefined;
  }
  return /^0[1-9](?:\.\d\d){4}$/.test(source) ? 'marked' : undefined;
}

/**
 * Groups as people write them, of any country.
 *
 * @param isNamed A telephone word or "call" stands directly before: then it may have two groups.
 */
function isGrouped(source: string, digits: string, isNamed: boolean): boolean {
  if (digits.length > 13 || OTHER_NUMBERS.some((form) => form.test(source))) return false;
  if (!isNamed) {
    const groups = source.match(/\d+/g) as readonly string[];
    if (groups.length < 3 && digits.length <= 8) return false; // 1000-2000, 360 640
  }
  if (!isNamed || /0{3}\D|0{3}$/.test(source)) {
    if (/^\d{1,3}(?:[ .]\d{3})+$/.test(source) && !/^\d{3}( \d{3}){2}$/.test(source)) return false; // 1 234 567
    if (/^\d+00[ -]+\d+00$/.test(source)) return false; // 10000-20000
  }
  return /^\(?\d{1,5}\)?(?:[ ./-]{1,2}\(?\d{1,8}\)?){1,6}$/.test(source);
}

/** What has groups too: four octets, decimals and pairs of them, years, ISBNs, days with a time. */
const OTHER_NUMBERS: readonly RegExp[] = [
  /^\d{1,3}(?:\.\d{1,3}){3}$/,
  /^0\.\d/,
  /^\d{1,3}\.\d{2,8}[ /-]+\d{1,3}\.\d{2,8}$/,
  /^(?:19|20)\d\d[ ./-]+(?:19|20)\d\d$/,
  /^97[89][ -]/,
  /^[0-3]?\d([./-])[01]?\d\1\d\d(?:\d\d)? +\d{1,2}(?:[.-]\d\d)?$/,
];

/** 2024-01-15 12, 15.01.2024, 01/15/2024 10 */
export function isDate(source: string): boolean {
  return (
    /^(?:19|20)\d{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])(?!\d)/.test(source) ||
    /^(?:0?[1-9]|[12]\d|3[01])[-./](?:0?[1-9]|[12]\d|3[01])[-./](?:19|20)\d{2}(?!\d)/.test(source)
  );
}

/** Directly after its word, or under a phone key that is not the key of an id. */
export function isAnnounced(text: string, start: number, context: TextContext, digits: string): boolean {
  if (keyHint(context, PHONE_WORDS) === 'supports') {
    return start <= 1 || nearestHint(text, start, PHONE_WORDS) !== 'denies';
  }
  return isAnnouncedInText(text, start, digits);
}
