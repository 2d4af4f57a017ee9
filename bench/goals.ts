import type { Panel } from './group.ts';
import type { Result } from './rounds.ts';
import { digits, table } from './table.ts';

/** The limit that a measurement must not exceed, and the goal that it should not exceed. */
export interface Goal {
  readonly panel: string;
  readonly column: string;
  readonly candidate: string;
  /** Compared as a multiple of the baseline, or as an amount: milliseconds for times, kilobytes for sizes. */
  readonly as: 'ratio' | 'amount';
  readonly must: number;
  readonly wanted: number;
}

const FULL = 'full stack';

function goals(
  panel: string,
  candidate: string,
  rows: Readonly<Record<string, readonly [must: number, wanted: number]>>,
  as: Goal['as'] = 'ratio',
): Goal[] {
  return Object.entries(rows).map(([column, [must, wanted]]) => ({
    panel,
    column,
    candidate,
    as,
    must,
    wanted,
  }));
}

export const GOALS: readonly Goal[] = [
  ...goals('whole conversation', FULL, {
    '10 turns': [2.2, 1.7],
    '100 turns': [0.55, 0.4],
    '1000 turns': [0.42, 0.2],
  }),
  ...goals('warm getItems()', FULL, {
    '10 turns': [0.25, 0.15],
    '100 turns': [0.12, 0.07],
    '1000 turns': [0.12, 0.05],
  }),
  ...goals('cold getItems()', FULL, { '10 turns': [10, 8], '100 turns': [7, 5], '1000 turns': [6, 4.5] }),
  ...goals('addItems(4)', FULL, { 'after 100 turns': [2.5, 2], 'first of a new session': [4, 3] }),
  ...goals('prose', 'strongroom', { '1 KB': [4, 2], '64 KB': [4, 2], '1 MB': [4, 2] }),
  ...goals('one find a KB', 'strongroom', { '1 KB': [13, 5], '64 KB': [13, 5], '1 MB': [13, 5] }),
  ...goals('PostgreSQL', FULL, { '100 turns': [1.1, 0.9] }),
  ...goals('Redis', FULL, { '100 turns': [1.1, 0.9] }),
  ...goals('memory', 'cache()', { 'a byte of JSON': [1.8, 1.5] }),
  ...goals('import', 'strongroom', { 'import()': [0.15, 0.12] }),
  ...goals(
    'longest block of the event loop',
    FULL,
    { '500 sessions': [30, 10], 'cold read of 10,000': [30, 10] },
    'amount',
  ),
  ...goals('bundle', 'encrypt, expire, cache', { gzipped: [50, 40] }, 'amount'),
];

/** A goal and what was measured. */
export interface Verdict {
  readonly goal: Goal;
  readonly measured: number;
  readonly holds: 'wanted' | 'must' | 'no';
}

/** The results for the goals of these panels. */
export function verdicts(panels: readonly Panel[], goalsOf: readonly Goal[] = GOALS): Verdict[] {
  return goalsOf.flatMap((goal) => {
    const panel = panels.find(({ title }) => title === goal.panel);
    const result = panel?.columns
      .find(({ title }) => title === goal.column)
      ?.results.find(({ name }) => name === goal.candidate);
    if (result === undefined) return [];
    const measured = goal.as === 'ratio' ? result.ratio : amountOf(result);
    const holds = measured <= goal.wanted ? 'wanted' : measured <= goal.must ? 'must' : 'no';
    return [{ goal, measured, holds }];
  });
}

/** Milliseconds of microseconds, kilobytes of bytes. */
function amountOf({ median }: Result): number {
  return median / 1_000;
}

const WORDS = { wanted: 'wanted', must: 'must', no: 'MISSED' } as const;

export function verdictTable(all: readonly Verdict[]): string {
  return table([
    ['goal', 'measured', 'must', 'wanted', 'holds'],
    ...all.map(({ goal, measured, holds }) => [
      `${goal.panel}, ${goal.column}`,
      digits(measured),
      String(goal.must),
      String(goal.wanted),
      WORDS[holds],
    ]),
  ]);
}
