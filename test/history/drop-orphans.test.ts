import type { AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import { dropOrphans } from '../../src/history/index.ts';
import { violations } from './support/provider-rules.ts';
import { assistant, call, randomHistory, reasoning, result, seeded, user } from './support/random-history.ts';

describe('dropOrphans()', () => {
  it('drops calls without results and results without calls, with the reasoning before the call', () => {
    const input = [result('a'), user('x'), reasoning('r'), call('b'), call('c'), result('c'), assistant('y')];
    expect(dropOrphans(input)).toEqual([user('x'), call('c'), result('c'), assistant('y')]);
  });

  it('drops the items of a missing program, and a program without output with all its items', () => {
    const owned = (callId: string, callerId: string): AgentInputItem[] => {
      const caller = { type: 'program', callerId } as const;
      return [
        { type: 'function_call', callId, name: 'f', arguments: '{}', caller },
        { type: 'function_call_result', callId, name: 'f', status: 'completed', output: '', caller },
      ];
    };
    const program: AgentInputItem = { type: 'program', callId: 'p', code: '', fingerprint: '' };
    const output: AgentInputItem = { type: 'program_output', callId: 'p', output: '', status: 'completed' };
    expect(dropOrphans([...owned('a', 'gone'), user('x')])).toEqual([user('x')]);
    expect(dropOrphans([program, ...owned('a', 'p'), user('x')])).toEqual([user('x')]);
    const whole = [program, ...owned('a', 'p'), output, user('x')];
    expect(dropOrphans(whole)).toEqual(whole);
  });

  it('leaves a valid history as it is, the same objects', () => {
    const history = [user('a'), reasoning('r'), call('c'), result('c'), assistant('b')];
    const kept = dropOrphans(history);
    expect(kept.every((item, index) => item === history[index])).toBe(true);
    expect(kept).toHaveLength(history.length);
  });

  it('makes any slice of any history acceptable', () => {
    const found: string[] = [];
    for (let seed = 1; seed <= 1_000; seed++) {
      const random = seeded(seed);
      const history = randomHistory(random, { turns: 8, broken: 0.3, untidyStart: 0 });
      const from = Math.floor(random() * history.length);
      const to = from + Math.floor(random() * (history.length - from));
      found.push(...violations(dropOrphans(history.slice(from, to))).map((text) => `seed ${seed}: ${text}`));
    }
    expect(found).toEqual([]);
  });
});
