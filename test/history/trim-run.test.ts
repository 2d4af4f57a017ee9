import { Agent, MemorySession, Runner, type AgentInputItem, type Session } from '@openai/agents';
import { assistantMessage, ScriptedModel } from '@openai/agents/testing';
import { describe, expect, it } from 'vitest';
import { encrypt, generateKey, keyring, trimHistory, wrapSession } from '../../src/index.ts';
import { itemKey } from '../../src/protocol/item.ts';
import { problems, randomOptions } from './support/check-trim.ts';
import { violations } from './support/provider-rules.ts';
import { randomHistory, seeded } from './support/random-history.ts';

/** The soak asks for 2,000. */
const RUNS = Number(process.env['STRONGROOM_RUNS'] ?? 60);

const keys = keyring({ current: await generateKey() });

describe('trimHistory() in the real runner', () => {
  it(
    `gives the model only what it accepts, and stores nothing twice, for ${RUNS} random histories of every item type`,
    { timeout: 600_000 },
    async () => {
      const runner = new Runner({ tracingDisabled: true });
      const found: string[] = [];
      for (let seed = 1; seed <= RUNS; seed++) {
        const random = seeded(seed);
        const repeated = random() < 0.3 ? 0.2 : 0;
        const history = randomHistory(random, { turns: Math.floor(random() * 10), repeated });
        const options = randomOptions(random);
        const trim = trimHistory(options);
        const inner = new MemorySession();
        const session: Session = random() < 0.3 ? wrapSession(inner, [encrypt({ keys })]) : inner;
        if (history.length > 0) await session.addItems(structuredClone(history));
        const model = new ScriptedModel([[assistantMessage('one')], [assistantMessage('two')]]);
        const agent = new Agent({ name: 'agent', model });
        for (const question of ['first', 'second']) {
          const before = await session.getItems();
          await runner.run(agent, question, {
            session,
            stream: false,
            sessionInputCallback: async (given, input) => {
              const sent = await trim([...given], input);
              // Judged here, because the runner itself removes items of repeated ids afterwards.
              found.push(...problems(given, input, sent, options).map((text) => `seed ${seed}: ${text}`));
              return sent;
            },
          });
          const request = model.lastCall?.request.input as AgentInputItem[];
          if (repeated === 0)
            found.push(...violations(request).map((text) => `seed ${seed}: the model got: ${text}`));
          const after = await session.getItems();
          const added = after.slice(before.length).map((item) => ('role' in item ? item.role : item.type));
          if (added.join() !== 'user,assistant') found.push(`seed ${seed}: stored ${added.join()}`);
          if (itemKey(after.slice(0, before.length)) !== itemKey(before))
            found.push(`seed ${seed}: history changed`);
        }
      }
      expect(found).toEqual([]);
    },
  );
});
