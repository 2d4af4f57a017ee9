import { StrongroomError } from '../errors.ts';
import type { MaybePromise } from '../layer.ts';
import { after, isThenable, together } from '../maybe-promise.ts';
import { encodedTexts } from './base64.ts';
import { CLUE } from './clues.ts';
import { forgetWords } from './context.ts';
import { unescapedViews } from './escaped-view.ts';
import { SECRETS } from './keyed-hash.ts';
import { lookAt, lookAtView, tellsSecret, type Look } from './look.ts';
import type { RedactionSettings } from './options.ts';
import type { BuiltInRecognizer, RecognizerResult, TextContext } from './recognizer.ts';
import { resolveOverlaps, type Span } from './spans.ts';
import { forgetTables } from './table-text.ts';
import type { TextView } from './view-builder.ts';

const NOTHING: readonly Span[] = [];

/**
 * The finds in one text, in order, without overlaps, in offsets of the original text.
 *
 * @param look The clues of the text, if they are known.
 */
export function analyzeText(
  settings: RedactionSettings,
  text: string,
  context: TextContext,
  look?: Look,
): MaybePromise<readonly Span[]> {
  if (text.length === 0) return NOTHING;
  const whole = look ?? lookAt(text);
  const own = searchView(settings, whole, context, text);
  const others: MaybePromise<readonly Span[]>[] = [];
  if (settings.decode.has('percent') && (whole.clues.seen & CLUE.escape) !== 0) {
    for (const inner of unescapedViews(whole.view)) {
      others.push(searchView(settings, lookAtView(inner), context));
    }
  }
  if (settings.decode.has('base64')) {
    for (const { start, end, decoded } of encodedTexts(text)) {
      others.push(
        after(analyzeText(settings, decoded, context), (inside) => {
          const [first] = inside;
          // One edited character changes all that follow, so the encoded text is replaced as a whole.
          return first === undefined ? [] : [{ ...first, start, end, validated: true }];
        }),
      );
    }
  }
  forgetTables();
  forgetWords();
  if (others.length === 0) return after(own, resolveOverlaps);
  return after(together([own, ...others]), (lists) => resolveOverlaps(lists.flat()));
}

/** @param exact The text itself, if the view has its characters, only folded. */
function searchView(
  settings: RedactionSettings,
  { view, clues }: Look,
  context: TextContext,
  exact?: string,
): MaybePromise<readonly Span[]> {
  const seen = clues.seen | CLUE.always | (tellsSecret(context.key) ? CLUE.key : 0);
  if ((seen & settings.clues) === 0) return NOTHING;
  const answers: MaybePromise<readonly RecognizerResult[]>[] = [];
  const names: string[] = [];
  for (const { recognizer, clues: needed } of settings.recognizers) {
    if ((seen & needed) === 0) continue;
    const answer = (recognizer as BuiltInRecognizer).analyze(view.text, context, clues);
    if (!isThenable(answer) && answer.length === 0) continue;
    answers.push(answer);
    names.push(recognizer.name);
  }
  if (answers.length === 0) return NOTHING;
  return after(together(answers), (lists) =>
    lists.flatMap((results, index) =>
      results.flatMap((result) => spanOf(settings, view, result, names[index] as string, exact)),
    ),
  );
}

function spanOf(
  settings: RedactionSettings,
  view: TextView,
  result: RecognizerResult,
  recognizer: string,
  exact: string | undefined,
): readonly Span[] {
  checkRange(result, recognizer, view.text.length);
  const { entityType, score, validated = false } = result;
  if (score < settings.scoreThreshold || result.end <= result.start || !settings.isWanted(entityType))
    return NOTHING;
  const found = view.text.slice(result.start, result.end);
  if (settings.isAllowed(found)) return NOTHING;
  const [start, end] = view.original(result.start, result.end);
  // A notation of an address can be another one; a password is its characters.
  const value = exact !== undefined && SECRETS.has(entityType) ? exact.slice(start, end) : found;
  return [{ entityType, start, end, score, validated, recognizer, value }];
}

function checkRange({ start, end }: RecognizerResult, recognizer: string, length: number): void {
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end <= length) return;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `redact: the recognizer ${JSON.stringify(recognizer)} returned a range outside the text. Correct the recognizer.`,
  );
}
