import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Agent, Runner, type AgentInputItem, type Session } from '@openai/agents';
import { assistantMessage, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, it, vi } from 'vitest';
import {
  cache,
  encrypt,
  generateKey,
  keyring,
  trimHistory,
  wrapSession,
  wrapStore,
} from '../../src/index.ts';
import { archiveHistory, archiveOf, estimateTokens } from '../../src/history/index.ts';
import { findCut } from '../../src/history/plan.ts';
import { parseTrimOptions } from '../../src/history/trim-history.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { plainSession } from '../support/plain-session.ts';
import { assistant, call, result, user } from './support/random-history.ts';

/** The soak asks for 100,000. */
const ITEMS = Number(process.env['STRONGROOM_LONG'] ?? 4_000);

const keys = keyring({ current: await generateKey() });
const runner = new Runner({ tracingDisabled: true });

const conversation = (items: number): AgentInputItem[] =>
  Array.from({ length: items / 4 }, (_, turn) => [
    user(`question ${turn}`),
    call(`c${turn}`),
    result(`c${turn}`, `result ${turn}`),
    assistant(`answer ${turn}`),
  ]).flat();

const agentThatSays = (text: string): Agent =>
  new Agent({ name: 'agent', model: new ScriptedModel([[assistantMessage(text)]]) });

describe(`a history of ${ITEMS} items`, { timeout: 600_000 }, () => {
  it('is read, opened and counted once; a warm turn reads, opens and counts only what is new', async () => {
    const inner = plainSession();
    let read = 0;
    const counting: Session = {
      ...inner,
      getItems: async (limit?: number) => {
        const items = await inner.getItems(limit);
        read += items.length;
        return items;
      },
    };
    const session = wrapSession(counting, [cache({ maxItems: 2 * ITEMS }), encrypt({ keys })]);
    for (const items of chunks(conversation(ITEMS), 1_000)) await session.addItems(items);
    const tokenCounter = vi.fn((item: AgentInputItem) => estimateTokens(item));
    const sessionInputCallback = trimHistory({ maxTokens: 2_000, tokenCounter });
    const turn = async (): Promise<{ read: number; counted: number }> => {
      read = 0;
      tokenCounter.mockClear();
      await runner.run(agentThatSays('yes'), `and now? ${Math.random()}`, { session, sessionInputCallback });
      return { read, counted: tokenCounter.mock.calls.length };
    };

    expect(await turn()).toEqual({ read: ITEMS, counted: ITEMS });
    for (let again = 0; again < 3; again++) {
      const warm = await turn();
      expect(warm.read).toBeLessThanOrEqual(4);
      expect(warm.counted).toBeLessThanOrEqual(2);
    }
  });

  it('is counted in one pass by a cold turn: every text is read once', async () => {
    const taken = { items: new Map<unknown, number>(), texts: new Map<unknown, number>() };
    const count = (into: Map<unknown, number>, key: unknown): void =>
      void into.set(key, (into.get(key) ?? 0) + 1);
    const watched = conversation(ITEMS).map((item) => {
      const text = 'content' in item ? 'content' : item.type === 'function_call' ? 'arguments' : 'output';
      return new Proxy(item, {
        get(target, member, receiver): unknown {
          if (member === text) count(taken.texts, target);
          return Reflect.get(target, member, receiver);
        },
      });
    });
    const history = new Proxy(watched, {
      get(target, member, receiver): unknown {
        if (typeof member === 'string' && /^[0-9]+$/.test(member)) count(taken.items, member);
        return Reflect.get(target, member, receiver);
      },
    });
    await trimHistory({ maxTokens: 2_000 })(history, []);
    const most = (counts: Map<unknown, number>): number =>
      [...counts.values()].reduce((high, each) => Math.max(high, each), 0);
    expect(taken.texts.size).toBe(ITEMS);
    expect(most(taken.texts)).toBe(1);
    expect(taken.items.size).toBe(ITEMS);
    // To look for a compaction item, to plan, and to leave it out or not.
    expect(most(taken.items)).toBeLessThanOrEqual(3);
  });

  it('takes a fixed amount of memory an item to plan, whatever the items say', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const bytes = async (): Promise<number> => {
      // With ticks between, so that nothing hangs on the stack of what came before.
      for (let round = 0; round < 4; round++) {
        await new Promise((resolve) => setImmediate(resolve));
        collect();
      }
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    // Enough that bytes for an item stand out from what else a process does.
    const items = Math.max(ITEMS, 5_000);
    const settings = parseTrimOptions('test', { maxTokens: 2_000 });
    const read = (words: number): AgentInputItem[] =>
      JSON.parse(
        JSON.stringify(
          conversation(items).map((item) => ('role' in item ? user('word '.repeat(words)) : item)),
        ),
      ) as AgentInputItem[];
    // What the engine keeps of code that runs for the first time is no memory of a plan.
    findCut(read(10), [], settings);
    /** What a plan is made from grows with every item and lives as long as its cut, so this is the most it takes. */
    const whilePlanned = async (history: AgentInputItem[]): Promise<number> => {
      const cut = findCut(history, [], settings);
      const held = await bytes();
      expect(cut.index).toBeGreaterThan(items / 2);
      return held;
    };
    for (const words of [10, 100]) {
      const history = read(words);
      const differences: number[] = [];
      // The engine frees memory of other tests of the process while it is measured: the middle of three counts.
      for (let attempt = 0; attempt < 3; attempt++) {
        const before = await bytes();
        differences.push((await whilePlanned(history)) - before);
      }
      const planned = differences.sort((a, b) => a - b)[1];
      expect(planned).toBeGreaterThan(16 * items);
      expect(planned).toBeLessThan(300 * items);
      expect(history).toHaveLength(items);
    }
  });

  it('has a bounded cold turn after its settled part was archived', async () => {
    const store = openSqlite(':memory:');
    const stack = wrapStore(store, [encrypt({ keys })]);
    const live = stack.session('live');
    for (const items of chunks(conversation(ITEMS), 1_000)) await live.addItems(items);
    const trim = { maxTokens: 2_000 };
    const before = await trimHistory(trim)(await live.getItems(), []);
    await archiveHistory(live, { before: trim });
    const left = await live.getItems();
    expect(left.length).toBeLessThan(200);
    expect(await trimHistory(trim)(left, [])).toEqual(before);
    expect((await (await archiveOf(live)).getItems()).length).toBe(ITEMS - left.length);
    await store.close();
  });
});

function chunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}
