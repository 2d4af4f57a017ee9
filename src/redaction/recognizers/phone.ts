import { keyHint, nearestHint, words, wordsBefore } from '../context.ts';
import type { BuiltInRecognizer, RecognizerResult, TextContext } from '../recognizer.ts';

/** A maximal run of digits with the separators that telephone numbers have. */
const CANDIDATE = /(?:\+ ?|\( ?)?\d(?:[ ()./-]{0,3}\d)*/g;
const EXTENSION = /^ {0,2}(?:x|ext\.?|extension|durchwahl|poste) {0,2}\d{1,6}(?![\p{L}\p{N}_])/iu;
/** Words and keys that speak for a telephone number. */
export const PHONE_WORDS: ReadonlySet<string> = words(
  'phone phones telephone tel tels mobile mobiles cell cellphone cellular fax whatsapp sms hotline landline ' +
    'telefon telefonnummer teléfono telefono téléphone telephon handy handynummer mobil portable móvil movil ' +
    'celular cellulare telefonino telefone rufnummer phonenumber mobilenumber phoneno msisdn',
);
/** "phone *number is* 415…", "tel*:* 415…": a phone as a thing ("the phone 1008948180") has none of these. */
const NUMBER_WORDS = words('number numbers num no nr nummer numero número numéro is at on ist es est');
const CALLING =
  /\b(?:call|text|ring|phone|reach|dial|message) (?:me|us|him|her|them) (?:at|on|under|via):? ?$/i;

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
export const FEWEST_DIGITS = 7;
const MOST_DIGITS = 15; // E.164, 6.2.1
/** Code units of the longest writing, brackets and spaces included. */
export const LONGEST = 34;

/**
 * Telephone numbers: with `+` and a calling code that exists, in the separated shapes of North America and of
 * countries that dial `0`, and anything plausible directly after its word ("phone: …") or under a phone key. A bare
 * run of digits is a telephone number only there: ids have the same lengths.
 */
export const phoneRecognizer: BuiltInRecognizer = {
  name: 'phone',
  entities: ['PHONE_NUMBER'],
  patterns: [CANDIDATE],
  analyze(text, context): readonly RecognizerResult[] {
    if (text.length < FEWEST_DIGITS) return [];
    const found: RecognizerResult[] = [];
    for (const match of text.matchAll(CANDIDATE)) {
      if (match[0].length < FEWEST_DIGITS) continue;
      const whole = judge(text, match.index, match[0], context);
      if (whole !== undefined) found.push(whole);
      else if (match[0].length > 10) found.push(...pieces(text, match.index, match[0], context));
    }
    return found;
  },
};

/** A run can hold several numbers ("415-555-2671 / 415-555-2672") or a number and something else. */
function pieces(text: string, offset: number, run: string, context: TextContext): RecognizerResult[] {
  const found: RecognizerResult[] = [];
  let from = 0;
  for (const shape of run.matchAll(/(?:\+ ?|\( ?)?\d(?:[().-]{0,2}\d|(?: \(| |\) )\d)*/g)) {
    if (shape[0].length < FEWEST_DIGITS || shape.index < from || shape[0] === run) continue;
    const result = judge(text, offset + shape.index, shape[0], context);
    if (result !== undefined) found.push(result);
    from = shape.index + shape[0].length;
  }
  return found;
}

function judge(
  text: string,
  start: number,
  source: string,
  context: TextContext,
): RecognizerResult | undefined {
  if (source.length > LONGEST) return undefined;
  const digits = source.replace(/\D/g, '');
  if (digits.length < FEWEST_DIGITS || digits.length > MOST_DIGITS || /^(\d)\1*$/.test(digits))
    return undefined;
  const end = start + source.length;
  const whole = end + extensionLength(text, end);
  if (!standsAlone(text, start, whole)) return undefined;
  const score = scoreOf(text, start, source, digits, context);
  return score === undefined ? undefined : { entityType: 'PHONE_NUMBER', start, end: whole, score };
}

/** Code units of the extension that follows a number (" ext. 12"); 0 without one. */
export function extensionLength(text: string, end: number): number {
  return EXTENSION.exec(text.slice(end, end + 24))?.[0].length ?? 0;
}

/** Whether a find is no part of a longer word, number or name. */
export function standsAlone(text: string, start: number, end: number): boolean {
  const before = text[start - 1] ?? '';
  const next = text[end] ?? '';
  if (/[\p{L}\p{N}_+$€£#]/u.test(before) || /[\p{L}\p{N}_%]/u.test(next)) return false;
  if (/[-./]/.test(before) && /[\p{L}\p{N}_]/u.test(text[start - 2] ?? '')) return false;
  return !(/[-/@]/.test(next) && /[\p{L}_]/u.test(text[end + 1] ?? ''));
}

function scoreOf(
  text: string,
  start: number,
  source: string,
  digits: string,
  context: TextContext,
): number | undefined {
  if (source.startsWith('+')) return isInternational(digits) ? 0.9 : undefined;
  if (isAnnounced(text, start, context) && !isDate(source)) return 0.85;
  const shape = shapeOf(source);
  if (shape === undefined) return undefined;
  if (nearestHint(text, start, PHONE_WORDS) === 'supports') return 0.8;
  if (nearestHint(text, start, PHONE_WORDS) === 'denies' || keyHint(context, PHONE_WORDS) === 'denies')
    return undefined;
  return shape === 'plain' && !isNorthAmerican(digits) ? undefined : 0.65;
}

function isInternational(digits: string): boolean {
  const code = [1, 2, 3].map((length) => digits.slice(0, length)).find((prefix) => CALLING_CODES.has(prefix));
  if (code === undefined) return false;
  if (code === '1') return digits.length === 11 && isNorthAmerican(digits.slice(1));
  const national = digits.slice(code.length);
  return (
    national.length >= 5 && national.length <= 13 && !/^(\d)\1*$/.test(national) && !national.startsWith('00')
  );
}

/** North American Numbering Plan: NXX-NXX-XXXX, N from 2 to 9; a leading 1 may stand before it. */
function isNorthAmerican(digits: string): boolean {
  return /^1?[2-9]\d{2}[2-9]\d{6}$/.test(digits);
}

/** How a number that nothing announces is written; `plain` shapes need a numbering plan besides. */
function shapeOf(source: string): 'marked' | 'plain' | undefined {
  if (/^(?:1[ .-]?)?\( ?\d{3} ?\)[ .-]{0,2}\d{3}[ .-]\d{4}$/.test(source)) return 'marked';
  if (/^(?:1-)?\d{3}-\d{3}-\d{4}$/.test(source)) return 'marked';
  if (/^(?:1[ .])?\d{3}([ .])\d{3}[ .-]\d{4}$/.test(source)) return 'plain';
  // Countries that dial 0 first: 020 7946 0958, 07911 123456, 0171/1234567, 01 23 45 67 89, (0)20 …
  if (/^\(?0[1-9]\d{0,4}\)?(?:[ /-]\d{2,8}){1,4}$/.test(source)) {
    const count = source.replace(/\D/g, '').length;
    return (count === 10 || count === 11) && !isDate(source) ? 'marked' : undefined;
  }
  return /^00 ?[1-9]\d{0,2}(?:[ -]\d{2,8}){1,5}$/.test(source) && !isDate(source) ? 'marked' : undefined;
}

/** 2024-01-15 12, 15.01.2024, 01/15/2024 10 */
export function isDate(source: string): boolean {
  return (
    /^(?:19|20)\d{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])(?!\d)/.test(source) ||
    /^(?:0?[1-9]|[12]\d|3[01])[-./](?:0?[1-9]|[12]\d|3[01])[-./](?:19|20)\d{2}(?!\d)/.test(source)
  );
}

/** Directly after its word, or under a phone key that is not the key of an id. */
export function isAnnounced(text: string, start: number, context: TextContext): boolean {
  const key = keyHint(context, PHONE_WORDS);
  if (key === 'supports') return start <= 1 || nearestHint(text, start, PHONE_WORDS) !== 'denies';
  const before = text.slice(Math.max(0, start - 40), start);
  if (CALLING.test(before)) return true;
  const near = wordsBefore(text, start, 4);
  let announced = /[:=]["'( ]{0,3}$/.test(before);
  for (const word of near) {
    if (PHONE_WORDS.has(word)) return announced;
    if (!NUMBER_WORDS.has(word)) return false;
    announced = true;
  }
  return false;
}
