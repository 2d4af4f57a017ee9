import { expect, test } from 'vitest';
import { compare } from '../../bench/rounds.ts';

test('every round runs every candidate once, beginning with another one each time', async () => {
  const order: string[] = [];
  const runs: string[] = [];
  const candidate = (name: string) => ({
    name,
    prepare: () => {
      order.push(name);
      return () => void runs.push(name);
    },
  });
  const results = await compare(['a', 'b', 'c'].map(candidate), { rounds: 3, runs: 5 });
  // The first round warms up.
  expect(order.join('')).toBe('cababcbcacab');
  expect(runs).toHaveLength(order.length * 5);
  expect(results.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  expect(results[0]).toMatchObject({ ratio: 1, spread: [1, 1] });
});
