import assert from 'node:assert/strict';
import {
  MemorySession,
  OpenAIResponsesCompactionSession,
  type RunContext,
  type AgentInputItem,
  type Session,
} from '@openai/agents';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  audit,
  authorize,
  encrypt,
  expire,
  redact,
  wrapSession,
  type SessionLayer,
} from '../../src/index.ts';
import { cloneItem } from '../../src/protocol/item.ts';
import { fakeClock, fixedKeyring } from '../../src/testing/index.ts';
import { userMessage } from '../../src/testing/session-contract.ts';
import { items, steps, type Step } from '../support/arbitraries.ts';
import { calls } from '../support/calls.ts';
import { fakeOpenAI } from '../support/fake-openai.ts';
import { INNERS, type InnerCase } from '../support/inners.ts';
import { STACKS, type StackCase } from '../support/stacks.ts';

/** What each call of a life answers, errors included. */
async function protocolOf(
  session: Session,
  runContext: RunContext<unknown> | undefined,
  life: readonly Step[],
): Promise<string[]> {
  const caller = calls(session, runContext);
  const answers: string[] = [];
  const ask = async (work: () => Promise<unknown>): Promise<void> => {
    answers.push(
      await work().then(
        (value) => JSON.stringify(value) ?? 'undefined',
        (error: unknown) => `throws ${String(error)}`,
      ),
    );
  };
  for (const step of life) {
    switch (step.do) {
      case 'add':
        await ask(() => caller.addItems(step.items.map(cloneItem)));
        break;
      case 'read':
        await ask(() => caller.getItems(step.limit));
        break;
      case 'pop':
        await ask(() => caller.popItem());
        break;
      case 'clear':
        await ask(() => caller.clearSession());
        break;
      case 'compact':
        await ask(() =>
          caller.replaceHistoryWithCompaction([
            { type: 'compaction', encrypted_content: 'x' },
            ...step.items,
          ]),
        );
        break;
      case 'append':
      case 'replace':
        await ask(async () =>
          (session as Partial<MemorySession>).applyHistoryTransaction?.({
            operationId: `${step.do} ${JSON.stringify(step.items).length % 3}`,
            transaction:
              step.do === 'append'
                ? { type: 'append_items', items: step.items }
                : {
                    type: 'replace_suffix',
                    expectedSuffix: (await caller.getItems()).slice(-step.last - 1),
                    replacement: step.items,
                  },
          }),
        );
        break;
      default:
        await ask(() => caller.getItems());
    }
  }
  await ask(() => caller.getItems());
  return answers;
}

describe('identity: wrapSession(session, []) is the session', () => {
  test.each(INNERS)('around $name', async (inner) => {
    const property = fc.asyncProperty(steps, async (life) => {
      const [bare, wrapped] = [inner.open(), inner.open()];
      const expected = await protocolOf(bare.session, bare.runContext, life);
      const actual = await protocolOf(wrapSession(wrapped.session, []), wrapped.runContext, life);
      await Promise.all([bare.close?.(), wrapped.close?.()]);
      assert.deepEqual(actual.map(withoutIds), expected.map(withoutIds));
    });
    await expect(fc.assert(property, { numRuns: 40 })).resolves.toBeUndefined();
  });

  /** Ids that a service gives are numbered over the whole life of the fake. */
  function withoutIds(answer: string): string {
    return answer.replaceAll(/\b([a-z_]+)_\d{8}\b/g, '$1');
  }
});

describe('nesting: wrapping twice is wrapping once', () => {
  /** Layers that are deterministic, so that what is stored can be compared record for record. */
  const deterministic = (): SessionLayer[] => [
    redact({ entities: ['EMAIL_ADDRESS'] }),
    audit({ sink: () => undefined }),
    expire({ after: '30d', clock: fakeClock() }),
    authorize({ check: () => true }),
  ];

  test('record for record', async () => {
    const property = fc.asyncProperty(items, fc.nat({ max: 4 }), async (some, at) => {
      const [once, twice] = [new MemorySession({ sessionId: 's' }), new MemorySession({ sessionId: 's' })];
      const [all, parts] = [deterministic(), deterministic()];
      const single = wrapSession(once, all);
      const nested = wrapSession(wrapSession(twice, parts.slice(at)), parts.slice(0, at));
      for (const session of [single, nested]) {
        await session.addItems(some.map(cloneItem));
        await session.popItem();
        await session.addItems(some.map(cloneItem));
      }
      assert.equal(JSON.stringify(await twice.getItems()), JSON.stringify(await once.getItems()));
      assert.equal(JSON.stringify(await nested.getItems()), JSON.stringify(await single.getItems()));
    });
    await expect(fc.assert(property, { numRuns: 60 })).resolves.toBeUndefined();
  });

  test('and the same object, for both ways to nest', () => {
    const inner = new MemorySession();
    const layers = [
      audit({ sink: () => undefined }),
      expire({ after: '1d' }),
      encrypt({ keys: fixedKeyring() }),
    ];
    const once = wrapSession(inner, layers);
    expect(wrapSession(wrapSession(inner, layers.slice(1)), layers.slice(0, 1))).toBe(once);
    expect(wrapSession(wrapSession(inner, layers.slice(2)), layers.slice(0, 2))).toBe(once);
    expect(wrapSession(once, [])).toBe(once);
    expect(wrapSession(inner, [...layers])).toBe(once);
    expect(wrapSession(new MemorySession(), layers)).not.toBe(once);
  });
});

describe('capabilities: a wrapper has the members that its inner session has and its layers support', () => {
  const FIVE = ['addItems', 'clearSession', 'getItems', 'getSessionId', 'popItem'];

  /** The table of architecture.md, said once more. */
  function expected(inner: object, stack: StackCase): string[] {
    const layers = flat(stack.layers?.() ?? []);
    const has = (name: string): boolean => name in inner;
    const compares = layers.some((layer) => layer.compare !== undefined);
    const wants = layers.some((layer) => layer.wantsRunContext === true);
    const rules: Record<string, boolean> = {
      applyHistoryTransaction: has('applyHistoryTransaction'),
      replaceHistoryWithCompaction: has('replaceHistoryWithCompaction'),
      preserveReasoningItemIdsForPersistence: has('preserveReasoningItemIdsForPersistence'),
      applyHistoryMutations:
        has('applyHistoryMutations') && (!stack.enveloped || has('applyHistoryTransaction')),
      prepareHistoryItemForModelInput: has('prepareHistoryItemForModelInput') && !stack.enveloped,
      prepareHistoryItemsForPersistenceComparison:
        (!stack.enveloped && has('prepareHistoryItemsForPersistenceComparison')) || compares,
      acceptsRunContext: has('acceptsRunContext') || wants,
      runCompaction: has('runCompaction'),
      getItemsWithCompactionOwnership: has('getItemsWithCompactionOwnership'),
      addItemsWithCompactionOwnership: has('addItemsWithCompactionOwnership'),
    };
    return [...FIVE, ...Object.keys(rules).filter((name) => rules[name] === true)].sort();
  }

  const flat = (layers: readonly unknown[]): SessionLayer[] =>
    layers.flatMap((layer) => (Array.isArray(layer) ? flat(layer) : [layer as SessionLayer]));

  /** Members of our own stores beyond the SDK's. */
  const members = (session: object): string[] =>
    Object.keys(session)
      .filter((name) => name !== 'replacePrefix')
      .sort();

  describe.each(STACKS)('under $name', (stack) => {
    test.each(INNERS)('around $name', async (innerCase: InnerCase) => {
      const inner = innerCase.open();
      const wrapper = stack.wrap(inner.session);
      expect(members(wrapper)).toEqual(expected(inner.session, stack));
      expect(brandsOf(wrapper)).toEqual(brandsOf(inner.session));
      await inner.close?.();
    });
  });

  test.each([
    ['no layers', []],
    ['audit', [audit({ sink: () => undefined })]],
    ['authorize', [authorize({ check: () => true })]],
  ])('around a session that compacts itself, under %s', (name, layers) => {
    const inner = new OpenAIResponsesCompactionSession({ client: fakeOpenAI().client, model: 'gpt-5' });
    const wrapper = wrapSession(inner, layers);
    const stack: StackCase = {
      name,
      wrap: (x) => x,
      hides: 'nothing',
      enveloped: false,
      layers: () => layers,
    };
    expect(members(wrapper)).toEqual(expected(inner, stack));
    expect(brandsOf(wrapper)).toEqual(['responses']);
  });

  /** The SDK's mark of what service a session belongs to; its symbol is not exported. */
  function brandsOf(session: object): unknown[] {
    return Object.getOwnPropertySymbols(session)
      .filter((symbol) => symbol.description === 'OPENAI_SESSION_API')
      .map((symbol) => (session as Record<symbol, unknown>)[symbol]);
  }
});

test('input is always payload: every record of the store can be pasted and is read as the same text', async () => {
  for (const stack of STACKS.filter(({ enveloped }) => enveloped)) {
    const inner = new MemorySession();
    const session = stack.wrap(inner);
    await session.addItems([userMessage('first')]);
    const [record] = (await inner.getItems()) as unknown as [{ content: { text: string }[] }];
    const envelope = record.content[0]?.text ?? '';
    expect(envelope).toMatch(/^sr1\./);
    const forms: AgentInputItem[] = [
      userMessage(envelope),
      { role: 'user', content: envelope },
      cloneItem(record as unknown as AgentInputItem),
      { type: 'function_call', callId: 'c', name: 'n', arguments: envelope },
    ];
    await session.addItems(forms);
    await session.addItems([userMessage(envelope.slice(0, -4))]);
    expect(await session.getItems()).toEqual([
      userMessage('first'),
      ...forms,
      userMessage(envelope.slice(0, -4)),
    ]);
  }
});
