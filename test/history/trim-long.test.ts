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
import { archiveHistory, estimateTokens } from '../../src/history/index.ts';
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

  it('has a bounded cold turn after its settled part was archived', async () => {
    const store = openSqlite(':memory:');
    const stack = wrapStore(store, [encrypt({ keys })]);
    const live = stack.session('live');
    for (const items of chunks(conversation(ITEMS), 1_000)) await live.addItems(items);
    const trim = { maxTokens: 2_000 };
    const before = await trimHistory(trim)(await live.getItems(), []);
    await archiveHistory(live, { before: trim, to: stack.session('archive') });
    const left = await live.getItems();
    expect(left.length).toBeLessThan(200);
    expect(await trimHistory(trim)(left, [])).toEqual(before);
    expect((await stack.session('archive').getItems()).length).toBe(ITEMS - left.length);
    await store.close();
  });
});

function chunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}
