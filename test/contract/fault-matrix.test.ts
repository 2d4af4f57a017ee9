import { describe, expect, test } from 'vitest';
import { INNERS, type InnerCase } from '../support/inners.ts';
import { NAIVE } from '../support/stacks.ts';
import { cells, faultMatrix } from './cells.ts';

faultMatrix(false);

describe('the naive proxy', () => {
  /** The names of the cells that fail. */
  async function failures(inner: InnerCase): Promise<string[]> {
    const failed: string[] = [];
    for (const [name, check] of cells(inner, NAIVE, false)) {
      await check().catch(() => failed.push(name));
    }
    return failed;
  }

  test.each([
    ['MemorySession', /^an answer blocked and then accepted/],
    ['a context-aware session', /^an approval resumed live, no fault/],
    ['OpenAIConversationsSession', /^a compaction item of the service, no fault/],
  ])('fails around %s', async (name, expected) => {
    const inner = INNERS.find((candidate) => candidate.name === name) as InnerCase;
    expect((await failures(inner)).filter((failed) => expected.test(failed))).not.toEqual([]);
  });
});
