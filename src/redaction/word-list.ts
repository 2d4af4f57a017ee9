import { markPure, type Recognizer, type RecognizerResult } from './recognizer.ts';
import { latePattern } from './late.ts';

const FIRST_WORD = latePattern(String.raw`[\p{L}\p{M}\p{N}]+`, 'u');
const CHARACTER = latePattern(String.raw`[\p{L}\p{M}\p{N}]`, 'u');
const LAST_CHARACTER = latePattern(String.raw`[\p{L}\p{M}\p{N}]$`, 'u');

/** For the check of all patterns. Bounded: one letter outside of the Basic Multilingual Plane costs the engine a place on its stack. */
export const WORD: () => RegExp = latePattern(String.raw`[\p{L}\p{M}\p{N}]{1,4096}`, 'gu');

/**
 * Finds given phrases, whole words and any case. Looks up the first word of each phrase, so that the length of the
 * list does not matter.
 */
export function phraseRecognizer(entityType: string, phrases: readonly string[]): Recognizer {
  const byFirstWord = new Map<string, { readonly phrase: string; readonly offset: number }[]>();
  for (const given of phrases) {
    const phrase = given.normalize('NFKC').toLowerCase();
    const first = FIRST_WORD().exec(phrase);
    if (first === null) continue;
    const list = byFirstWord.get(first[0]) ?? [];
    list.push({ phrase, offset: first.index });
    byFirstWord.set(first[0], list);
  }
  for (const list of byFirstWord.values()) list.sort((a, b) => b.phrase.length - a.phrase.length);
  return markPure({
    name: `deny-list ${entityType}`,
    entities: [entityType],
    analyze(text): readonly RecognizerResult[] {
      const found: RecognizerResult[] = [];
      for (const match of text.matchAll(WORD())) {
        for (const { phrase, offset } of byFirstWord.get(match[0].toLowerCase()) ?? []) {
          const start = match.index - offset;
          const end = start + phrase.length;
          if (start < 0 || text.slice(start, end).toLowerCase() !== phrase) continue;
          if (CHARACTER().test(text[end] ?? '') && LAST_CHARACTER().test(phrase)) continue;
          found.push({ entityType, start, end, score: 1, validated: true });
          break;
        }
      }
      return found;
    },
  });
}
