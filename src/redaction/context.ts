import { leadOf } from './labels.ts';
import type { TextContext } from './recognizer.ts';
import { latePattern } from './late.ts';

/** `phoneNumber`, `2Fa` */
const CAMEL = latePattern(String.raw`([\p{Ll}\p{N}])(\p{Lu})`, 'gu');
/** The same in text, but for `iPhone` and `McDonald`. */
const CAMEL_LABEL = /([a-z]{3})(?=[A-Z][a-z]{2})/g;
/** `SSNNumber` */
const ACRONYM = latePattern(String.raw`(\p{Lu})(\p{Lu}\p{Ll})`, 'gu');

/** Words of a kind: a set, or a check by the stem of a word. */
export interface WordSet {
  has(word: string): boolean;
}

/** The hint of the surroundings of a find: for it, against it, or none. */
export type Hint = 'supports' | 'denies' | undefined;

/** Words after which a number identifies a thing and not a person. */
const THING_WORDS: ReadonlySet<string> = new Set(
  (
    'id ids uuid guid order orders tracking track shipment parcel package product products item items sku asin isbn ' +
    'issn doi gtin ean upc barcode imei imeisv serial invoice reference ref reservation booking ticket case ' +
    'confirmation transaction txn batch lot part model version ver release build revision commit sha hash ' +
    'digest checksum timestamp ts time epoch unix date datetime created updated expires duration offset ' +
    'sequence seq count total amount price cost quantity qty size bytes length width height score rating ' +
    'trace span request session message thread run job task event row line page port'
  ).split(' '),
);

/** Words that stand between a name and its value: "card *number is* 4111…". */
const FILLERS: ReadonlySet<string> = new Set(
  (
    'number numbers num no nr nummer numero numéro is are was be the a an my your his her their our ' +
    'value das der die ist lautet el la es le est il mi mein meine'
  ).split(' '),
);

/** A word ends where the script does: `phoneは` is two, and so is `IP地址`. */
const WORD = latePattern(
  String.raw`[\p{Script=Latin}\p{Nd}\u0300-\u036f]+|(?:(?!\p{Script=Latin})[\p{L}\p{M}])+`,
  'gu',
);
/** The same of ASCII, in a third of the time. */
const ASCII_WORD = /[A-Za-z0-9]+/g;
/** A text of nothing but ASCII. */
export const ASCII: RegExp = /^[\x00-\x7f]*$/; // eslint-disable-line no-control-regex -- the whole of ASCII is meant
const NOBODY_ASKED = { text: '', start: -1, words: [] };
/** A placeholder is no hint for its neighbours; the piece may begin in the middle of one. */
const PLACEHOLDER = /(?:<|^)[A-Z][A-Z0-9_]{2,63}(?:[_#][a-z0-9]{16,64})?>/g;

/** The words in the 64 characters that stand before `start` and may name it ({@link leadOf}), nearest first, lower case. */
export function wordsBefore(text: string, start: number, most: number): readonly string[] {
  if (asked.start !== start || asked.text !== text) {
    asked = { text, start, words: wordsIn(leadOf(text, start)).reverse() };
  }
  return asked.words.slice(0, most);
}

/** The last request and its result: several recognizers ask about one place. */
let asked: { readonly text: string; readonly start: number; readonly words: readonly string[] } =
  NOBODY_ASKED;

/** Keeps nothing of a text beyond its search. */
export function forgetWords(): void {
  asked = NOBODY_ASKED;
}

/** The words in the 48 characters after `end` on the same line, nearest first, lower case. */
export function wordsAfter(text: string, end: number, most: number): readonly string[] {
  const piece = text.slice(end, end + 48);
  const line = piece.slice(0, piece.includes('\n') ? piece.indexOf('\n') : undefined);
  return wordsIn(line).slice(0, most);
}

/**
 * The words of a line in lower case, but for placeholders. A label of source is several words: `mobilePhone`. Names of
 * things such as `iPhone` are one.
 */
function wordsIn(line: string): string[] {
  const plain = withoutPlaceholders(line).replace(CAMEL_LABEL, '$1 ');
  return (plain.match(ASCII.test(plain) ? ASCII_WORD : WORD()) ?? []).map((word) => word.toLowerCase());
}

/** Replaced by a number, as before the redaction, so that hints do not change with finds. */
function withoutPlaceholders(line: string): string {
  return line.includes('>') ? line.replace(PLACEHOLDER, ' 0 ') : line;
}

/** `phoneNumber`, `phone_number`, `phone-number` → phone, number. */
export function wordsOfKey(key: string | undefined): readonly string[] {
  if (key === undefined || key === '') return [];
  const known = KEYS.get(key);
  if (known !== undefined) return known;
  const words = readKey(key);
  if (KEYS.size < MOST_KEYS && key.length <= LONGEST_KEY) KEYS.set(key, words);
  return words;
}

/** The same few keys are used again and again. */
const KEYS = new Map<string, readonly string[]>();
const MOST_KEYS = 1000;
const LONGEST_KEY = 64;

function readKey(key: string): readonly string[] {
  const spaced = key.slice(0, 128).normalize('NFKC').replace(CAMEL(), '$1 $2').replace(ACRONYM(), '$1 $2');
  return (spaced.match(WORD()) ?? []).map((word) => word.toLowerCase());
}

/** `taxpayer_id`, `Steuer-ID`: here the id is a personal number, and the word "id" is not a hint against it. */
const PERSONAL_ID = words(
  'steuer steueridentifikationsnummer tax taxpayer tin itin ssn social socialsecurity aadhaar aadhar adhaar uidai nino ni ' +
    'insurance nhs nif dni nie fiscale fiscal pesel tfn national citizen passport voter resident identity personal',
);
const ID_WORDS = words('id ids number numbers no nr num nummer numero');

/** Whether these words name a personal number, even if one of them is "id". */
export function namesPersonalId(words: readonly string[]): boolean {
  return words.some((word) => PERSONAL_ID.has(word) || PERSONAL_ID.has(withoutId(word)));
}

/** `taxpayerid` → taxpayer */
function withoutId(word: string): string {
  return word.replace(/(?:ids?|number|num|no|nr)$/, '');
}

/** The hint of the keys above a text. The nearer key decides; without a hint the next key is checked. */
export function keyHint(context: TextContext, supporting: WordSet): Hint {
  for (const key of [context.key, context.parentKey]) {
    const words = wordsOfKey(key);
    // `card_id` is an id of a card, not its number; a find that is proven by itself is still possible.
    const named = words.filter((word) => supporting.has(word) || supporting.has(withoutId(word)));
    if (named.length > 0) {
      const others = words.filter((word) => THING_WORDS.has(word));
      const isOwnId = namesPersonalId(named) && others.every((word) => ID_WORDS.has(word));
      return others.length === 0 || isOwnId ? 'supports' : undefined;
    }
    if (words.some((word) => THING_WORDS.has(word))) return 'denies';
  }
  return undefined;
}

/** The hint of the nearest word before `start` that is not a filler ("card number is 4111…": card). */
export function nearestHint(text: string, start: number, supporting: WordSet): Hint {
  const near = wordsBefore(text, start, 6);
  for (const [index, word] of near.entries()) {
    if (supporting.has(word)) return 'supports';
    const named = near[index + 1];
    if (named !== undefined && ID_WORDS.has(word) && supporting.has(named) && namesPersonalId([named])) {
      return 'supports';
    }
    if (THING_WORDS.has(word)) return 'denies';
    if (!FILLERS.has(word)) return undefined;
  }
  return undefined;
}

/** Whether one of the last `most` words before `start` is in the set. */
export function mentionedBefore(text: string, start: number, words: WordSet, most: number): boolean {
  return wordsBefore(text, start, most).some((word) => words.has(word));
}

/** A set of words, written as one string. */
export function words(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}
