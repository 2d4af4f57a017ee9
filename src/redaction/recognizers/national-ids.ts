import { standsFree } from '../boundary.ts';
import { CLUE } from '../clues.ts';
import { keyHint, mentionedBefore, nearestHint, words } from '../context.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';

interface NationalId {
  readonly entity: string;
  readonly pattern: RegExp;
  /** Words that name it, in the text or in the JSON key. */
  readonly words: ReadonlySet<string>;
  /** Over the letters and digits, upper case. */
  isValid(characters: string): boolean;
  /** Whether this notation is enough without a word. */
  isEvident(source: string): boolean;
}

const NEVER = (): boolean => false;
const ALWAYS = (): boolean => true;
const NIF_LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE';

/** In the order of the list; each rule has its source beside it. */
const NATIONAL_IDS: readonly NationalId[] = [
  {
    // IRS: area 900 to 999, group 50-65, 70-88, 90-92, 94-99
    entity: 'US_ITIN',
    pattern: /(?<!\w|\d[-.])9\d{2}[- ]?\d{2}[- ]?\d{4}(?!\w|[-.]\d)/g,
    words: words('itin taxpayer tin'),
    isValid: (digits) => /^9\d{2}(?:5\d|6[0-5]|7\d|8[0-8]|9[0-2]|9[4-9])\d{4}$/.test(digits),
    isEvident: (source) => /^\d{3}-\d{2}-\d{4}$/.test(source),
  },
  {
    // NHS Data Dictionary, "NHS number": weighted sum modulo 11
    entity: 'UK_NHS',
    pattern: /(?<!\w|\d[-.]|\d )\d{3}[- ]?\d{3}[- ]?\d{4}(?!\w|[-.]\d| \d)/g,
    words: words('nhs patient health'),
    isValid: (digits) => {
      if (/^(\d)\1*$/.test(digits)) return false;
      const check = 11 - (weighted(digits, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11);
      return check !== 10 && Number(digits[9]) === check % 11;
    },
    isEvident: (source) => /^\d{3} \d{3} \d{4}$/.test(source),
  },
  {
    // HMRC, NIM39110: letters D, F, I, Q, U, V never; O never second; some prefixes never; suffix A to D
    entity: 'UK_NINO',
    pattern: /(?<!\w|\d-)[A-Za-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d](?!\w|-\w)/g,
    words: words('nino ni insurance'),
    isValid: (characters) =>
      /^[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z]\d{6}[A-D]$/.test(characters) &&
      !/^(?:BG|GB|KN|NK|NT|TN|ZZ)/.test(characters),
    isEvident: (source) => /^[A-Z]{2}/.test(source),
  },
  {
    // Real Decreto 1553/2005: letter by the number modulo 23
    entity: 'ES_NIF',
    pattern: /(?<!\w|\d-)\d{8}[- ]?[A-Za-z](?!\w|-\w)/g,
    words: words('nif dni documento'),
    isValid: (characters) => characters[8] === NIF_LETTERS[Number(characters.slice(0, 8)) % 23],
    isEvident: (source) => /[A-Z]$/.test(source),
  },
  {
    entity: 'ES_NIE',
    pattern: /(?<!\w|\d-)[XYZxyz][- ]?\d{7}[- ]?[A-Za-z](?!\w|-\w)/g,
    words: words('nie extranjero'),
    isValid: (characters) => {
      const number = Number(`${'XYZ'.indexOf(characters[0] as string)}${characters.slice(1, 8)}`);
      return characters[8] === NIF_LETTERS[number % 23];
    },
    isEvident: (source) => /[A-Z]$/.test(source),
  },
  {
    // Decreto 23 dicembre 1976, with the digits that may become letters (omocodia)
    entity: 'IT_FISCAL_CODE',
    pattern:
      /(?<!\w|\d-)[A-Za-z]{6}[0-9LMNPQRSTUVlmnpqrstuv]{2}[A-EHLMPRSTa-ehlmprst][0-9LMNPQRSTUVlmnpqrstuv]{2}[A-Za-z][0-9LMNPQRSTUVlmnpqrstuv]{3}[A-Za-z](?!\w|-\w)/g,
    words: words('codice fiscale cf'),
    isValid: isItalianFiscalCode,
    isEvident: ALWAYS,
  },
  {
    // BZSt, "Steueridentifikationsnummer": one digit twice or thrice among ten, ISO 7064 MOD 11,10
    entity: 'DE_TAX_ID',
    pattern: /(?<!\w|\d[-.]|\d )[1-9]\d(?: ?\d{3}){3}(?!\w|[-.]\d| \d)/g,
    words: words('steuer steuerid steueridentifikationsnummer identifikationsnummer idnr tin steuernummer'),
    isValid: isGermanTaxId,
    isEvident: NEVER,
  },
  {
    // Ustawa o ewidencji ludności, art. 15: weights 1 3 7 9, and a date of birth
    entity: 'PL_PESEL',
    pattern: /(?<!\w|\d[-.]|\d )\d{11}(?!\w|[-.]\d| \d)/g,
    words: words('pesel'),
    isValid: (digits) => {
      const month = Number(digits.slice(2, 4)) % 20;
      const day = Number(digits.slice(4, 6));
      if (month < 1 || month > 12 || day < 1 || day > 31) return false;
      return (10 - (weighted(digits, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10 === Number(digits[10]);
    },
    isEvident: NEVER,
  },
  {
    // UIDAI: twelve digits, the first from 2 to 9, Verhoeff's checksum
    entity: 'IN_AADHAAR',
    pattern: /(?<!\w|\d[-.]|\d )[2-9]\d{3}[- ]?\d{4}[- ]?\d{4}(?!\w|[-.]\d| \d)/g,
    words: words('aadhaar aadhar adhaar uidai'),
    isValid: (digits) => isVerhoeff(digits),
    isEvident: (source) => /^\d{4} \d{4} \d{4}$/.test(source),
  },
  {
    // ATO: weights modulo 11, eight or nine digits
    entity: 'AU_TFN',
    pattern: /(?<!\w|\d[-.]|\d )\d{3}[- ]?\d{3}[- ]?\d{2,3}(?!\w|[-.]\d| \d)/g,
    words: words('tfn tax'),
    isValid: (digits) => {
      const weights = digits.length === 9 ? [1, 4, 3, 7, 5, 8, 6, 9, 10] : [10, 7, 8, 4, 6, 3, 5, 1];
      return !/^(\d)\1*$/.test(digits) && weighted(digits, weights) % 11 === 0;
    },
    isEvident: NEVER,
  },
];

/** National identity numbers; off unless named in `entities` or enabled by `countries`. */
export const nationalIdRecognizers: readonly BuiltInRecognizer[] = NATIONAL_IDS.map((id) => ({
  name: id.entity.toLowerCase().replaceAll('_', '-'),
  entities: [id.entity],
  patterns: [id.pattern],
  // The letters of a fiscal code can stand for its digits.
  clues: CLUE.sixDigits | CLUE.run16,
  analyze(text, context): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    for (const match of text.matchAll(id.pattern)) {
      const start = match.index;
      const end = start + match[0].length;
      if (!id.isValid(match[0].replace(/[^A-Za-z0-9]/g, '').toUpperCase())) continue;
      if (!standsFree(text, start, end)) continue;
      const hint = nearestHint(text, start, id.words) ?? keyHint(context, id.words);
      const supported =
        hint === 'supports' ||
        keyHint(context, id.words) === 'supports' ||
        mentionedBefore(text, start, id.words, 5);
      const isTail = /[-.]/.test(text[start - 1] ?? '');
      if (!supported && (hint === 'denies' || isTail || !id.isEvident(match[0]))) continue;
      const score = supported ? 0.95 : 0.75;
      found.push({ entityType: id.entity, start, end, score, validated: true });
    }
    return found;
  },
}));

function weighted(digits: string, weights: readonly number[]): number {
  return weights.reduce((sum, weight, index) => sum + weight * Number(digits[index]), 0);
}

function isGermanTaxId(digits: string): boolean {
  const counts = new Map<string, number>();
  for (const digit of digits.slice(0, 10)) counts.set(digit, (counts.get(digit) ?? 0) + 1);
  const repeated = [...counts.values()].filter((count) => count > 1);
  if (repeated.length !== 1 || (repeated[0] as number) > 3) return false;
  let product = 10;
  for (const digit of digits.slice(0, 10)) {
    const sum = (Number(digit) + product) % 10 || 10;
    product = (sum * 2) % 11;
  }
  return (11 - product) % 10 === Number(digits[10]);
}

const ITALIAN_ODD = [
  1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
];

function isItalianFiscalCode(code: string): boolean {
  let sum = 0;
  for (let index = 0; index < 15; index++) {
    const character = code[index] as string;
    const value = /\d/.test(character) ? Number(character) : character.charCodeAt(0) - 65;
    sum += index % 2 === 0 ? (ITALIAN_ODD[value] as number) : value;
  }
  return code.charCodeAt(15) - 65 === sum % 26;
}

const VERHOEFF_PRODUCTS = [
  '0123456789',
  '1234067895',
  '2340178956',
  '3401289567',
  '4012395678',
  '5987604321',
  '6598710432',
  '7659821043',
  '8765932104',
  '9876543210',
] as const;
const VERHOEFF_STEPS = [
  '0123456789',
  '1576283094',
  '5803796142',
  '8916043527',
  '9453126870',
  '4286573901',
  '2793806415',
  '7046913258',
] as const;

function isVerhoeff(digits: string): boolean {
  let check = 0;
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[digits.length - 1 - index]);
    const step = Number((VERHOEFF_STEPS[index % 8] as string)[digit]);
    check = Number((VERHOEFF_PRODUCTS[check] as string)[step]);
  }
  return check === 0;
}
