import { MemorySession, type AgentInputItem, type CallModelInputFilter, type Session } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { createMemory } from '../../src/engine/memory.ts';
import {
  clearToolOutputs,
  dropOrphans,
  limitImages,
  planTrim,
  rewindTo,
  sessionStats,
  undoTurn,
} from '../../src/history/index.ts';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  minimize,
  redact,
  wrapSession,
} from '../../src/index.ts';
import { mergeNotes } from '../../src/layers/encrypt/sequence/field.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { assistant, call, reasoning, result, system, user } from '../history/support/random-history.ts';
import { countedWork } from '../support/counted-work.ts';
import { rounds } from '../support/soak.ts';

/** The work for twice as many items may be this many times as much; a loop inside a loop makes it four. */
const LINEAR = 2.6;
const ITEMS = rounds(160, 10_000);

const keys = keyring({ current: await generateKey() });
const numbersTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const each = (count: number, make: (index: number) => readonly AgentInputItem[]): AgentInputItem[] =>
  numbersTo(count).flatMap(make);

/** A session whose own work is no more than what it hands over. */
function listSession(records: AgentInputItem[] = []): Session {
  return {
    getSessionId: async () => 'growth',
    getItems: async (limit) => records.slice(limit === undefined ? 0 : Math.max(0, records.length - limit)),
    addItems: async (items) => {
      for (const item of items) records.push(item);
    },
    popItem: async () => records.pop(),
    clearSession: async () => {
      records.length = 0;
    },
  };
}

const search = (): AgentInputItem => ({ type: 'tool_search_call', arguments: {} });
const searchOutput = (): AgentInputItem => ({ type: 'tool_search_output', tools: [] });
const program = (callId: string): AgentInputItem =>
  ({ type: 'program', callId, code: '', fingerprint: 'f' }) as unknown as AgentInputItem;
const ofProgram = (item: AgentInputItem, callerId: string): AgentInputItem =>
  ({ ...item, caller: { type: 'program', callerId } }) as AgentInputItem;

/** Shapes of histories that need more than a look at each item: what is linked, and how. */
const HISTORIES: Readonly<Record<string, (count: number) => AgentInputItem[]>> = {
  'turns with calls': (count) =>
    each(count / 4, (turn) => [
      user(`question ${turn}`),
      call(`c${turn}`),
      result(`c${turn}`),
      assistant(`answer ${turn}`),
    ]),
  'one callId for all calls, answered at the end': (count) => [
    ...each(count / 2, () => [user('q'), call('c')]),
    ...each(count / 2, () => [result('c')]),
  ],
  'calls that are answered turns later, the latest first': (count) => [
    ...each(count / 4, (turn) => [user('q'), call(`c${turn}`)]),
    ...each(count / 4, (turn) => [user('q'), result(`c${count / 4 - 1 - turn}`)]),
  ],
  'searches without an id, answered by their order': (count) => [
    ...each(count / 2, () => [search()]),
    ...each(count / 2, () => [searchOutput()]),
  ],
  'one response of parallel calls': (count) => [
    user('q'),
    ...each(count / 2, (index) => [call(`c${index}`)]),
    ...each(count / 2, (index) => [result(`c${index}`)]),
  ],
  'a program that goes on through all turns': (count) => [
    user('q'),
    program('p'),
    ...each(count / 4, (turn) => [
      user(`q${turn}`),
      reasoning(`r${turn}`),
      ofProgram(call(`c${turn}`), 'p'),
      result(`c${turn}`),
    ]),
  ],
  'a program in one turn': (count) => [
    user('q'),
    program('p'),
    ...each(count / 3, (turn) => [
      reasoning(`r${turn}`),
      ofProgram(call(`c${turn}`), 'p'),
      result(`c${turn}`),
    ]),
    user('q'),
  ],
  'system messages everywhere': (count) => each(count / 2, (turn) => [system(`s${turn}`), user(`q${turn}`)]),
  'results without a call, calls without a result, reasoning alone': (count) =>
    each(count / 3, (turn) => [result(`x${turn}`), call(`c${turn}`), reasoning(`r${turn}`)]),
};

const filtered = async (filter: CallModelInputFilter, input: AgentInputItem[]): Promise<unknown> =>
  filter({ modelData: { input }, agent: undefined as never, context: undefined });

const ON_HISTORIES: Readonly<Record<string, (items: AgentInputItem[]) => unknown>> = {
  'planTrim by items': (items) => planTrim(items, { maxItems: 40 }),
  'planTrim by tokens': (items) => planTrim(items, { maxTokens: 200, onOverflow: 'keep' }),
  'planTrim by turns, with new input and pins': (items) =>
    planTrim(items, { maxTurns: 8, pin: (item, index) => index % 10 === 1 }, items.slice(-10)),
  dropOrphans,
  clearToolOutputs: async (items) => filtered(clearToolOutputs({ clearToolInputs: true }), items),
  limitImages: async (items) => filtered(limitImages({ max: 1 }), items),
  sessionStats: async (items) => sessionStats(listSession(items)),
  'undoTurn and rewindTo': async (items) => {
    const session = listSession(items);
    await undoTurn(session);
    await rewindTo(session, { items: Math.floor(items.length / 2) });
  },
};

const texts = (count: number, text = 'same'): AgentInputItem[] => each(count, () => [user(text)]);
const differing = (count: number): AgentInputItem[] => each(count, (index) => [user(`text ${index}`)]);

/** What a stack does with a history; `prepare` is not counted. */
const ON_SESSIONS: Readonly<Record<string, (count: number) => Promise<() => Promise<unknown>>>> = {
  'equal records are looked up by cache() without a seal': async (count) => {
    const session = wrapSession(listSession(), [cache({ maxItems: 8 * count })]);
    await session.addItems(texts(count));
    await session.getItems();
    return async () => session.getItems();
  },
  'appends are counted by cache() until a read': async (count) => {
    const store = openSqlite(':memory:');
    const session = wrapSession(store.session('s'), [cache({ maxItems: 8 * count }), encrypt({ keys })]);
    await session.addItems([user('first')]);
    await session.getItems();
    return async () => {
      for (let index = 0; index < count; index++) await session.addItems([user(`text ${index}`)]);
      expect(await session.getItems(1)).toHaveLength(1);
      await store.close();
    };
  },
  'what was read is written back, the latest first': async (count) => {
    const memory = createMemory();
    const items = differing(count);
    memory.remember(
      items,
      items.map((item) => ({ stored: item, bottom: { item, header: {} }, visible: { item, header: {} } })),
    );
    return async () => {
      expect(memory.origins(items.toReversed()).every((origin) => origin !== undefined)).toBe(true);
      expect(memory.origins(differing(count)).every((origin) => origin === undefined)).toBe(true);
    };
  },
  'a compaction keeps equal items': async (count) => {
    const inner = new MemorySession();
    const session = wrapSession(inner, [expire({ after: '30d' }), encrypt({ keys })]);
    await session.addItems(texts(count));
    return async () => session.replaceHistoryWithCompaction?.(texts(count));
  },
  'items are changed by their ids below a view': async (count) => {
    const inner = new MemorySession();
    // The session itself is not what is measured.
    inner.applyHistoryMutations = async () => undefined;
    const session = wrapSession(inner, [redact({ when: 'both' })]);
    await session.addItems(each(count, (index) => [call(`c${index}`)]));
    return async () =>
      session.applyHistoryMutations?.({
        mutations: numbersTo(count).map((index) => ({
          type: 'replace_function_call' as const,
          callId: `c${index}`,
          replacement: call(`c${index}`) as never,
        })),
      });
  },
  'a suffix is replaced': async (count) => {
    const session = wrapSession(new MemorySession(), [
      minimize({ images: true }),
      expire({ after: '30d' }),
      encrypt({ keys }),
    ]);
    await session.addItems(texts(count));
    return async () =>
      session.applyHistoryTransaction({
        operationId: 'o',
        transaction: { type: 'replace_suffix', expectedSuffix: texts(count), replacement: differing(count) },
      });
  },
  'records of many writers say what is gone': async (count) => {
    const notes = numbersTo(count).map((index) => ({ writer: `writer${index}`, from: 1, to: 2 }));
    return async () => {
      expect(mergeNotes([...notes, ...notes])).toHaveLength(count);
    };
  },
  'many sessions are remembered in turn': async (count) => {
    const layers = [encrypt({ keys })];
    const sessions = numbersTo(count).map(() => wrapSession(listSession(), layers));
    for (const session of sessions) await session.addItems([call('c')]);
    return async () => {
      for (const session of sessions) await session.addItems([call('d')]);
    };
  },
  'many data keys open one read': async (count) => {
    const records: AgentInputItem[] = [];
    for (let index = 0; index < count; index++) {
      const one = wrapSession(listSession(records), [encrypt({ keys })]);
      await one.addItems([user(`text ${index}`)]);
    }
    const session = wrapSession(listSession(records), [
      encrypt({ keys, dataKeys: { maxPerRead: 1_000_000 } }),
    ]);
    return async () => {
      expect(await session.getItems()).toHaveLength(count);
    };
  },
};

/** By how much work grows at most when the items double. */
async function growth(prepare: (count: number) => Promise<() => unknown>): Promise<number> {
  const counts: number[] = [];
  // The first round makes what is made once.
  for (const count of [16, ITEMS, 2 * ITEMS, 4 * ITEMS]) {
    counts.push(await countedWork(await prepare(count)));
  }
  const [, one = 0, two = 0, four = 0] = counts;
  return Math.max(two / one, four / two);
}

const QUADRATIC: Readonly<Record<string, (list: number[]) => unknown>> = {
  shift: (list) => {
    while (list.length > 0) list.shift();
  },
  indexOf: (list) => list.map((value) => list.indexOf(value)),
  find: (list) => list.map((value) => list.find((other) => other === value)),
  filter: (list) => list.map((value) => list.filter((other) => other === value)),
  spread: (list) => list.reduce<number[]>((all, value) => [...all, value], []),
  'the first of a Set that lost its first ones': (list) => {
    const set = new Set(list);
    for (let rest = list.length; rest > 0; rest--) {
      const [first] = set;
      set.delete(first as number);
    }
  },
};

describe('work grows with the number of items and not with its square', () => {
  test.each(Object.entries(QUADRATIC))('a loop in a loop is seen: %s', async (_name, work) => {
    expect(await growth(async (count) => () => work(numbersTo(count)))).toBeGreaterThan(3);
  });

  describe.each(Object.entries(HISTORIES))('%s', (_history, make) => {
    test.each(Object.entries(ON_HISTORIES))('%s', async (_name, work) => {
      const prepare = async (count: number): Promise<() => unknown> => {
        const items = make(count);
        return () => work(items);
      };
      expect(await growth(prepare)).toBeLessThan(LINEAR);
    });
  });

  test.each(Object.entries(ON_SESSIONS))('%s', async (_name, prepare) => {
    expect(await growth(prepare)).toBeLessThan(LINEAR);
  });
});
