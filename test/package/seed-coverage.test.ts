import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** A row of docs/seed-coverage.md. */
interface Row {
  readonly python: string;
  readonly here: string;
  readonly tests: string;
}

const ROWS: readonly Row[] = readFileSync('docs/seed-coverage.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| Python |'))
  .map((line) => {
    const [, python = '', here = '', tests = ''] = line.split('|').map((cell) => cell.trim());
    return { python, here, tests };
  });

/** A file, then a part of a title in it. */
const TEST = /`(test\/[\w./-]+\.test\.ts)` "([^"]+)"/g;

/** A string that is followed by a function: the title of a test or of a group. */
const TITLE = /\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1,\s*(?:\{[^{}]*\},\s*)?(?:async\b|\(|function\b|\w+ =>)/g;

/** Those of the file, and of the files beside it that it takes its tests from. */
function titlesOf(file: string): string[] {
  const source = readFileSync(file, 'utf8');
  const beside = [...source.matchAll(/ from '(\.\/[\w-]+\.ts)'/g)].map(([, name = '']) =>
    readFileSync(join(dirname(file), name), 'utf8'),
  );
  return [source, ...beside].flatMap((text) => [...text.matchAll(TITLE)].map(([, , title = '']) => title));
}

/** What is wrong with the tests that a row names. */
function problemsOf({ here, tests }: Row): string[] {
  if (tests === '') return /^(?:none: |see `)/.test(here) ? [] : ['names no test, and not why there is none'];
  const rest = tests.replaceAll(TEST, '').replaceAll(',', '').trim();
  return [
    ...(rest === '' ? [] : [`is not a list of files with titles: ${rest}`]),
    ...[...tests.matchAll(TEST)].flatMap(([, file = '', title = '']) => {
      if (!existsSync(file)) return [`${file} does not exist`];
      return titlesOf(file).some((each) => each.includes(title)) ? [] : [`${file} has no test "${title}"`];
    }),
  ];
}

describe('docs/seed-coverage.md', () => {
  it('has a row for each of more than fifty members', () => {
    expect(ROWS.length).toBeGreaterThan(50);
  });

  it.each(ROWS)('names tests that exist for $python', (row) => {
    expect(problemsOf(row)).toEqual([]);
  });

  it.each([
    ['a file that is gone', '`test/gone.test.ts` "a"', 'test/gone.test.ts does not exist'],
    [
      'a title that is gone',
      '`test/security.test.ts` "no such title"',
      'test/security.test.ts has no test "no such title"',
    ],
    [
      'a file without a title',
      '`test/security.test.ts`',
      'is not a list of files with titles: `test/security.test.ts`',
    ],
    ['no test', '', 'names no test, and not why there is none'],
  ])('is refused with %s', (_, tests, problem) => {
    expect(problemsOf({ python: 'a member', here: 'another', tests })).toEqual([problem]);
  });
});
