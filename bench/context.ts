import type { AgentInputItem } from '@openai/agents';
import { encrypt, generateKey, keyring, wrapSession } from '../src/index.ts';
import { estimateTokens, planTrim } from '../src/history/index.ts';
import { conversation } from './items.ts';
import { compare, type Result } from './rounds.ts';
import { sqlite } from './stacks.ts';

/**
 * What it costs to decide what a run sends, in units of reading the same history from SQLite: the first turn counts
 * everything, a second one only what is new.
 */
export async function measureContext(count: number, rounds: number): Promise<Result[]> {
  const place = sqlite();
  try {
    const keys = keyring({ current: await generateKey() });
    const bare = place.session('bare');
    const sealed = wrapSession(place.session('sealed'), [encrypt({ keys })]);
    for (const session of [bare, sealed]) await session.addItems(conversation(count));
    const budget = { maxTokens: 8_000 };
    const text = JSON.stringify(conversation(count));
    /** As a read gives them: new objects with flat strings. */
    const asRead = (): AgentInputItem[] => JSON.parse(text) as AgentInputItem[];
    return await compare(
      [
        { name: 'read from SQLite', prepare: () => () => bare.getItems() },
        { name: 'read sealed from SQLite', prepare: () => () => sealed.getItems() },
        {
          name: 'count and plan, first turn',
          prepare: () => {
            // Another counter each time: what was counted before is remembered.
            const tokenCounter = (item: Parameters<typeof estimateTokens>[0]): number => estimateTokens(item);
            const items = asRead();
            return () => planTrim(items, { ...budget, tokenCounter });
          },
        },
        {
          name: 'default counter, new objects',
          prepare: () => {
            const items = asRead();
            return () => planTrim(items, budget);
          },
        },
        {
          name: 'second turn, same objects',
          prepare: () => {
            const items = asRead();
            planTrim(items, budget);
            return () => planTrim(items, budget);
          },
        },
        {
          name: 'maxTurns, nothing to count',
          prepare: () => {
            const items = asRead();
            return () => planTrim(items, { maxTurns: 20 });
          },
        },
      ],
      { rounds, runs: 1 },
    );
  } finally {
    await place.close();
  }
}
