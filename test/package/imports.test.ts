import { describe, expect, it } from 'vitest';
import { importGraph, violations } from '../../tools/import-graph.ts';

describe('what an entry point loads', () => {
  it('is no more than it may: no driver, no SDK and no `node:` module in the core', () => {
    expect(violations('strongroom-source')).toEqual([]);
  });

  it('is seen through every file: the graph of the core reaches the key wrapping library', () => {
    expect(importGraph('src/index.ts').eager).toContain('jose');
  });
});
