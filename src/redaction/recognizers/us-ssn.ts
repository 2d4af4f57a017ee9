import { standsFree } from '../boundary.ts';
import { CLUE, UNKNOWN } from '../clues.ts';
import { keyHint, mentionedBefore, nearestHint, words } from '../context.ts';
import { forEachNumber } from '../places.ts';
import type { BuiltInRecognizer, RecognizerResult } from '../recognizer.ts';

const CANDIDATE = /(?<!\w|\d[-.]|\d )\d{3}([-. ]?)\d{2}\1\d{4}(?!\w|[-.]\d| \d)/g;
const SSN_WORDS = words('ssn ssns social socialsecurity ss sozialversicherungsnummer tin taxpayer');

/**
 * US social security numbers. Written as `123-45-6789` they need no label; with spaces, points or no separator they
 * need a word or key. Numbers that are never issued are excluded (area 000, 666, 900 to 999; group 00; serial 0000:
 * SSA, "SSN randomization").
 */
export const usSsnRecognizer: BuiltInRecognizer = {
  name: 'us-ssn',
  entities: ['US_SSN'],
  patterns: [CANDIDATE],
  clues: CLUE.nineDigits,
  analyze(text, context, { numbers } = UNKNOWN): readonly RecognizerResult[] {
    const found: RecognizerResult[] = [];
    forEachNumber(text, CANDIDATE, numbers, CLUE.nineDigits, (match, start) => {
      const digits = match[0].replace(/\D/g, '');
      const end = start + match[0].length;
      if (!isIssued(digits) || !standsFree(text, start, end)) return;
      const dashed = match[1] === '-';
      const hint = nearestHint(text, start, SSN_WORDS) ?? keyHint(context, SSN_WORDS);
      const supported = hint === 'supports' || mentionedBefore(text, start, SSN_WORDS, 4);
      // `part-536-90-4399` is the name of a thing; `SSN-536-90-4399` has its word, and a line of a diff begins with `-`.
      const isTail = /.[-.]$/.test(text.slice(Math.max(0, start - 2), start));
      if (!supported && (!dashed || isTail || hint === 'denies')) return;
      found.push({
        entityType: 'US_SSN',
        start,
        end,
        score: supported ? 0.95 : 0.75,
      });
    });
    return found;
  },
};

function isIssued(digits: string): boolean {
  const area = digits.slice(0, 3);
  return (
    area !== '000' &&
    area !== '666' &&
    !area.startsWith('9') &&
    digits.slice(3, 5) !== '00' &&
    digits.slice(5) !== '0000'
  );
}
