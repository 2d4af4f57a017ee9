import { MemorySession, type AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import { isStrongroomError } from '../../src/errors.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import type { SessionLayer } from '../../src/layer.ts';
import { cache, type CacheOptions } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { historyDigest } from '../../src/protocol/digest.ts';
import { openSqlite, type StoreSession } from '../../src/stores/sqlite.ts';
import { wrapSession, type Wrapped } from '../../src/wrap-session.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { functionCall, functionResult, userMessage } from './hand-made-call.ts';
import { DEK_STORE } from '../../src/session-contract.ts';

const MODES: readonly (CacheOptions['mode'] | 'none')[] = ['none', 'tail', 'verify', 'owner'];
const HOUR = 3_600_000;
const keys = keyring({ current: await generateKey() });
const clock = fakeClock();

type Victim = Wrapped<MemorySession>;

const stack = (mode: (typeof MODES)[number]): SessionLayer[] => [
  expire({ after: '30d', clock }),
  ...(mode === 'none' || mode === undefined ? [] : [cache({ maxItems: 1_000, mode })]),
  encrypt({ keys, integrity: 'sequence', onIntegrity: () => 'throw' }),
];

/** Ways in which records come to be written; each ends with at least four of one writer. */
const HISTORIES: Record<string, (session: Victim) => Promise<void>> = {
  'one append for each record': async (session) => {
    for (const text of ['a', 'b', 'c', 'd']) await session.addItems([userMessage(text)]);
  },
  'a late tool result': async (session) => {
    await session.addItems([userMessage('a'), functionCall('c')]);
    clock.advance(HOUR);
    await session.addItems([userMessage('b')]);
    await session.addItems([functionResult('c')]);
    await session.addItems([userMessage('d')]);
  },
  'a transaction that appends': async (session) => {
    await session.addItems([userMessage('a')]);
    for (const text of ['b', 'c', 'd']) {
      await session.applyHistoryTransaction({
        operationId: text,
        transaction: { type: 'append_items', items: [userMessage(text), userMessage(`${text} again`)] },
      });
    }
  },
  'a transaction that replaces the end': async (session) => {
    await session.addItems([userMessage('a'), userMessage('b'), userMessage('c')]);
    await session.applyHistoryTransaction({
      operationId: 'replace',
      transaction: {
        type: 'replace_suffix',
        expectedSuffix: [userMessage('b'), userMessage('c')],
        replacement: [userMessage('d'), userMessage('e')],
      },
    });
    await session.addItems([userMessage('f')]);
  },
  'a mutation': async (session) => {
    await session.addItems([userMessage('a'), functionCall('c'), userMessage('b'), userMessage('c')]);
    await session.applyHistoryMutations?.({
      mutations: [
        {
          type: 'replace_function_call',
          callId: 'c',
          replacement: { type: 'function_call', callId: 'c', name: 'lookup', arguments: '{"other":1}' },
        },
      ],
    });
    await session.addItems([userMessage('d')]);
  },
  'a compaction that clears and adds': async (session) => {
    await session.addItems([userMessage('a'), userMessage('b')]);
    await session.getItems();
    clock.advance(HOUR);
    await session.clearSession();
    await session.addItems([
      { type: 'compaction', encrypted_content: 'x' },
      userMessage('b'),
      userMessage('c'),
    ]);
    await session.addItems([userMessage('d')]);
  },
  'pops between appends': async (session) => {
    await session.addItems([userMessage('a'), userMessage('b'), userMessage('x')]);
    await session.popItem();
    await session.addItems([userMessage('c'), userMessage('y')]);
    await session.popItem();
    await session.addItems([userMessage('d')]);
  },
  'a rollback that writes back': async (session) => {
    await session.addItems([userMessage('a'), userMessage('b')]);
    const items = await session.getItems();
    clock.advance(HOUR);
    await session.popItem();
    await session.addItems([userMessage('c')]);
    await session.addItems(items.slice(1));
    await session.addItems([userMessage('d')]);
  },
};

const ATTACKS: Record<string, (records: readonly AgentInputItem[]) => AgentInputItem[]> = {
  reversed: (records) => records.toReversed(),
  'the last two swapped': (records) => [...records.slice(0, -2), ...records.slice(-2).toReversed()],
  'two in the middle swapped': ([a, b, c, ...rest]) => [a, c, b, ...rest] as AgentInputItem[],
  'the last repeated': (records) => [...records, records.at(-1) as AgentInputItem],
  'the first repeated at the end': (records) => [...records, records[0] as AgentInputItem],
  'one in the middle repeated': ([a, b, ...rest]) => [a, b, b, ...rest] as AgentInputItem[],
  'the second removed': (records) => records.toSpliced(1, 1),
  'the third removed': (records) => records.toSpliced(2, 1),
  'the last but one removed': (records) => records.toSpliced(-2, 1),
};

async function attacked(inner: MemorySession, attack: (typeof ATTACKS)[string]): Promise<void> {
  const records = attack(await inner.getItems());
  await inner.clearSession();
  await inner.addItems(records);
}

/** The items, or the code of the error. */
async function outcome(work: Promise<AgentInputItem[]>): Promise<string> {
  try {
    return JSON.stringify(await work);
  } catch (error) {
    if (isStrongroomError(error)) return error.code;
    throw error;
  }
}

describe.each(MODES)('the order of records, cache: %s', (mode) => {
  for (const [history, write] of Object.entries(HISTORIES)) {
    it(`of ${history}: nothing is found without an attack`, async () => {
      const inner = new MemorySession({ sessionId: 's' });
      const session = wrapSession(inner, stack(mode));
      await write(session);
      const expected = JSON.stringify(await session.getItems());
      for (const reader of [session, wrapSession(inner, stack('none'))]) {
        expect(JSON.stringify(await reader.getItems())).toBe(expected);
        expect(await reader.getItems(3)).toHaveLength(3);
      }
    });

    it.each(Object.keys(ATTACKS))(`of ${history}: %s`, async (name) => {
      const inner = new MemorySession({ sessionId: 's' });
      const session = wrapSession(inner, stack(mode));
      await write(session);
      const honest = {
        all: JSON.stringify(await session.getItems()),
        end: JSON.stringify(await session.getItems(3)),
      };
      await attacked(inner, ATTACKS[name] as (typeof ATTACKS)[string]);
      const cold = wrapSession(inner, stack('none'));
      expect(await outcome(cold.getItems())).toBe('ERR_AUTHENTICATION');
      const refusing = mode === 'none' || mode === 'verify';
      expect(refusing ? ['ERR_AUTHENTICATION'] : ['ERR_AUTHENTICATION', honest.all]).toContain(
        await outcome(session.getItems()),
      );
      const end = await outcome(session.getItems(3));
      const coldEnd = await outcome(cold.getItems(3));
      expect(refusing ? [coldEnd] : [coldEnd, honest.end]).toContain(end);
    });
  }

  it('finds a record that was popped and put back', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrapSession(inner, stack(mode));
    await session.addItems([userMessage('a'), userMessage('b'), userMessage('withdrawn')]);
    const withdrawn = (await inner.getItems()).at(-1) as AgentInputItem;
    await session.popItem();
    await session.addItems([userMessage('c'), userMessage('d')]);
    const honest = JSON.stringify(await session.getItems());
    for (const at of [2, 3, 4]) {
      const records = await inner.getItems();
      await attacked(inner, () => records.toSpliced(at, 0, withdrawn));
      expect(await outcome(wrapSession(inner, stack('none')).getItems())).toBe('ERR_AUTHENTICATION');
      expect(
        mode === 'none' || mode === 'verify' ? ['ERR_AUTHENTICATION'] : ['ERR_AUTHENTICATION', honest],
      ).toContain(await outcome(session.getItems()));
      await attacked(inner, () => records);
    }
  });

  describe('over a store of ours', () => {
    type Change = (records: readonly AgentInputItem[]) => AgentInputItem[];

    /** What a process reads that starts after the attack. */
    async function read(inner: StoreSession, change: Change): Promise<string> {
      const elsewhere = new MemorySession({ sessionId: 's', initialItems: change(await inner.getItems()) });
      const reader = wrapSession(elsewhere, [
        encrypt({ keys, dekStore: inner[DEK_STORE], integrity: 'sequence', onIntegrity: () => 'throw' }),
      ]);
      return outcome(reader.getItems());
    }

    it('accepts a summary in the place of the oldest records, also one of another process', async () => {
      await using store = openSqlite(':memory:');
      const inner = store.session('s');
      const first = wrapSession(inner, stack(mode));
      for (const text of ['a', 'b', 'c', 'd']) await first.addItems([userMessage(text)]);
      for (const [round, session] of [first, wrapSession(inner, stack(mode))].entries()) {
        const items = await session.getItems();
        await session.replacePrefix({
          count: 2,
          digest: historyDigest(items.slice(0, 2)),
          replacement: [userMessage(`summary ${round}`), userMessage('more of it')],
          operationId: `summary ${round}`,
        });
        await session.addItems([userMessage('e'), userMessage('f')]);
        expect(await session.getItems()).toHaveLength(items.length + 2);
        expect(await read(inner, (records) => [...records])).not.toBe('ERR_AUTHENTICATION');
        const changes: Change[] = [
          ([a, b, c, ...rest]) => [a, c, b, ...rest] as AgentInputItem[],
          ([a, b, c, ...rest]) => [c, a, b, ...rest] as AgentInputItem[],
          ([a, b, c, ...rest]) => [b, c, a, ...rest] as AgentInputItem[],
          ([a, ...rest]) => [a, a, ...rest] as AgentInputItem[],
          ([a, ...rest]) => [...rest, a] as AgentInputItem[],
        ];
        for (const change of changes) expect(await read(inner, change)).toBe('ERR_AUTHENTICATION');
      }
    });

    it.each(Object.keys(ATTACKS))('covers the records of a compaction: %s', async (name) => {
      await using store = openSqlite(':memory:');
      const inner = store.session('s');
      const session = wrapSession(inner, stack(mode));
      await session.addItems([userMessage('a'), userMessage('b')]);
      clock.advance(HOUR);
      const compaction: AgentInputItem = { type: 'compaction', encrypted_content: 'x' };
      await session.replaceHistoryWithCompaction([compaction, userMessage('b'), userMessage('c')]);
      await session.addItems([userMessage('d')]);
      expect(await session.getItems()).toHaveLength(4);
      expect(await read(inner, (records) => [...records])).not.toBe('ERR_AUTHENTICATION');
      expect(await read(inner, ATTACKS[name] as Change)).toBe('ERR_AUTHENTICATION');
    });
  });
});
