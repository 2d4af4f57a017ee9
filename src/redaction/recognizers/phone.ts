import { isJoinedAfter, isJoinedBefore } from '../boundary.ts';
import { CLUE, UNKNOWN } from '../clues.ts';
import { keyHint, nearestHint } from '../context.ts';
import { forEachRun, runPattern } from '../long-runs.ts';
import type { BuiltInRecognizer, RecognizerResult, TextContext } from '../recognizer.ts';
import {
  AMERICAN,
  isDate,
  isDialledAbroad,
  isGrouped,
  isInternational,
  isNorthAmerican,
  shapeOf,
} from './phone-shapes.ts';
import {
  followsVerb,
  isAnnouncedInText,
  isCalledBy,
  isMentioned,
  PHONE_WORDS,
  touchesPhoneWord,
} from './phone-words.ts';
import { latePattern } from '../late.ts';

/** Before a sum of money, a number of an issue, a longer number. */
const SIGN_BEFORE = latePattern(String.raw`[+#\p{Sc}]`, 'u');

/** The signs of a line of a diff, also of a combined one, before a number with a `+` of its own. */
const SIGNS_OF_DIFF = /(?:^|\n)[+-]{1,2}$/;

/** A maximal run of digits with the separators that telephone numbers have. */
const FIRST_DIGIT = '(?:\\(?\\+ ?\\(?|\\( ?)?\\d';
/** Before the first digit: `(+ (` */
const LONGEST_LEAD = 4;
const CANDIDATE = runPattern(FIRST_DIGIT, '[ ()./-]{0,3}\\d');
/** Parts of a run that are numbers by themselves: apart by two spaces, a stroke, a bracket, in the end by one space. */
const PIECES = [
  runPattern(FIRST_DIGIT, '[().-]{0,2}\\d|(?: \\(| |\\) )\\d'),
  runPattern(FIRST_DIGIT, '[.-]{0,2}\\d| \\d|\\) ?-?\\d'),
  runPattern('(?:\\(?\\+|\\( ?)?\\d', '[().-]{0,2}\\d'),
] as const;
const EXTENSION =
  /^ {0,2}[,;]? ?(?:x|ext\.?=?|extn\.?|extension|durchwahl|poste|anexo|ramal|доб\.?|内線|내선|分机|分機) {0,2}\d{1,6}(?![\w%])/iu;

/** Shorter numbers are extensions, short codes and house numbers. */
const FEWEST_DIGITS = 7;
/** After a telephone word or under a telephone key six digits are enough, as in Andorra and Greenland. */
const FEWEST_ANNOUNCED = 6;
const MOST_DIGITS = 15; // E.164, 6.2.1
/** Code units of the longest writing, brackets and spaces included. */
export const LONGEST = 34;

/**
 * Telephone numbers: with `+` or `00` and a calling code that exists, in the separated shapes of North America and of
 * countries that dial `0`, in other groups near words about telephones, and any plausible number directly after a
 * telephone word ("phone: …") or under a phone key. A bare run of digits is a telephone number only there: ids have
 * the same lengths.
 */
export const phoneRecognizer: BuiltInRecognizer = {
  name: 'phone',
  entities: ['PHONE_NUMBER'],
  patterns: [CANDIDATE, ...PIECES].flatMap(({ start, more }) => [start, more]),
  clues: CLUE.sixDigits,
  analyze(text, context, { numbers } = UNKNOWN): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    const judgeRun = (index: number, run: string): void => findInRun(text, index, run, 0, context, found);
    if (numbers === undefined) forEachRun(text, CANDIDATE, FEWEST_ANNOUNCED, judgeRun);
    else {
      let done = 0;
      for (const { start, end, shows } of numbers) {
        const range = { start: Math.max(done, start - LONGEST_LEAD), end };
        if ((shows & CLUE.sixDigits) !== 0) forEachRun(text, CANDIDATE, FEWEST_ANNOUNCED, judgeRun, range);
        done = end;
      }
    }
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

/** "+44 20 7946 0958 2024-01-15": the text after an international number is not part of it. */
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
  // A bracket that is not closed belongs to the sentence.
  const isOpen = run.startsWith('(') && !run.includes(')');
  const source = isOpen ? run.replace(/^\( ?/, '') : run;
  const start = from + run.length - source.length;
  // +44 (0)20 …: the zero is dialled only within the country.
  const digits = /\D/.test(source) ? source.replace(/^(\(?\+.{1,6})\(0\)/, '$1').replace(/\D/g, '') : source;
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
  return end === text.length ? 0 : (EXTENSION.exec(text.slice(end, end + 24))?.[0].length ?? 0);
}

/** Whether a find is not part of a longer word, number or name. */
export function standsAlone(text: string, start: number, end: number): boolean {
  if (start === 0 && end === text.length) return true;
  const before = text[start - 1] ?? '';
  const next = text[end] ?? '';
  const isInternational = /^\(?\+/.test(text.slice(start, start + 2));
  if (
    SIGN_BEFORE().test(before) &&
    !(isInternational && SIGNS_OF_DIFF.test(text.slice(Math.max(0, start - 3), start)))
  )
    return false;
  if (next === '%' || isJoinedAfter(text, end)) return false;
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

/** Directly after its word, or under a phone key that is not the key of an id. */
export function isAnnounced(text: string, start: number, context: TextContext, digits: string): boolean {
  if (keyHint(context, PHONE_WORDS) === 'supports') {
    return start <= 1 || nearestHint(text, start, PHONE_WORDS) !== 'denies';
  }
  if (start <= 1 && isCalledBy(context.key, digits)) return true;
  return isAnnouncedInText(text, start, digits);
}
