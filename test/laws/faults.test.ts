import assert from 'node:assert/strict';
import {
  applySessionHistoryMutations,
  isSessionHistoryRewriteAwareSession,
  isSessionHistoryTransactionAwareSession,
  type AgentInputItem,
  type Session,
  type SessionHistoryTransactionArgs,
} from '@openai/agents';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cloneItem } from '../../src/protocol/item.ts';
import { faultySession, type FaultTime } from '../../src/testing/index.ts';
import { items } from '../support/arbitraries.ts';
import { calls, type Calls } from '../support/calls.ts';
import { INNERS, type InnerCase } from '../support/inners.ts';
import { rounds } from '../support/soak.ts';
import { BARE, NAIVE, STACKS, type StackCase } from '../support/stacks.ts';

/** One operation on a session, and what it makes of a history. */
interface Operation {
  readonly name: string;
  readonly possible: (session: Session) => boolean;
  readonly perform: (session: Calls) => Promise<unknown>;
  readonly after: (before: readonly AgentInputItem[], inner: InnerCase) => readonly AgentInputItem[];
  /** Repeating it once it was done changes nothing. */
  readonly idempotent?: true;
}

/** Texts that redacting layers change, into the same: an edit must not be lost because of that. */
const CALL: AgentInputItem = {
  type: 'function_call',
  callId: 'call_1',
  name: 'work',
  arguments: '{"to":"ada@example.org"}',
};
const CHANGED = {
  type: 'function_call',
  callId: 'call_1',
  name: 'work',
  arguments: '{"to":"bob@example.org"}',
} as const;

function operations(before: readonly AgentInputItem[], added: readonly AgentInputItem[]): Operation[] {
  const always = (): boolean => true;
  const suffix = before.slice(-2);
  const mutations = [{ type: 'replace_function_call', callId: 'call_1', replacement: CHANGED } as const];
  const compacted: AgentInputItem[] = [{ type: 'compaction', encrypted_content: 'opaque' }, ...added];
  return [
    {
      name: 'addItems',
      possible: always,
      perform: (session) => session.addItems(added.map(cloneItem)),
      after: (history) => [...history, ...added],
    },
    {
      name: 'popItem',
      possible: always,
      perform: (session) => session.popItem(),
      after: (h) => h.slice(0, -1),
    },
    { name: 'clearSession', possible: always, perform: (session) => session.clearSession(), after: () => [] },
    { name: 'getItems', possible: always, perform: (session) => session.getItems(2), after: (h) => h },
    {
      name: 'append_items',
      possible: isSessionHistoryTransactionAwareSession,
      perform: ({ session }) =>
        transact(session, {
          operationId: 'append',
          transaction: { type: 'append_items', items: [...added] },
        }),
      after: (history) => [...history, ...added],
      idempotent: true,
    },
    {
      name: 'replace_suffix',
      possible: isSessionHistoryTransactionAwareSession,
      perform: ({ session }) =>
        transact(session, {
          operationId: 'replace',
          transaction: { type: 'replace_suffix', expectedSuffix: suffix, replacement: [...added] },
        }),
      after: (history) => [...history.slice(0, history.length - suffix.length), ...added],
      idempotent: true,
    },
    {
      name: 'applyHistoryMutations',
      possible: isSessionHistoryRewriteAwareSession,
      perform: async ({ session }) => {
        if (isSessionHistoryRewriteAwareSession(session)) await session.applyHistoryMutations({ mutations });
      },
      after: (history) => applySessionHistoryMutations([...history], mutations),
      idempotent: true,
    },
    {
      name: 'replaceHistoryWithCompaction',
      possible: (session) => session.replaceHistoryWithCompaction !== undefined,
      perform: (session) => session.replaceHistoryWithCompaction(compacted.map(cloneItem)),
      after: (history, inner) => (inner.reshapes === true ? [...history, ...compacted] : compacted),
    },
  ];
}

async function transact(session: Session, args: SessionHistoryTransactionArgs): Promise<void> {
  if (isSessionHistoryTransactionAwareSession(session))
    await session.applyHistoryTransaction(cloneItem(args));
}

interface Strike {
  readonly before: readonly AgentInputItem[];
  readonly added: readonly AgentInputItem[];
  readonly operation: number;
  readonly when: FaultTime;
  readonly nth: number;
  readonly retryElsewhere: boolean;
}

const strike: fc.Arbitrary<Strike> = fc.record({
  before: items.map((some) => [...some.slice(0, 2), CALL, ...some.slice(2)]),
  added: items,
  operation: fc.nat({ max: 7 }),
  when: fc.constantFrom('before' as const, 'after' as const),
  nth: fc.integer({ min: 1, max: 6 }),
  retryElsewhere: fc.boolean(),
});

/** A fault at the n-th inner call of an operation: nothing or everything happened, and a retry gets there. */
async function survives(innerCase: InnerCase, stack: StackCase, params: Strike): Promise<void> {
  const { before, added, when, nth } = params;
  const inner = innerCase.open();
  try {
    const faulty = faultySession(inner.session);
    const wrapper = calls(stack.wrap(faulty.session), inner.runContext);
    await wrapper.addItems(before.map(cloneItem));
    const operation = operations(before, added)[params.operation] as Operation;
    if (!operation.possible(wrapper.session)) return;
    const shown = (items: readonly AgentInputItem[]): readonly AgentInputItem[] =>
      stack.shown !== undefined
        ? items.map(stack.shown)
        : stack.hides === 'personal data'
          ? (wrapper.session.prepareHistoryItemsForPersistenceComparison?.([...items]) ?? items)
          : items;
    const after = shown(operation.after(before, innerCase));

    faulty.arm({ when, nth });
    const failed = await operation.perform(wrapper).then(
      () => false,
      () => true,
    );
    faulty.disarm();
    const other = calls(stack.wrap(faulty.session), inner.runContext);
    const now = JSON.stringify(await other.getItems());
    assert.equal(JSON.stringify(await wrapper.getItems()), now, 'two wrappers disagree after a fault');
    const done = now === JSON.stringify(after);
    assert.ok(
      done || (failed && now === JSON.stringify(shown(before))),
      `${operation.name}: neither nothing nor everything`,
    );

    if (done && operation.idempotent !== true) return;
    await operation.perform(params.retryElsewhere && faulty.struck > 0 ? other : wrapper);
    const third = calls(stack.wrap(faulty.session), inner.runContext);
    for (const one of [wrapper, other, third]) {
      assert.equal(
        JSON.stringify(await one.getItems()),
        JSON.stringify(after),
        `${operation.name}: no convergence`,
      );
    }
    await wrapper.addItems([CALL]);
    const last = calls(stack.wrap(faulty.session), inner.runContext);
    assert.equal((await last.getItems()).length, after.length + 1, 'the session is usable afterwards');
  } finally {
    await inner.close?.();
  }
}

async function property(inner: InnerCase, stack: StackCase, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(strike, async (params) => survives(inner, stack, params)),
    { numRuns },
  );
}

describe('a fault at any inner call leaves history unchanged or complete, and a retry converges', () => {
  describe.each([BARE, ...STACKS])('under $name', (stack) => {
    const inners = INNERS.filter((inner) => inner.reshapes !== true || stack.enveloped);
    test.each(inners)('around $name', async (inner) => {
      await expect(property(inner, stack, rounds(10, 600))).resolves.toBeUndefined();
    });
  });

  test('but not under the naive proxy', async () => {
    const memory = INNERS.find((inner) => inner.name === 'MemorySession') as InnerCase;
    await expect(property(memory, NAIVE, 300)).rejects.toThrow('Property failed');
  });
});
