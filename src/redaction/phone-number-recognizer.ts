import { checkOptions, invalidOption } from '../options.ts';
import { keyHint, nearestHint } from './context.ts';
import { forEachRun, runPattern, type RunPattern } from './long-runs.ts';
import { markPure, type Recognizer, type RecognizerResult, type TextContext } from './recognizer.ts';
import { isDate } from './recognizers/phone-shapes.ts';
import { extensionLength, isAnnounced, LONGEST, standsAlone } from './recognizers/phone.ts';
import { PHONE_WORDS } from './recognizers/phone-words.ts';

/** A find of {@link PhoneNumberLibrary.findPhoneNumbersInText}. */
export interface FoundPhoneNumber {
  /** First code unit. */
  readonly startsAt: number;
  /** After the last code unit. */
  readonly endsAt: number;
  /** The number; `isValid` checks it against the numbering plan of its country. */
  readonly number: { isValid(): boolean };
}

/** The functions of the module `libphonenumber-js` that are used. */
export interface PhoneNumberLibrary {
  /** All telephone numbers in a text. */
  findPhoneNumbersInText(
    text: string,
    options?: string | { readonly defaultCountry?: string },
  ): readonly FoundPhoneNumber[];
  /** Whether its metadata know a country. */
  isSupportedCountry(country: string): boolean;
}

/** Options of {@link phoneNumberRecognizer}. */
export interface PhoneNumberRecognizerOptions {
  /**
   * The module, imported by you: `import * as phone from 'libphonenumber-js/max'`. `max` has the complete numbering
   * plans; `min` accepts more numbers as valid; `core` has no metadata and is refused.
   */
  readonly library: PhoneNumberLibrary;
  /**
   * The country whose national numbers are found, by ISO 3166-1 code: `'GB'`. Default: none, so only numbers with
   * `+` and a calling code are found, of any country.
   */
  readonly defaultCountry?: string;
}

/** A run of digits with the separators of telephone numbers; a line break and a wide space end it. */
export const CANDIDATE: RunPattern = runPattern(
  '\\(?\\+? ?\\(?\\d',
  '(?: ?[()./\\u2010-\\u2015-]{1,2} ?| )?\\d',
);
/** Code units that the library gets at a time, so that one find never costs more than so much text. */
const WINDOW = 96;
/** Where numbers have fewer than seven digits (ITU, national numbering plans). */
const SHORT_NUMBERS: ReadonlySet<string> = new Set([
  'AD',
  'CK',
  'FK',
  'FO',
  'GL',
  'NC',
  'NF',
  'PM',
  'SB',
  'VU',
  'WF',
]);
const FEWEST_DIGITS = 7;
const FEWEST_SHORT = 6;
/** The shortest numbers of a plan, after a telephone word: four digits on Niue, Saint Helena and Tokelau. */
const FEWEST_ANNOUNCED = 4;
const EXAMPLE = '+44 20 7946 0958';

/**
 * Telephone numbers by the numbering plans of `libphonenumber-js`, an optional peer that you import and pass. It
 * works in addition to the built-in recognizer and by its rules: a number without `+` is not replaced under the key
 * or after the word of a thing (`order_id`, "tracking"), and a bare run of digits is a telephone number only after
 * a phone word or under a phone key, because ids have the same lengths: many bare numbers are "valid" somewhere.
 * Synchronous and linear in the text.
 *
 * @throws `ERR_INVALID_OPTION`.
 *
 * @example
 * ```ts
 * import * as phone from 'libphonenumber-js/max';
 * import { redact } from 'strongroom';
 * import { phoneNumberRecognizer } from 'strongroom/redaction';
 *
 * export const layer = redact({
 *   recognizers: [phoneNumberRecognizer({ library: phone, defaultCountry: 'GB' })],
 * });
 * ```
 */
export function phoneNumberRecognizer(options: PhoneNumberRecognizerOptions): Recognizer {
  const where = 'phoneNumberRecognizer';
  checkOptions(where, options, ['library', 'defaultCountry']);
  const { library, defaultCountry } = options;
  if (!isLibrary(library)) {
    const rule = "the module of libphonenumber-js (import * as phone from 'libphonenumber-js/max')";
    invalidOption(where, 'library', rule, library);
  }
  if (
    defaultCountry !== undefined &&
    (typeof defaultCountry !== 'string' || !library.isSupportedCountry(defaultCountry))
  ) {
    invalidOption(where, 'defaultCountry', "a country of libphonenumber-js, such as 'GB'", defaultCountry);
  }
  const plan = defaultCountry === undefined ? {} : { defaultCountry };
  const fewest = SHORT_NUMBERS.has(defaultCountry ?? '') ? FEWEST_SHORT : FEWEST_DIGITS;

  /**
   * The finds from `from` to `to`, in order. The text between finds is searched again as it will be after the
   * redaction.
   */
  const search = (text: string, from: number, to: number, context: TextContext): RecognizerResult[] => {
    const found: RecognizerResult[] = [];
    let place = from;
    while (to - place >= FEWEST_ANNOUNCED) {
      const stop = Math.min(to, place + WINDOW);
      const offset = place;
      for (const { startsAt, endsAt, number } of library.findPhoneNumbersInText(
        text.slice(offset, stop),
        plan,
      )) {
        // A find at the end of the window may continue after it: the next window has all of it.
        if ((stop < to && offset + endsAt === stop) || !number.isValid()) continue;
        const result = judge(text, offset + startsAt, offset + endsAt, fewest, context);
        if (result === undefined) continue;
        found.push(...search(text, place, result.start, context), result);
        place = result.end;
      }
      if (place > offset) continue;
      if (stop === to) break;
      place = stop - LONGEST;
    }
    return found;
  };

  return markPure({
    name: 'libphonenumber-js',
    entities: ['PHONE_NUMBER'],
    analyze(text, context): readonly RecognizerResult[] {
      const found: RecognizerResult[] = [];
      forEachRun(text, CANDIDATE, FEWEST_ANNOUNCED, (index, run) => {
        // Most runs are ids and dates, which need no check by the library.
        const isNational = !run.includes('+');
        if (isNational && (defaultCountry === undefined || isBare(text, index, run, context))) return;
        for (const result of search(text, index, index + run.length, context)) found.push(result);
      });
      return found;
    },
  });
}

function isBare(text: string, start: number, run: string, context: TextContext): boolean {
  return /^\d+$/.test(run) && !isAnnounced(text, start, context, run);
}

function judge(
  text: string,
  start: number,
  numberEnd: number,
  fewest: number,
  context: TextContext,
): RecognizerResult | undefined {
  const source = text.slice(start, numberEnd);
  const digits = source.replace(/\D/g, '');
  const end = numberEnd + extensionLength(text, numberEnd);
  if (!standsAlone(text, start, end)) return undefined;
  const find = { entityType: 'PHONE_NUMBER', start, end };
  // A national number is valid by chance too often to win against other finds.
  if (source.startsWith('+') || source.startsWith('(+')) return { ...find, score: 0.95, validated: true };
  if (isDate(source)) return undefined;
  if (isAnnounced(text, start, context, digits)) return { ...find, score: 0.85 };
  // 1.234.567,89 is an amount.
  if (digits.length < fewest || /^\d+$/.test(source) || /^,\d/.test(text.slice(end, end + 2)))
    return undefined;
  const isDenied =
    nearestHint(text, start, PHONE_WORDS) === 'denies' || keyHint(context, PHONE_WORDS) === 'denies';
  return isDenied ? undefined : { ...find, score: 0.7 };
}

/** Tested by a call, because `libphonenumber-js/core` has functions of these names that require metadata. */
function isLibrary(library: unknown): library is PhoneNumberLibrary {
  if (typeof library !== 'object' || library === null) return false;
  const { findPhoneNumbersInText, isSupportedCountry } = library as Partial<PhoneNumberLibrary>;
  if (typeof findPhoneNumbersInText !== 'function' || typeof isSupportedCountry !== 'function') return false;
  try {
    const [found] = findPhoneNumbersInText(EXAMPLE, {});
    return found?.startsAt === 0 && found.endsAt === EXAMPLE.length && found.number.isValid();
  } catch {
    return false;
  }
}
