import { StrongroomError } from '../errors.ts';
import type { MaybePromise } from '../layer.ts';
import { after, isThenable, together } from '../maybe-promise.ts';
import { encodedTexts } from './base64.ts';
import { CLUE, type Clues } from './clues.ts';
import { forgetWords } from './context.ts';
import { withoutMisled } from './escaped-finds.ts';
import { unescapedViews } from './escaped-view.ts';
import { SECRETS } from './keyed-hash.ts';
import { lookAt, lookAtView, tellsSecret, type Look } from './look.ts';
import { operatorOf, type RedactionSettings } from './options.ts';
import type { BuiltInRecognizer, RecognizerResult, TextContext } from './recognizer.ts';
import { resolveOverlaps, STRENGTH, type Span, type StrengthOf } from './spans.ts';
import { forgetTables } from './table-text.ts';
import { plainView } from './text-view.ts';
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
  const strengthOf = strengths(settings);
  const own = searchView(settings, whole, context, text);
  const others: MaybePromise<readonly Span[]>[] = [];
  const views = hidesValues(settings, whole, context) ? unescapedViews(whole.view) : [];
  const resolved = views.map((inner) => searchView(settings, lookAtView(inner), context));
  if (settings.decode.has('base64')) {
    for (const view of [plainView(text), ...views]) {
      for (const { start, end, decoded } of encodedTexts(view.text)) {
        others.push(
          after(analyzeText(settings, decoded, context), (inside) => {
            const [strongest] = [...inside].sort(
              (a, b) => strengthOf(b.entityType) - strengthOf(a.entityType),
            );
            const [from, to] = view.original(start, end);
            // One edited character changes all that follow, so the encoded text is replaced as a whole.
            return strongest === undefined ? [] : [{ ...strongest, start: from, end: to, validated: true }];
          }),
        );
      }
    }
  }
  forgetTables();
  forgetWords();
  const resolve = (spans: readonly Span[]): readonly Span[] => resolveOverlaps(spans, strengthOf);
  if (resolved.length > 0) {
    others.push(after(together([own, ...resolved]), (levels) => withoutMisled(text, levels)));
  } else if (others.length === 0) return after(own, resolve);
  else others.push(own);
  return after(together(others), (lists) => resolve(lists.flat()));
}

function strengths(settings: RedactionSettings): StrengthOf {
  return (entityType) => {
    const { type } = operatorOf(settings, entityType);
    if (type === 'keep') return STRENGTH.keeps;
    return type === 'block' ? STRENGTH.blocks : STRENGTH.replaces;
  };
}

/** Whether escapes may hide a value. A line break or a tab hides only where it begins, not its clues. */
function hidesValues(settings: RedactionSettings, { clues }: Look, context: TextContext): boolean {
  if (!settings.decode.has('percent')) return false;
  if ((clues.seen & CLUE.escape) !== 0) return true;
  if ((clues.seen & CLUE.layout) === 0) return false;
  return settings.decode.has('base64') || cluesFor(settings, clues, context) !== 0;
}

/** The clues of the recognizers in use. */
function cluesFor(settings: RedactionSettings, { seen }: Clues, { key }: TextContext): number {
  return (seen | CLUE.always | (tellsSecret(key) ? CLUE.key : 0)) & settings.clues;
}

/** @param exact The text itself, if the view has its characters, only folded. */
function searchView(
  settings: RedactionSettings,
  { view, clues }: Look,
  context: TextContext,
  exact?: string,
): MaybePromise<readonly Span[]> {
  const seen = cluesFor(settings, clues, context);
  if (seen === 0) return NOTHING;
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
