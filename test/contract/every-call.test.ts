import type { Session } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { faultySession, type FaultTime } from '../../src/testing/index.ts';
import { approvalScenario, historyOf, type Resume } from '../../src/testing/scenarios.ts';
import { INNERS, type InnerCase } from '../support/inners.ts';
import { rounds } from '../support/soak.ts';
import { BARE, STACKS, type StackCase } from '../support/stacks.ts';

type Strike = readonly [member: 'getItems' | 'addItems', nth: number, when: FaultTime, resume: Resume];

/** Every read and write of a resumed run: the look before the tool's result, that result, the final answer. */
const STRIKES: readonly Strike[] = (['live', 'serialized'] as const).flatMap((resume) =>
  (['before', 'after'] as const).flatMap((when) => [
    ['getItems', 1, when, resume] as const,
    ['addItems', 1, when, resume] as const,
    ['addItems', 2, when, resume] as const,
  ]),
);

/** The rows of a table that this column tries: all in the long form, else every third one, others in the next columns. */
const share = <T>(rows: readonly T[], column: number): T[] =>
  rows.filter((_, row) => rounds((row + column) % 3, 0) === 0);

/** How often the tool ran, and how many items are remembered, once the run went through. */
async function aftermath(
  innerCase: InnerCase,
  stack: StackCase,
  [member, nth, when, resume]: Strike,
): Promise<readonly [toolRuns: number, items: number]> {
  const inner = innerCase.open();
  const faulty = faultySession<Session>(inner.session);
  const stage = {
    open: () => stack.wrap(faulty.session),
    stream: false,
    ...(inner.context !== undefined && { context: inner.context }),
  };
  const { toolRuns, session } = await approvalScenario(stage, resume, () =>
    faulty.arm({ member, nth, when }),
  );
  expect(faulty.struck).toBe(1);
  const { length } = await historyOf(session, inner.runContext);
  await inner.close?.();
  return [toolRuns, length];
}

/**
 * The SDK reconciles the write of a resumed tool's result and not the last write of a run: when only its
 * acknowledgement is lost, a repeated run stores the answer twice, over its own session as well.
 */
function expected([member, nth, when]: Strike): readonly [number, number] {
  return [1, member === 'addItems' && nth === 2 && when === 'after' ? 8 : 7];
}

const stacks = [BARE, ...STACKS].map((stack, index) => ({ ...stack, index }));

describe.each(stacks)('a fault at any call of a resumed run, under $name', (stack) => {
  const inners = INNERS.filter((inner) => inner.reshapes !== true || stack.enveloped);
  test.each(inners)('around $name, ends as it does over the bare session', async (inner) => {
    for (const strike of share(STRIKES, stack.index + INNERS.indexOf(inner))) {
      expect([strike, await aftermath(inner, stack, strike)]).toEqual([strike, expected(strike)]);
    }
  });
});
