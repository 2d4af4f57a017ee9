import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { verdicts, type Goal, type Verdict } from '../bench/goals.ts';
import type { Panel } from '../bench/group.ts';
import type { GroupResults } from '../bench/results.ts';
import { digits } from '../bench/table.ts';
import { markdownTable } from './markdown-table.ts';

const WORDS: Readonly<Record<Verdict['holds'], string>> = {
  wanted: 'better than wanted',
  must: 'yes',
  no: '**no**',
};

/** The panels of every group that was measured. */
export function measuredPanels(folder: string): Panel[] {
  return globSync('*.json', { cwd: folder })
    .toSorted()
    .flatMap((file) => (JSON.parse(readFileSync(join(folder, file), 'utf8')) as GroupResults).panels);
}

const RANKS: readonly Verdict['holds'][] = ['no', 'must', 'wanted'];

/**
 * Each goal of `bench/goals.ts` beside what was measured, also where it is missed.
 *
 * @param again The panels of a second run: a goal holds if it does in both.
 */
export function goalsTable(panels: readonly Panel[], again: readonly Panel[]): string {
  const repeated = new Map(verdicts(again).map((verdict) => [verdict.goal, verdict]));
  return markdownTable([
    ['goal', 'measured', 'again', 'must', 'wanted', 'holds'],
    ...verdicts(panels).map(({ goal, measured, holds }) => {
      const second = repeated.get(goal);
      const both = RANKS.find((each) => each === holds || each === second?.holds) ?? holds;
      return [
        `${goal.panel}, ${goal.column}${unitOf(goal, panels)}`,
        digits(measured),
        second === undefined ? '' : digits(second.measured),
        String(goal.must),
        String(goal.wanted),
        WORDS[both],
      ];
    }),
  ]);
}

function unitOf({ as, panel }: Goal, panels: readonly Panel[]): string {
  if (as === 'ratio') return '';
  return panels.find(({ title }) => title === panel)?.unit === 'time' ? ' (ms)' : ' (kB)';
}
