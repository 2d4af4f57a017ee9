import { late } from './late.ts';
import { markPure, type Recognizer, type RecognizerResult } from './recognizer.ts';
import { foldedView, plainView } from './text-view.ts';
import { UNSPACED_LETTER } from './unspaced.ts';
import { viewBuilder, type TextView } from './view-builder.ts';

const LATIN = String.raw`[\p{Script=Latin}\p{N}\u0300-\u036f]`;
const OTHER = late(() => String.raw`(?:(?!${LATIN}|${UNSPACED_LETTER().source})[\p{L}\p{M}])`);
/**
 * A word ends where its script does, and a letter of a script that is written without spaces is one by itself. For the
 * check of all patterns. Bounded: one letter outside of the Basic Multilingual Plane costs the engine a place on its stack.
 */
export const WORD: () => RegExp = late(
  () => new RegExp(`${UNSPACED_LETTER().source}|${LATIN}{1,4096}|${OTHER()}{1,4096}`, 'gu'),
);
/** Two characters of one word. */
const WITHIN = late(() => new RegExp(`^(?:${LATIN}{2}|${OTHER()}{2})$`, 'u'));
const WHITE_SPACE = /\s{1,4096}/g;

/**
 * Finds given phrases, whole words and any case, over any white space. Looks up the first word of each phrase, so that
 * the length of the list does not matter.
 */
export function phraseRecognizer(entityType: string, phrases: readonly string[]): Recognizer {
  const byFirstWord = new Map<string, { readonly phrase: string; readonly offset: number }[]>();
  for (const given of phrases) {
    const phrase = spacedOnce(lowerCase(foldedView(given).text)).text;
    const [first] = phrase.matchAll(WORD());
    if (first === undefined) continue;
    const list = byFirstWord.get(first[0]) ?? [];
    list.push({ phrase, offset: first.index });
    byFirstWord.set(first[0], list);
  }
  for (const list of byFirstWord.values()) list.sort((a, b) => b.phrase.length - a.phrase.length);
  return markPure({
    name: `deny-list ${entityType}`,
    entities: [entityType],
    analyze(original): readonly RecognizerResult[] {
      const found: RecognizerResult[] = [];
      const view = spacedOnce(lowerCase(original));
      const { text } = view;
      for (const match of text.matchAll(WORD())) {
        for (const { phrase, offset } of byFirstWord.get(match[0]) ?? []) {
          const from = match.index - offset;
          const to = from + phrase.length;
          if (from < 0 || !text.startsWith(phrase, from)) continue;
          if (WITHIN().test(text.slice(to - 1, to + 1))) continue;
          const [start, end] = view.original(from, to);
          found.push({ entityType, start, end, score: 1, validated: true });
          break;
        }
      }
      return found;
    },
  });
}

/** As long as the text: `İ` is the only letter that is longer in lower case. A sigma is the same at the end of a word. */
function lowerCase(text: string): string {
  return text.replaceAll('İ', 'i').toLowerCase().replaceAll('ς', 'σ');
}

/** One space in the place of each white space. */
function spacedOnce(text: string): TextView {
  const plain = plainView(text);
  const builder = viewBuilder(plain);
  for (const { 0: space, index } of text.matchAll(WHITE_SPACE)) {
    if (space !== ' ') builder.replace(index, index + space.length, ' ');
  }
  return builder.build() ?? plain;
}
