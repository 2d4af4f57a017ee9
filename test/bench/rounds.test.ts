import { expect, test } from 'vitest';
import { compare, compareSamples } from '../../bench/rounds.ts';

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
  const results = await compare(['a', 'b', 'c'].map(candidate), { rounds: 3, runs: 5, warmUp: false });
  // The first round does not count.
  expect(order.join('')).toBe('cababcbcacab');
  expect(runs).toHaveLength(order.length * 5);
  expect(results.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  expect(results[0]).toMatchObject({ ratio: 1, spread: [1, 1] });
});

test('a candidate gets the number of runs and the number of each run, and can clean up after each measurement', async () => {
  const seen: string[] = [];
  const candidate = {
    name: 'a',
    prepare: (runs: number) => {
      seen.push(`of ${runs}`);
      return (run: number) => void seen.push(String(run));
    },
    dispose: () => seen.push('over'),
  };
  await compare([candidate], { rounds: 1, runs: 7, warmUp: false });
  const once = ['of 10', '0', '1', '2', '3', '4', '5', '6', '7', 'over'];
  expect(seen).toEqual([...once, ...once]);
});

test('candidates warm up in turns before the first round, each until it has done the calls', async () => {
  const order: string[] = [];
  const candidate = (name: string) => ({ name, prepare: () => () => void order.push(name) });
  await compare(['a', 'b'].map(candidate), {
    rounds: 1,
    runs: 5,
    warmUp: { calls: 15, milliseconds: Number.POSITIVE_INFINITY },
  });
  const [a, b] = ['aaaaa', 'bbbbb'];
  expect(order.join('')).toBe(`${`${a}${b}`.repeat(3)}${b}${a}${a}${b}`);
});

test('a candidate that takes long is measured after the time for a warm-up, however few calls it did', async () => {
  let calls = 0;
  const slow = { name: 'slow', prepare: () => () => void calls++ };
  await compare([slow], { rounds: 1, runs: 5, warmUp: { calls: 1_000_000, milliseconds: 0 } });
  expect(calls).toBe(10);
});

test('a ratio is taken inside a round, so that a machine that gets slower between rounds changes none', async () => {
  // The first one is of the round that does not count.
  const loads = [5, 1, 10, 100, 1_000];
  const sampler = (name: string, times: number) => {
    const left = [...loads];
    return { name, sample: () => times * (left.shift() as number) };
  };
  const results = await compareSamples([sampler('base', 1), sampler('twice', 2)], 4);
  expect(results[1]).toEqual({ name: 'twice', median: 200, ratio: 2, spread: [2, 2], least: 2 });
});
