import { describe, expect, test } from 'vitest';
import { sampleItems, sessionChecks, sessionContract } from '../../src/testing/index.ts';
import { INNERS, type Inner } from '../support/inners.ts';
import { NAIVE, STACKS } from '../support/stacks.ts';

describe.each(STACKS)('a session under $name', (stack) => {
  // Bare, a service that reshapes native items breaks the contract; under an envelope it must hold. A session that
  // insists on a run context has its own tests: the contract calls without one.
  describe.each(
    INNERS.filter(
      (inner) => (inner.reshapes !== true || stack.enveloped) && inner.name !== 'a context-aware session',
    ),
  )('around $name', (innerCase) => {
    const opened = new WeakMap<object, Inner>();
    sessionContract(
      { describe, test },
      {
        open: () => {
          const inner = innerCase.open();
          const session = stack.wrap(inner.session);
          opened.set(session, inner);
          return session;
        },
        close: async (session) => opened.get(session)?.close?.(),
        ...(innerCase.maxItemsPerCall !== undefined && { maxItemsPerCall: innerCase.maxItemsPerCall }),
      },
    );
  });
});

test('the naive proxy breaks the contract', async () => {
  const failed: string[] = [];
  const memory = INNERS.find(({ name }) => name === 'MemorySession');
  for (const [name, check] of sessionChecks(sampleItems())) {
    const inner = memory?.open();
    if (inner !== undefined) await check(NAIVE.wrap(inner.session)).catch(() => failed.push(name));
  }
  expect(failed).toEqual([
    'replaces a suffix only when it matches',
    'replaces a function call by its call id',
  ]);
});
