import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const { exports, sideEffects } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, string | Record<string, string>>;
  sideEffects: unknown;
};
const entries = Object.entries(exports).filter((row) => typeof row[1] !== 'string') as [
  string,
  Record<string, string>,
][];

describe('the exports map', () => {
  it.each(entries)('%s gives sources to this repository, and types and code to users', (_entry, target) => {
    const source = target['strongroom-source'] as string;
    expect(existsSync(source)).toBe(true);
    const built = source.replace(/^\.\/src\/(.*)\.ts$/, './dist/$1');
    expect(Object.entries(target)).toEqual([
      ['strongroom-source', source],
      ['types', `${built}.d.ts`],
      ['default', `${built}.js`],
    ]);
  });

  it('exports no private file: there is no wildcard', () => {
    expect(Object.keys(exports).join(' ')).not.toContain('*');
  });

  it('says that no module has side effects', () => {
    expect(sideEffects).toBe(false);
  });
});
