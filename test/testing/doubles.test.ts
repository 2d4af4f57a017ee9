import { MemorySession, OpenAIConversationsSession } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { fakeClock, faultySession, InjectedFault, recordingSession } from '../../src/testing/index.ts';
import { userMessage } from '../../src/testing/session-contract.ts';
import { fakeOpenAI } from '../support/fake-openai.ts';
import { plainSession } from '../support/plain-session.ts';

const OPTIONAL = [
  'applyHistoryTransaction',
  'applyHistoryMutations',
  'replaceHistoryWithCompaction',
  'prepareHistoryItemForModelInput',
  'prepareHistoryItemsForPersistenceComparison',
  'preserveReasoningItemIdsForPersistence',
  'acceptsRunContext',
  'runCompaction',
];

describe('a faulty session', () => {
  test('has exactly the members of the inner one, private state and brand included', async () => {
    for (const inner of [
      plainSession(),
      new MemorySession(),
      new OpenAIConversationsSession({ client: fakeOpenAI().client }),
    ]) {
      const { session } = faultySession(inner);
      for (const name of OPTIONAL) expect([name, name in session]).toEqual([name, name in inner]);
      expect(Object.getOwnPropertySymbols(session)).toEqual(
        expect.arrayContaining(Object.getOwnPropertySymbols(inner)),
      );
      await session.addItems([userMessage('hello')]);
      expect(await session.getItems()).toEqual(await inner.getItems());
    }
  });

  test('throws before the call, and the inner session did nothing', async () => {
    const faulty = faultySession(new MemorySession());
    faulty.arm({ member: 'addItems', when: 'before' });
    await expect(faulty.session.addItems([userMessage('a')])).rejects.toThrow(InjectedFault);
    await expect(faulty.session.getItems()).resolves.toEqual([]);
    expect(faulty.struck).toBe(1);
    await faulty.session.addItems([userMessage('a')]);
    await expect(faulty.session.getItems()).resolves.toHaveLength(1);
  });

  test('throws after the call, and the inner session did everything', async () => {
    const faulty = faultySession(new MemorySession());
    faulty.arm({ member: 'addItems', when: 'after', error: new Error('acknowledgement lost') });
    await expect(faulty.session.addItems([userMessage('a')])).rejects.toThrow('acknowledgement lost');
    await expect(faulty.session.getItems()).resolves.toHaveLength(1);
  });

  test('counts only the members that it was armed for', async () => {
    const faulty = faultySession(new MemorySession());
    faulty.arm({ member: ['addItems', 'popItem'], nth: 3, when: 'before' });
    await faulty.session.addItems([userMessage('a')]);
    await faulty.session.getItems();
    await faulty.session.popItem();
    await faulty.session.getItems();
    await expect(faulty.session.addItems([userMessage('b')])).rejects.toThrow(
      'injected fault before addItems',
    );
    faulty.arm({ when: 'before' });
    faulty.disarm();
    await faulty.session.getItems();
    expect(faulty.struck).toBe(1);
  });
});

test('a recording session counts calls and items and keeps the arguments as they were', async () => {
  const recording = recordingSession(new MemorySession());
  const items = [userMessage('a'), userMessage('b')];
  await recording.session.addItems(items);
  items.pop();
  await recording.session.getItems(1);
  await recording.session.popItem();
  await recording.session.applyHistoryTransaction({
    operationId: '1',
    transaction: { type: 'append_items', items: [userMessage('c')] },
  });
  expect(
    recording.calls.map(({ member, itemsRead, itemsWritten }) => [member, itemsRead, itemsWritten]),
  ).toEqual([
    ['addItems', 0, 2],
    ['getItems', 1, 0],
    ['popItem', 1, 0],
    ['applyHistoryTransaction', 0, 1],
  ]);
  expect(recording.calls[0]?.args).toEqual([[userMessage('a'), userMessage('b')]]);
  expect([recording.itemsRead, recording.itemsWritten]).toEqual([2, 3]);
  expect([recording.count('getItems'), recording.count()]).toEqual([1, 4]);
  recording.reset();
  expect([recording.count(), recording.itemsRead]).toEqual([0, 0]);
});

test('a fake clock moves only by its methods', () => {
  const clock = fakeClock(1_000);
  expect([clock(), clock()]).toEqual([1_000, 1_000]);
  clock.advance('15m');
  expect(clock()).toBe(901_000);
  clock.set(5);
  expect(clock()).toBe(5);
  expect(() => clock.advance(-1)).toThrow('fakeClock: advance must be a positive number of milliseconds');
});
