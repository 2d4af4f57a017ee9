import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findings } from '../../tools/papers.ts';

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly files: readonly string[] };
/** npm packs these by itself. */
const ALWAYS = ['README.md', 'LICENSE', 'package.json'];

function linksOf(text: string): string[] {
  return Array.from(
    text.matchAll(/\]\((?<target>[^)\s#]+)/g),
    ({ groups }) => groups?.['target'] as string,
  ).filter((target) => !/^[a-z]+:/.test(target));
}

describe.each(['SKILL.md', 'llms.txt'])('%s', (name) => {
  const text = readFileSync(name, 'utf8');

  it('is in the tarball, and so is every page that it links', () => {
    expect(manifest.files).toContain(name);
    const packed = (path: string): boolean =>
      ALWAYS.includes(path) || manifest.files.some((file) => path === file || path.startsWith(`${file}/`));
    expect(linksOf(text).length).toBeGreaterThan(5);
    expect(linksOf(text).filter((path) => !packed(path) || !existsSync(path))).toEqual([]);
  });

  it('has only code that was cut from a program', () => {
    expect(text).toMatch(/```ts\n/);
    expect(findings(name)).toEqual([]);
  });
});

describe('SKILL.md', () => {
  it('begins with the name and the description that agents choose skills by, within their limits', () => {
    const [, head = ''] = /^---\n([\s\S]*?)\n---\n/.exec(readFileSync('SKILL.md', 'utf8')) ?? [];
    const fields = new Map(head.split('\n').map((line) => line.split(/: (.*)/s) as [string, string]));
    expect([...fields.keys()]).toEqual(['name', 'description']);
    expect(fields.get('name')).toMatch(/^[a-z\d-]{1,64}$/);
    expect(fields.get('description')?.length).toBeLessThanOrEqual(1_024);
  });
});

describe('llms.txt', () => {
  it('lists every page of docs', () => {
    const listed = linksOf(readFileSync('llms.txt', 'utf8'));
    expect(globSync('docs/*.md').filter((page) => !listed.includes(page))).toEqual([]);
  });
});
