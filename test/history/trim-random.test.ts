import type { AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import { planTrim } from '../../src/history/plan-trim.ts';
import { trimHistory } from '../../src/history/trim-history.ts';
import { problems, randomOptions } from './support/check-trim.ts';
import { violations } from './support/provider-rules.ts';
import { call, randomHistory, result, seeded, user } from './support/random-history.ts';

/** The soak asks for 100,000. */
const HISTORIES = Number(process.env['STRONGROOM_HISTORIES'] ?? 1_000);

describe('trimHistory() over random histories of every item type', () => {
  it(
    `sends only what the provider accepts, with any budget, for ${HISTORIES} histories`,
    { timeout: 600_000 },
    async () => {
      const found: string[] = [];
      for (let seed = 1; seed <= HISTORIES; seed++) {
        const random = seeded(seed);
        const history = randomHistory(random, { turns: Math.floor(random() * 14) });
        const options = randomOptions(random);
        const input: AgentInputItem[] = [user('next')];
        const open = openCall(history);
        if (open !== undefined && random() < 0.3) input.unshift(result(open));
        const sent = await trimHistory(options)(history, input);
        for (const problem of problems(history, input, sent, options)) found.push(`seed ${seed}: ${problem}`);
      }
      expect(found).toEqual([]);
    },
  );

  it('finds the same cut on two replicas, and no cut goes back when items are added', () => {
    const found: string[] = [];
    for (let seed = 1; seed <= 200; seed++) {
      const random = seeded(seed);
      const history = randomHistory(random, { turns: 12 });
      const options = randomOptions(random);
      let last = 0;
      for (const [index, item] of history.entries()) {
        if (!('role' in item) || item.role !== 'user') continue;
        const plan = planTrim(history.slice(0, index), options);
        const replica = planTrim(structuredClone(history.slice(0, index)), options);
        if (JSON.stringify(replica.kept) !== JSON.stringify(plan.kept))
          found.push(`seed ${seed}: replicas differ`);
        if (plan.cutIndex < last) found.push(`seed ${seed}: the cut went back`);
        last = plan.cutIndex;
      }
    }
    expect(found).toEqual([]);
  });

  it('keeps the call of a result in the new input, even if the window begins after the call', async () => {
    const history = [
      user('refund'),
      call('c1'),
      ...Array.from({ length: 10 }, (_, index) => user(`message ${index}`)),
    ];
    const sent = await trimHistory({ maxItems: 5 })(history, [result('c1')]);
    expect(sent[0]).toBe(history[1]);
    expect(violations(sent)).toEqual([]);
    expect(sent.length - 1).toBeLessThanOrEqual(5);
  });
});

/** The `callId` of a function call that has no result, if the history has one. */
function openCall(history: readonly AgentInputItem[]): string | undefined {
  const balance = new Map<string, number>();
  for (const item of history) {
    if (item.type === 'function_call') balance.set(item.callId, (balance.get(item.callId) ?? 0) + 1);
    if (item.type === 'function_call_result') balance.set(item.callId, (balance.get(item.callId) ?? 0) - 1);
  }
  return [...balance].find(([, count]) => count > 0)?.[0];
}
