import type { AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import { findCut } from '../../src/history/plan.ts';
import { parseTrimOptions } from '../../src/history/trim-history.ts';
import { randomOptions } from './support/check-trim.ts';
import { randomHistory, result, seeded, user } from './support/random-history.ts';
import { slowCut } from './support/slow-cut.ts';

describe('findCut()', () => {
  it('gives the same cut as the simple rule', { timeout: 120_000 }, () => {
    const found: string[] = [];
    for (let seed = 1; seed <= 1_500; seed++) {
      const random = seeded(seed);
      const history = randomHistory(random, {
        turns: 1 + Math.floor(random() * 10),
        broken: 0.1,
        repeated: 0.2,
      });
      const settings = parseTrimOptions('test', randomOptions(random));
      const input: AgentInputItem[] = random() < 0.3 ? [result('call_1'), user('next')] : [user('next')];
      const cut = findCut(history, input, settings);
      const slow = slowCut(history, input, settings);
      const kept = [...history.keys()].filter((index) => cut.keeps(index) || cut.orphans.has(index));
      const expected = [...history.keys()].filter(
        (index) => slow.kept.includes(index) || cut.orphans.has(index),
      );
      if (cut.index !== slow.cut) found.push(`seed ${seed}: cut at ${cut.index}, not ${slow.cut}`);
      else if (kept.join() !== expected.join())
        found.push(`seed ${seed}: keeps ${kept.join()}, not ${expected.join()}`);
    }
    expect(found).toEqual([]);
  });
});
