import { words } from '../context.ts';

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

/**
 * Whether a calling code and a number that its country could have.
 *
 * @param digits Calling code and national number.
 */
export function isInternational(digits: string): boolean {
  const code = [1, 2, 3].map((length) => digits.slice(0, length)).find((prefix) => CALLING_CODES.has(prefix));
  if (code === undefined) return false;
  if (code === '1') return digits.length === 11 && isNorthAmerican(digits.slice(1));
  const national = digits.slice(code.length);
  // Islands have the shortest numbers: four digits on Niue and Tokelau.
  const fewest = code.length === 3 ? 4 : 5;
  return (
    national.length >= fewest &&
    national.length <= 13 &&
    !/^(\d)\1*$/.test(national) &&
    !national.startsWith('00')
  );
}

/** Written as in North America, even if its plan has no such number, like fictional ones. */
export const AMERICAN: RegExp = /^(?:\(?\+1\)?|001)[ .-]?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}$/;

/** `00` and the digits of an international number, in groups; only groups of two are bytes. */
export function isDialledAbroad(source: string, digits: string): boolean {
  const prefix = /^(?:0011|011)(?=[ -]\d)/.exec(source)?.[0]; // from Australia, from North America
  if (prefix !== undefined && isInternational(digits.slice(prefix.length))) return true;
  if (!/^\(?00[ .-]?\(?[1-9]/.test(source)) return false;
  // A bare run can be a padded id or a barcode: it needs a complete number of some country, and no valid check
  // digit.
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
export function isNorthAmerican(digits: string): boolean {
  return /^1?[2-9]\d{2}[2-9]\d{6}$/.test(digits);
}

/** The shape of a number without a label; `plain` shapes also need a numbering plan. */
export function shapeOf(source: string, digits: string): 'marked' | 'plain' | undefined {
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
export function isGrouped(source: string, digits: string, isNamed: boolean): boolean {
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

/** Other numbers with groups: four octets, decimals and pairs of them, years, ISBNs, days with a time. */
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
