import { isJoinedAfter, isJoinedBefore } from '../boundary.ts';
import { passesLuhn } from '../checksums.ts';
import { CLUE, UNKNOWN } from '../clues.ts';
import { keyHint, nearestHint, words, wordsAfter, wordsBefore, type Hint } from '../context.ts';
import { leadOf } from '../labels.ts';
import { forEachRun, runPattern } from '../long-runs.ts';
import type { BuiltInRecognizer, RecognizerResult, TextContext } from '../recognizer.ts';

/** A maximal run of digits with at most three separators between them. */
const DIGIT_RUN = runPattern('\\d', '[ .-]{0,3}\\d');
const CARD_WORDS = words(
  'card cards creditcard debitcard cardnumber ccnumber cc ccn pan visa mastercard master amex discover diners ' +
    'jcb maestro unionpay uatp kreditkarte karte kartennummer carte tarjeta carta cartão creditcardnumber',
);
const NUMBER_WORDS = words('number no num nr nummer numero numéro is');
const MOST_DIGITS = 19;
const FEWEST_DIGITS = 12;
const MOST_GROUPS = 6;
const GROUPS_HELD = 64;

/** First digits and lengths by issuer (ISO/IEC 7812 ranges as the networks publish them). */
const ISSUERS: readonly (readonly [from: number, to: number, lengths: readonly number[]])[] = [
  [4, 4, [13, 16, 19]], // Visa
  [51, 55, [16]], // Mastercard
  [2221, 2720, [16]], // Mastercard
  [34, 34, [15]], // American Express
  [37, 37, [15]], // American Express
  [6011, 6011, [16, 19]], // Discover
  [644, 649, [16, 19]], // Discover
  [65, 65, [16, 19]], // Discover, RuPay
  [300, 305, [14, 16, 19]], // Diners Club
  [3095, 3095, [14, 16, 19]], // Diners Club
  [36, 36, [14, 16, 19]], // Diners Club
  [38, 39, [14, 16, 19]], // Diners Club
  [3528, 3589, [16, 17, 18, 19]], // JCB
  [62, 62, [16, 17, 18, 19]], // UnionPay
  [81, 82, [16]], // UnionPay, RuPay
  [2200, 2204, [16, 17, 18, 19]], // Mir
  [9792, 9792, [16]], // Troy
  [5018, 5019, [12, 13, 14, 15, 16, 17, 18, 19]], // Maestro, Dankort
  [5020, 5020, [12, 13, 14, 15, 16, 17, 18, 19]], // Maestro
  [5038, 5038, [12, 13, 14, 15, 16, 17, 18, 19]], // Maestro
  [5061, 5067, [16, 18, 19]], // Verve, Elo
  [508, 509, [16]], // RuPay, Elo
  [5893, 5893, [12, 13, 14, 15, 16, 17, 18, 19]], // Maestro
  [6062, 6062, [16]], // Hipercard
  [607, 608, [16]], // RuPay
  [6277, 6277, [16]], // Elo
  [6304, 6304, [12, 13, 14, 15, 16, 17, 18, 19]], // Maestro
  [636, 639, [16, 17, 18, 19]], // Elo, InterPayment, InstaPayment
  [6759, 6759, [12, 13, 14, 15, 16, 17, 18, 19]], // Maestro
  [676, 676, [12, 13, 14, 15, 16, 17, 18, 19]], // Maestro
];
/** With a card word beside it, a number with these first digits is a card of any issuer. */
const PLAUSIBLE_FIRST = /^[1-6]/;
const NEEDS_WORD: ReadonlySet<number> = new Set([12, 13, 17, 18, 19]);

interface Group {
  readonly start: number;
  readonly end: number;
}

/**
 * Payment card numbers: Luhn's checksum and either a range of an issuer or a card word beside it. Numbers of 12, 13
 * and 17 to 19 digits always need the word: times, tracking numbers and snowflake ids have those lengths and pass
 * Luhn one time in ten.
 */
export const cardRecognizer: BuiltInRecognizer = {
  name: 'card',
  entities: ['CREDIT_CARD'],
  patterns: [DIGIT_RUN.start, DIGIT_RUN.more],
  clues: CLUE.twelveDigits,
  analyze(
    text,
    context,
    { numbers = [{ start: 0, end: text.length, shows: CLUE.twelveDigits }] } = UNKNOWN,
  ): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    const judgeRun = (index: number, run: string): void => analyzeRun(text, index, run, context, found);
    for (const range of numbers) {
      if ((range.shows & CLUE.twelveDigits) !== 0)
        forEachRun(text, DIGIT_RUN, FEWEST_DIGITS, judgeRun, range);
    }
    return found;
  },
};

function analyzeRun(
  text: string,
  offset: number,
  run: string,
  context: TextContext,
  found: RecognizerResult[],
): void {
  // A run can be as long as the text, so its groups are read one by one.
  const ahead = run.matchAll(/\d+/g);
  let groups: Group[] = [];
  for (let first = 0; ; first++) {
    if (groups.length - first < MOST_GROUPS) {
      groups = groups.slice(first);
      first = 0;
      readGroups(ahead, offset, groups);
      if (groups.length === 0) return;
    }
    const { start } = groups[first] as Group;
    if (!mayStart(text, start)) continue;
    let digits = '';
    let best: RecognizerResult | undefined;
    let bestLast = first;
    for (let last = first; last < Math.min(groups.length, first + MOST_GROUPS); last++) {
      const group = groups[last] as Group;
      digits += text.slice(group.start, Math.min(group.end, group.start + MOST_DIGITS + 1));
      if (digits.length > MOST_DIGITS) break;
      if (digits.length < FEWEST_DIGITS || !mayEnd(text, group.end)) continue;
      const score = judge(text, start, group.end, digits, last > first, context);
      if (score === 0) continue;
      // 16 digits and then an expiry date: the shorter number that has an issuer is the card.
      if (best === undefined || score > best.score) {
        best = { entityType: 'CREDIT_CARD', start, end: group.end, score, validated: true };
        bestLast = last;
      }
    }
    if (best !== undefined) {
      found.push(best);
      first = bestLast;
    }
  }
}

function readGroups(ahead: Iterator<RegExpExecArray>, offset: number, groups: Group[]): void {
  while (groups.length < GROUPS_HELD) {
    const { done, value } = ahead.next();
    if (done === true) return;
    const start = offset + value.index;
    groups.push({ start, end: start + value[0].length });
  }
}

/** Not inside a word, a decimal or an identifier such as `credit_card_7815826` or a UUID. */
function mayStart(text: string, start: number): boolean {
  const before = text[start - 1] ?? '';
  if (isJoinedBefore(text, start)) return false;
  if (before === '.' && /\d/.test(text[start - 2] ?? '')) return false;
  if (before !== '-' || /\d/.test(text[start - 2] ?? '') || !isJoinedBefore(text, start - 1)) return true;
  return wordsBefore(text, start, 1).some((word) => CARD_WORDS.has(word));
}

function mayEnd(text: string, end: number): boolean {
  const next = text[end] ?? '';
  if (isJoinedAfter(text, end)) return false;
  if (next === '.' && /\d/.test(text[end + 1] ?? '')) return false;
  if (next !== '-' || !/[A-Za-z_]/.test(text[end + 1] ?? '')) return true;
  return wordsAfter(text, end, 1).some((word) => CARD_WORDS.has(word));
}

function judge(
  text: string,
  start: number,
  end: number,
  digits: string,
  grouped: boolean,
  context: TextContext,
): number {
  if (!passesLuhn(digits) || /^(\d)\1*$/.test(digits)) return 0;
  const hint = hintFor(text, start, end, context);
  if (digits.length === FEWEST_DIGITS) {
    return hint === 'supports' && hasIssuer(digits) && isAnnounced(text, start, context) ? 0.8 : 0;
  }
  if (hint === 'supports' && PLAUSIBLE_FIRST.test(digits)) return hasIssuer(digits) ? 1 : 0.8;
  if (NEEDS_WORD.has(digits.length) || !hasIssuer(digits)) return 0;
  if (grouped) {
    const source = text.slice(start, end);
    if (usualGroups(source)) return 0.95;
    return hint !== 'denies' && EVEN_GROUPS.test(source) ? 0.7 : 0;
  }
  return hint === 'denies' ? 0 : 0.9;
}

function hintFor(text: string, start: number, end: number, context: TextContext): Hint {
  const nearest = nearestHint(text, start, CARD_WORDS);
  if (nearest !== undefined) return nearest;
  const key = keyHint(context, CARD_WORDS);
  if (key !== undefined) return key;
  const [next] = wordsAfter(text, end, 1);
  return next !== undefined && CARD_WORDS.has(next) ? 'supports' : undefined;
}

/** Tracking numbers have 12 digits: "card number 5018…", "card: 5018…" and a key announce one, "by card 5018…" not. */
function isAnnounced(text: string, start: number, context: TextContext): boolean {
  if (/[:#=]["' ]{0,2}$/.test(leadOf(text, start).slice(-3))) return true;
  if (wordsBefore(text, start, 1).some((word) => NUMBER_WORDS.has(word))) return true;
  return text.length === FEWEST_DIGITS && keyHint(context, CARD_WORDS) === 'supports';
}

/** Other groups, but of one kind: columns of a table have small numbers and wide gaps too. */
const EVEN_GROUPS = /^\d{3,}(?:([ .-])\d{3,})(?:\1\d{2,}){0,4}$/;

/** Written as cards are printed: 4-4-4-4, 4-6-5, 4-6-4, each with one separator. */
function usualGroups(source: string): boolean {
  return /^(?:\d{4}([ .-])\d{4}\1\d{4}\1\d{4}|\d{4}([ .-])\d{6}\2\d{4,5})$/.test(source);
}

function hasIssuer(digits: string): boolean {
  for (const [from, to, lengths] of ISSUERS) {
    const prefix = Number(digits.slice(0, String(from).length));
    if (prefix >= from && prefix <= to && lengths.includes(digits.length)) return true;
  }
  return false;
}
