import { StrongroomError } from '../errors.ts';
import { atOnce, checkOptions, invalidOption } from '../options.ts';
import { keyHint, nearestHint, words } from './context.ts';
import { markPure, type Recognizer, type RecognizerResult } from './recognizer.ts';

/** Options of {@link patternRecognizer}. */
export interface PatternRecognizerOptions {
  /** The entity that it finds: capitals, digits and underscores, such as `EMPLOYEE_ID`. */
  readonly entity: string;
  /** One or more patterns; the flags `g` and `y` do not matter, empty matches are ignored. */
  readonly pattern: RegExp | readonly RegExp[];
  /** Name in reports. Default: the entity's name. */
  readonly name?: string;
  /** Score of a match, from 0 to 1. Default 0.6. */
  readonly score?: number;
  /** Words that raise the score by 0.35 when one of them names the value, in the text or as its JSON key. */
  readonly context?: readonly string[];
  /** Decides on a match: `true` proves it, `false` rejects it, `undefined` does neither. */
  readonly validate?: (match: string) => boolean | undefined;
}

const DEFAULT_SCORE = 0.6;
const CONTEXT_BONUS = 0.35;

/**
 * A recognizer from patterns.
 *
 * @throws `ERR_INVALID_OPTION`.
 *
 * @example
 * ```ts
 * import { redact } from 'strongroom';
 * import { patternRecognizer } from 'strongroom/redaction';
 *
 * export const layer = redact({
 *   recognizers: [patternRecognizer({ entity: 'EMPLOYEE_ID', pattern: /\bE-\d{6}\b/ })],
 * });
 * ```
 */
export function patternRecognizer(options: PatternRecognizerOptions): Recognizer {
  const where = 'patternRecognizer';
  checkOptions(where, options, ['entity', 'pattern', 'name', 'score', 'context', 'validate']);
  const { entity, score = DEFAULT_SCORE, context = [], validate, name = entity } = options;
  if (typeof entity !== 'string' || !/^[A-Z][A-Z0-9_]{0,63}$/.test(entity) || entity === 'DEFAULT') {
    invalidOption(where, 'entity', 'a name in capital letters, such as EMPLOYEE_ID', entity);
  }
  if (typeof name !== 'string' || name === '') invalidOption(where, 'name', 'a name', name);
  const given: readonly unknown[] = Array.isArray(options.pattern) ? options.pattern : [options.pattern];
  const patterns = given.map((pattern) => {
    if (!(pattern instanceof RegExp))
      return invalidOption(where, 'pattern', 'a RegExp or an array of them', pattern);
    // A copy: the state of the caller's pattern is the caller's.
    return new RegExp(pattern.source, `${pattern.flags.replace(/[gy]/g, '')}g`);
  });
  if (patterns.length === 0) invalidOption(where, 'pattern', 'a RegExp or an array of them', given);
  if (typeof score !== 'number' || !(score > 0 && score <= 1)) {
    invalidOption(where, 'score', 'a number above 0 and up to 1', score);
  }
  if (!Array.isArray(context) || context.some((word) => typeof word !== 'string' || word === '')) {
    invalidOption(where, 'context', 'an array of words', context);
  }
  if (validate !== undefined && typeof validate !== 'function') {
    invalidOption(where, 'validate', 'a function', validate);
  }
  const supporting = words(context.map((word) => word.toLowerCase()).join(' '));

  return markPure({
    name,
    entities: [entity],
    analyze(text, at): readonly RecognizerResult[] {
      const found: RecognizerResult[] = [];
      const visit = (match: RegExpExecArray): void => {
        if (match[0] === '') return;
        const verdict = validate && atOnce(where, 'validate', validate(match[0]));
        if (verdict === false) return;
        const supported =
          supporting.size > 0 &&
          (keyHint(at, supporting) === 'supports' ||
            nearestHint(text, match.index, supporting) === 'supports');
        found.push({
          entityType: entity,
          start: match.index,
          end: match.index + match[0].length,
          score: verdict === true ? 1 : Math.min(1, supported ? score + CONTEXT_BONUS : score),
          ...(verdict === true ? { validated: true } : undefined),
        });
      };
      for (const pattern of patterns) forEachMatch(pattern, text, entity, visit);
      return found;
    },
  });
}

/**
 * An unbounded quantifier over a group exhausts the stack of the regular expression engine on some megabytes of text
 * (`RangeError`): nothing was searched then, so the text is refused.
 */
function forEachMatch(
  pattern: RegExp,
  text: string,
  entity: string,
  visit: (match: RegExpExecArray) => void,
): void {
  // matchAll steps over empty matches by itself (ECMA-262, RegExp String Iterator).
  const matches = text.matchAll(pattern);
  for (;;) {
    let next: IteratorResult<RegExpExecArray>;
    try {
      next = matches.next();
    } catch (cause) {
      throw new StrongroomError(
        'ERR_PII_BLOCKED',
        `redact: a pattern of ${entity} overflows the stack of the regular expression engine for a text of ${text.length} characters. ` +
          'Bound its quantifiers ({1,64} in place of +), or lower maxScanBytes.',
        { cause },
      );
    }
    if (next.done === true) return;
    visit(next.value);
  }
}
