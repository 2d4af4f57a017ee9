import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { docstringExamples } from '../../tools/docstring-examples.ts';
import { errorsPage } from '../../tools/errors-page.ts';
import { findings, papers } from '../../tools/papers.ts';

describe('the papers', () => {
  it('docs/errors.md equals the output of the table of codes', () => {
    expect(readFileSync('docs/errors.md', 'utf8')).toBe(errorsPage());
  });

  it.each(papers())('%s has only code that was cut from a file, and links that lead somewhere', (paper) => {
    expect(findings(paper)).toEqual([]);
  });

  it('the examples in docstrings are found, so that the compiler can judge them', () => {
    expect(docstringExamples().length).toBeGreaterThan(0);
  });
});
