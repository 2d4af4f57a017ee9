import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { steps } from '../support/arbitraries.ts';
import { INNERS, type InnerCase } from '../support/inners.ts';
import { rounds } from '../support/soak.ts';
import { BARE, NAIVE, STACKS, type StackCase } from '../support/stacks.ts';
import { playAgainstList } from './model.ts';

async function property(inner: InnerCase, stack: StackCase, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, async (life) => playAgainstList(inner, stack, life)),
    { numRuns },
  );
}

describe('two wrappers over one session, interleaved, agree with a plain list', () => {
  describe.each([BARE, ...STACKS])('under $name', (stack) => {
    // A service that keeps items in its own shape equals a list only when it sees envelopes.
    const inners = INNERS.filter((inner) => inner.reshapes !== true || stack.enveloped);
    test.each(inners)('around $name', async (inner) => {
      await expect(property(inner, stack, rounds(10, 600))).resolves.toBeUndefined();
    });
  });

  test.each(INNERS.filter((inner) => inner.transactions || inner.name === 'a context-aware session'))(
    'but the naive proxy around $name does not',
    async (inner) => {
      await expect(property(inner, NAIVE, 200)).rejects.toThrow('Property failed');
    },
  );
});
