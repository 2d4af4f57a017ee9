import assert from 'node:assert/strict';
import {
  isSessionHistoryRewriteAwareSession,
  isSessionHistoryTransactionAwareSession,
  type AgentInputItem,
  type Session,
} from '@openai/agents';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cache,
  encrypt,
  expire,
  redact,
  wrapSession,
  type Layers,
  type SessionLayer,
} from '../../src/index.ts';
import { cloneItem } from '../../src/protocol/item.ts';
import { fakeClock, fixedKeyring } from '../../src/testing/index.ts';
import { INNERS, type InnerCase } from '../support/inners.ts';
import { rounds } from '../support/soak.ts';

/** A layer of a user: shows less than is stored, and says nothing about comparing. */
const initials: SessionLayer = {
  name: 'initials',
  read: (entries) =>
    entries.map((entry) => ({
      ...entry,
      item: JSON.parse(JSON.stringify(entry.item).replace(/@[a-z]+/g, '@x')) as AgentInputItem,
    })),
};

interface ViewCase {
  readonly name: string;
  views(): Layers;
  below(): Layers;
  /** What is stored of a text. */
  readonly stored?: (text: string) => string;
}

const cards = (text: string): string => text.replace(/4111 1111 1111 1111/g, '<CREDIT_CARD>');
const seal = (): Layers => [encrypt({ keys: fixedKeyring() })];
const readsEmails = (): Layers => [redact({ when: 'read', entities: ['EMAIL_ADDRESS'] })];

const VIEWS: readonly ViewCase[] = [
  { name: 'redact on read', views: readsEmails, below: () => [] },
  { name: 'redact on read over encrypt', views: readsEmails, below: seal },
  {
    name: 'redact on read over all layers',
    views: readsEmails,
    below: () => [expire({ after: '30d', clock: fakeClock() }), cache({ maxItems: 1_000 }), ...seal()],
  },
  {
    name: 'redact on read over expire',
    views: readsEmails,
    below: () => [expire({ after: '30d', clock: fakeClock() })],
  },
  {
    name: 'redact on read over redact on write',
    views: readsEmails,
    below: () => [redact({ entities: ['CREDIT_CARD'] }), ...seal()],
    stored: cards,
  },
  {
    name: 'redact on write over redact on read',
    views: () => [redact({ entities: ['CREDIT_CARD'] }), ...readsEmails()],
    below: () => [],
    stored: cards,
  },
  { name: 'a view of a user', views: () => [initials], below: seal },
  { name: 'two views', views: () => [initials, ...readsEmails()], below: seal },
];

/** What the new item at a place is: what was seen, what is stored, or something else. */
type Choice = 'visible' | 'stored' | 'edited';

interface Edit {
  readonly choices: readonly Choice[];
  readonly added: number;
  readonly cut: number;
  readonly how: 'replace_suffix' | 'compaction' | 'rollback' | 'mutation';
}

const edit: fc.Arbitrary<Edit> = fc.record({
  choices: fc.array(fc.constantFrom('visible' as const, 'stored' as const, 'edited' as const), {
    minLength: 1,
    maxLength: 4,
  }),
  added: fc.nat({ max: 2 }),
  cut: fc.nat({ max: 2 }),
  how: fc.constantFrom(
    'replace_suffix' as const,
    'compaction' as const,
    'rollback' as const,
    'mutation' as const,
  ),
});

const call = (index: number, who: string): AgentInputItem => ({
  type: 'function_call',
  callId: `call_${index}`,
  name: 'write',
  arguments: JSON.stringify({ to: `${who}@example.org`, card: '4111 1111 1111 1111' }),
});

/** Edits a history of calls with personal data; what is stored afterwards is what was asked for, not what it looks like. */
async function keepsEdits(innerCase: InnerCase, view: ViewCase, params: Edit): Promise<void> {
  const inner = innerCase.open();
  try {
    const below = view.below();
    const session = wrapSession(inner.session, [...view.views(), ...below]);
    const plain = wrapSession(inner.session, below);
    const stored = (item: AgentInputItem): AgentInputItem =>
      JSON.parse((view.stored ?? String)(JSON.stringify(item))) as AgentInputItem;
    const before = params.choices.map((_, index) => call(index, 'ada'));
    await session.addItems([{ role: 'user', content: 'start' }, ...before.map(cloneItem)]);
    const seen = (await session.getItems()).slice(1);

    const chosen = params.choices.map((choice, index): AgentInputItem => {
      if (choice === 'visible') return seen[index] as AgentInputItem;
      return choice === 'stored' ? stored(before[index] as AgentInputItem) : call(index, 'bob');
    });
    const result = params.choices.map((choice, index) =>
      stored(choice === 'edited' ? call(index, 'bob') : (before[index] as AgentInputItem)),
    );
    const more = Array.from({ length: params.added }, (_, index) => call(10 + index, 'eve'));
    const cut = Math.min(params.cut, chosen.length - 1);
    const expected = await change(session, params, seen, chosen, result, more, cut);
    if (expected === undefined) return;
    assert.deepEqual(
      (await plain.getItems()).slice(1),
      expected.map((item) => stored(item)),
    );
  } finally {
    await inner.close?.();
  }
}

/** What the history is afterwards, `undefined` where the session has no such call. */
async function change(
  session: Session,
  { choices, how }: Edit,
  seen: readonly AgentInputItem[],
  chosen: readonly AgentInputItem[],
  result: readonly AgentInputItem[],
  more: readonly AgentInputItem[],
  cut: number,
): Promise<readonly AgentInputItem[] | undefined> {
  const kept = chosen.length - cut;
  const after = [...result.slice(0, kept), ...more];
  const items = [...chosen.slice(0, kept), ...more];
  if (how === 'rollback') {
    await session.clearSession();
    // The runner writes back the very objects that it read.
    await session.addItems([{ role: 'user', content: 'start' }, ...items]);
    return choices.slice(0, kept).every((choice) => choice !== 'stored') ? after : undefined;
  }
  if (how === 'mutation') {
    if (!isSessionHistoryRewriteAwareSession(session)) return undefined;
    await session.applyHistoryMutations({
      mutations: chosen.map((replacement, index) => ({
        type: 'replace_function_call',
        callId: `call_${index}`,
        replacement: cloneItem(replacement) as Extract<AgentInputItem, { type: 'function_call' }>,
      })),
    });
    return result;
  }
  if (how === 'compaction') {
    if (session.replaceHistoryWithCompaction === undefined) return undefined;
    await session.replaceHistoryWithCompaction([{ role: 'user', content: 'start' }, ...items.map(cloneItem)]);
    return after;
  }
  if (!isSessionHistoryTransactionAwareSession(session)) return undefined;
  const args = {
    operationId: 'edit',
    transaction: { type: 'replace_suffix' as const, expectedSuffix: [...seen], replacement: items },
  };
  const wrong = [...seen.slice(0, -1), call(seen.length - 1, 'mallory')];
  await assert.rejects(
    async () =>
      session.applyHistoryTransaction({
        operationId: 'wrong',
        transaction: { ...args.transaction, expectedSuffix: wrong },
      }),
    /suffix no longer matches/,
  );
  await session.applyHistoryTransaction(cloneItem(args));
  await session.applyHistoryTransaction(cloneItem(args));
  return after;
}

describe('an edit is stored even if a layer shows the old and the new item alike', () => {
  describe.each(VIEWS)('under $name', (view) => {
    const inners = INNERS.filter(
      (inner) => inner.reshapes !== true && inner.name !== 'a context-aware session',
    );
    test.each(inners)('around $name', async (inner) => {
      const property = fc.asyncProperty(edit, async (params) => keepsEdits(inner, view, params));
      await expect(fc.assert(property, { numRuns: rounds(10, 600) })).resolves.toBeUndefined();
    });
  });
});
