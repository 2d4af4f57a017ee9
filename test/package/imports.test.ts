import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { circles, floorViolations, importsUnder } from '../../tools/floors.ts';
import { importGraph, violations } from '../../tools/import-graph.ts';

describe('what an entry point loads', () => {
  it('is only what is allowed: no driver, no SDK and no `node:` module in the core', () => {
    expect(violations('strongroom-source')).toEqual([]);
  });

  it('is followed through every file: the graph of the core reaches the key wrapping library', () => {
    const { eager, lazy } = importGraph('src/index.ts');
    expect(lazy).toContain('jose');
    expect(eager).not.toContain('jose');
  });

  it('does not have AES of noble, whose tables few runtimes need', () => {
    const { eager, lazy } = importGraph('src/index.ts');
    expect(lazy).toContain('@noble/ciphers/aes.js');
    expect(eager).not.toContain('@noble/ciphers/aes.js');
  });
});

describe('the floor plan', () => {
  const imports = importsUnder();

  it('has no import that runs up, and no circle', () => {
    expect(floorViolations(imports)).toEqual([]);
    expect(circles(imports)).toEqual([]);
  });

  it('finds an import that runs up, one to the side, a room without a floor and a circle', () => {
    const wrong = new Map([
      ['keys/jwk.ts', ['protocol/item.ts', 'errors.ts']],
      ['history/plan.ts', ['redaction/walk.ts', 'history/structure.ts']],
      ['history/structure.ts', ['history/plan.ts']],
      ['cellar/wine.ts', []],
    ]);
    expect(floorViolations(wrong)).toEqual([
      'keys/jwk.ts: imports protocol/item.ts, which stands above it.',
      'history/plan.ts: imports redaction/walk.ts, which stands on the same floor.',
      'cellar/wine.ts: tools/floors.ts has no floor for cellar.',
    ]);
    expect(circles(wrong)).toEqual(['history/plan.ts → history/structure.ts → history/plan.ts']);
  });
});

describe('the sources', () => {
  it('have no `using`, which the oldest Node that `engines` allows cannot parse', () => {
    const found = [...importsUnder().keys()].filter((file) =>
      /^(?! *\*).*\busing \w+ = /m.test(readFileSync(join('src', file), 'utf8').replace(/^ *\*.*$/gm, '')),
    );
    expect(found).toEqual([]);
  });
});
