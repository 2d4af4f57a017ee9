import { expect, test } from 'vitest';
import { GOALS, verdicts, verdictTable, type Goal } from '../../bench/goals.ts';
import type { Panel } from '../../bench/group.ts';

const panel = (ratio: number, median: number): Panel => ({
  title: 'reads',
  unit: 'time',
  base: 'by hand',
  columns: [
    {
      title: '10 turns',
      results: [
        { name: 'by hand', median: 1_000, ratio: 1, spread: [1, 1], least: 1 },
        { name: 'full stack', median, ratio, spread: [ratio, ratio], least: ratio },
      ],
    },
  ],
});
const goal: Goal = {
  panel: 'reads',
  column: '10 turns',
  candidate: 'full stack',
  as: 'ratio',
  must: 2,
  wanted: 1.5,
};

test.each([
  [1.5, 'wanted'],
  [2, 'must'],
  [2.01, 'no'],
] as const)('of a goal that must be 2 and should be 1.5, %d is "%s"', (ratio, holds) => {
  expect(verdicts([panel(ratio, 1)], [goal])).toEqual([{ goal, measured: ratio, holds }]);
});

test('a goal in milliseconds is compared with the time, whatever the ratio is', () => {
  const inTime: Goal = { ...goal, as: 'amount', must: 30, wanted: 10 };
  expect(verdicts([panel(0.1, 31_000)], [inTime])).toMatchObject([{ measured: 31, holds: 'no' }]);
  expect(verdicts([panel(50, 30_000)], [inTime])).toMatchObject([{ measured: 30, holds: 'must' }]);
});

test('a goal of a group that was not measured is omitted, and a missed one is marked', () => {
  expect(verdicts([panel(1, 1)], GOALS)).toEqual([]);
  expect(verdictTable(verdicts([panel(3, 1)], [goal]))).toContain('MISSED');
});
