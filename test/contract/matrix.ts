import assert from 'node:assert/strict';
import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { itemKey } from '../../src/protocol/item.ts';
import { assertNoPlaintext, assertSealed, faultySession, type FaultTime } from '../../src/testing/index.ts';
import {
  approvalScenario,
  blockedScenario,
  historyOf,
  PERSONAL,
  SCENARIO_TEXTS,
  serverCompactionScenario,
  type Performance,
  type Resume,
  type Stage,
} from '../../src/testing/scenarios.ts';
import type { Inner, InnerCase } from '../support/inners.ts';
import { plainSession } from '../support/plain-session.ts';
import type { StackCase } from '../support/stacks.ts';

/** What goes wrong in a cell: nothing, a call that did nothing, or one whose answer was lost. */
export type CellFault = 'none' | FaultTime;
export const FAULTS: readonly CellFault[] = ['none', 'before', 'after'];

const references = new Map<string, Promise<AgentInputItem[]>>();

/** What a scenario leaves behind over a session of the SDK, by whether that has transactions. Played once. */
async function reference(
  inner: InnerCase,
  name: string,
  perform: (stage: Stage) => Promise<Performance>,
): Promise<AgentInputItem[]> {
  const key = `${name} ${inner.transactions ? 'with' : 'without'} transactions`;
  let items = references.get(key);
  if (items === undefined) {
    const session: Session = inner.transactions ? new MemorySession() : plainSession();
    items = perform({ open: () => session, stream: false }).then(() => session.getItems());
    references.set(key, items);
  }
  return items;
}

/** One cell of a matrix. */
export interface Cell {
  readonly inner: InnerCase;
  readonly stack: StackCase;
  readonly stream: boolean;
}

/** Sets the stage of a cell: the inner session behind a faulty one, wrapped anew at each `open`. */
function stageOf({ inner: innerCase, stack, stream }: Cell): {
  readonly inner: Inner;
  readonly stage: Stage;
  readonly faulty: ReturnType<typeof faultySession<Session>>;
} {
  const inner = innerCase.open();
  const faulty = faultySession(inner.session);
  const stage: Stage = {
    open: () => stack.wrap(faulty.session),
    stream,
    ...(inner.context !== undefined && { context: inner.context }),
  };
  return { inner, stage, faulty };
}

/** The history is what it should be, and the store does not show what it must not. */
async function verify(
  cell: Cell,
  inner: Inner,
  session: Session,
  expected: readonly AgentInputItem[],
): Promise<void> {
  const visible = await historyOf(session, inner.runContext);
  const comparable = (items: readonly AgentInputItem[]): string[] => {
    // A service that keeps items in its own shape, without envelopes: compare what they say.
    if (cell.inner.reshapes === true && !cell.stack.enveloped)
      return items.map((item) => gist(item, cell.stack));
    const copies = structuredClone([...items]);
    return (session.prepareHistoryItemsForPersistenceComparison?.(copies) ?? copies).map(itemKey);
  };
  assert.deepEqual(comparable(visible), comparable(expected), 'the history is not the expected one');
  const raw = await inner.raw();
  const stored = JSON.stringify(raw);
  if (cell.stack.hides === 'everything') {
    assertNoPlaintext(stored, SCENARIO_TEXTS);
    if (cell.stack.name !== 'the naive proxy') await assertSealed(plainCopy(raw));
  }
  if (cell.stack.hides === 'personal data') {
    assert.ok(!stored.includes(PERSONAL), 'personal data is in the store');
  }
}

function plainCopy(items: AgentInputItem[]): Session {
  return new MemorySession({ initialItems: items });
}

/** A cell of the main matrix: an approval that is resumed, with a fault at the write of the tool's result. */
export async function approvalCell(cell: Cell, fault: CellFault, resume: Resume): Promise<void> {
  const { inner, stage, faulty } = stageOf(cell);
  try {
    const performance = await approvalScenario(stage, resume, () => {
      if (fault !== 'none') faulty.arm({ member: ['addItems', 'applyHistoryTransaction'], when: fault });
    });
    assert.equal(performance.failures.length, fault === 'none' ? 0 : 1, 'attempts that failed');
    assert.equal(faulty.struck, fault === 'none' ? 0 : 1, 'faults that struck');
    assert.equal(performance.toolRuns, 1, 'the tool must run once');
    assert.equal(performance.finalOutput, SCENARIO_TEXTS[5]);
    await verify(
      cell,
      inner,
      performance.session,
      await reference(cell.inner, 'approval', async (bare) => approvalScenario(bare, 'live')),
    );
    const seen = JSON.stringify(performance.lastInput);
    assert.ok(seen.includes(SCENARIO_TEXTS[0] ?? ''), 'the model must have seen the first turn in clear');
    assert.equal(performance.lastInput.filter((item) => item.type === 'function_call_result').length, 1);
  } finally {
    await inner.close?.();
  }
}

/** Where the fault of a {@link blockedCell} strikes. */
export type BlockedPhase = 'blocked' | 'accepted';

/** Blocked output, then accepted: `append_items` and `replace_suffix`, one of them with a fault. */
export async function blockedCell(cell: Cell, fault: CellFault, phase: BlockedPhase): Promise<void> {
  const { inner, stage, faulty } = stageOf(cell);
  try {
    const performance = await blockedScenario(stage, (current) => {
      if (fault !== 'none' && current === phase) {
        faulty.arm({ member: 'applyHistoryTransaction', when: fault });
      }
    });
    faulty.disarm();
    const transactions = 'applyHistoryTransaction' in cell.stack.wrap(inner.session);
    assert.equal(
      transactions,
      cell.inner.transactions,
      'transactions are there when the inner session has them',
    );
    assert.equal(faulty.struck, fault === 'none' || !transactions ? 0 : 1, 'faults that struck');
    assert.equal(performance.toolRuns, 1, 'the tool must run once');
    assert.equal(performance.finalOutput, SCENARIO_TEXTS[5]);
    await verify(
      cell,
      inner,
      performance.session,
      await reference(cell.inner, 'blocked', async (bare) => blockedScenario(bare)),
    );
  } finally {
    await inner.close?.();
  }
}

/** A compaction item in the model's output, with a fault at the n-th write of its turn. */
export async function serverCompactionCell(cell: Cell, fault: CellFault, nth: number): Promise<void> {
  const { inner, stage, faulty } = stageOf(cell);
  const member = ['replaceHistoryWithCompaction', 'clearSession', 'addItems'] as const;
  try {
    const performance = await serverCompactionScenario(stage, () => {
      if (fault !== 'none') faulty.arm({ member, when: fault, nth });
      return () => faulty.disarm();
    });
    // What the SDK itself leaves behind after the same fault, over the same kind of session without layers.
    const bareInner = cell.inner.open();
    const bare = faultySession(bareInner.session);
    const bareStage: Stage = { ...stage, open: () => bare.session };
    const expected = await serverCompactionScenario(bareStage, () => {
      if (fault !== 'none') bare.arm({ member, when: fault, nth });
      return () => bare.disarm();
    });
    assert.equal(performance.failures.length, expected.failures.length, 'runs that failed');
    const texts = (items: readonly AgentInputItem[]): string[] => items.map(shape);
    assert.deepEqual(
      texts(performance.lastInput),
      texts(expected.lastInput),
      'what the model saw afterwards',
    );
    assert.deepEqual(
      texts(await historyOf(performance.session, inner.runContext)),
      texts(await historyOf(expected.session, bareInner.runContext)),
      'what is remembered',
    );
    if (cell.stack.hides === 'everything')
      assertNoPlaintext(JSON.stringify(await inner.raw()), SCENARIO_TEXTS);
    if (cell.stack.hides === 'personal data') {
      assert.ok(!JSON.stringify(await inner.raw()).includes(PERSONAL), 'personal data is in the store');
    }
  } finally {
    await inner.close?.();
  }
}

/** The kind of an item and its words, as far as the stack lets them through. */
function gist(item: AgentInputItem, stack: StackCase): string {
  const record = item as { content?: unknown; output?: unknown; arguments?: string; callId?: string };
  const parts = [shape(item), record.callId, record.arguments, words(record.content), words(record.output)];
  const said = parts.join('|');
  return stack.hides === 'personal data' || stack.redactsReads === true
    ? said.replaceAll(PERSONAL, '<EMAIL_ADDRESS>')
    : said;
}

function words(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(words).join(' ');
  return typeof value === 'object' && value !== null && 'text' in value ? String(value.text) : '';
}

/** What no redaction and no service that gives ids changes. */
function shape(item: AgentInputItem): string {
  return [item.type ?? 'message', 'role' in item ? item.role : ''].join(':');
}

/** Any scenario without a fault: what is remembered equals what a session of the SDK remembers. */
export async function scenarioCell(
  cell: Cell,
  name: string,
  perform: (stage: Stage) => Promise<Performance>,
): Promise<Performance> {
  const { inner, stage } = stageOf(cell);
  try {
    const performance = await perform(stage);
    await verify(cell, inner, performance.session, await reference(cell.inner, name, perform));
    return performance;
  } finally {
    await inner.close?.();
  }
}
