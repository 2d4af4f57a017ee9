import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Phrases that readers from outside stumbled over, and the plain form. */
const PHRASES: readonly (readonly [phrase: RegExp, instead: string])[] = [
  [/\b(?:he|his|him|himself)\b/i, 'the attacker, the user, the caller'],
  [/\bwhoever\b/i, 'the caller, a writer of the database'],
  [/\bsomething else than\b/i, 'the type that is required'],
  [/\b(?:leave|leaves|left) (?:it|them) away\b/i, 'omit'],
  [/\ba text that is (?:not empty|no)\b/i, 'a non-empty string'],
  [/\b(?:crowded|pushe[sd]) (?:it )?out\b/i, 'evicted'],
  [/\ba moment ago\b/i, 'recently'],
  [/\ba moment of chance\b/i, 'a random time'],
  [/\btells? of\b/i, 'reports, announces'],
  [/\bspeaks? (?:for|of)\b/i, 'supports, mentions'],
  [/\bgoes with\b/i, 'is deleted with, belongs to'],
  [/\bof its own accord\b/i, 'by itself'],
  [/\bso to speak\b/i, 'omit'],
  [/\bunder way\b/i, 'running, in flight'],
  [/\bsuffices?\b/i, 'is enough'],
  [/\bwhat becomes?\b/i, 'the subject itself'],
  [/\bfound out\b/i, 'detected'],
];

/** Lists of words that recognizers look for in the texts of users. */
const WORD_LISTS = new Set(['src/redaction/context.ts', 'src/redaction/recognizers/phone-words.ts']);

const FILES = globSync(['src/**/*.ts', 'docs/**/*.md', 'examples/**/*.ts', '*.md'])
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => !WORD_LISTS.has(file))
  .toSorted();

describe('the words of sources and documents', () => {
  it('are checked in more than a hundred files', () => {
    expect(FILES.length).toBeGreaterThan(100);
  });

  it.each(PHRASES)('do not include %s', (phrase, instead) => {
    const found = FILES.flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line, index) => (phrase.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
    );
    expect(found, `Write: ${instead}.`).toEqual([]);
  });
});
