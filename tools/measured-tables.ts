/**
 * Tables of measurements in the papers, written from the results of `npm run bench` in `bench/results`, so that no
 * number is typed by hand. They stand between `<!-- bench: GROUP -->` and `<!-- /bench -->`; with `#PANEL` behind
 * the group only that one of its panels. `goals` and `overview` are tables of all groups.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Panel } from '../bench/group.ts';
import { RESULTS, type GroupResults } from '../bench/results.ts';
import type { Result } from '../bench/rounds.ts';
import { amount, digits } from '../bench/table.ts';
import { goalsTable, measuredPanels } from './goals-table.ts';
import { markdownTable } from './markdown-table.ts';
import { overviewTable } from './overview-table.ts';

const BLOCK =
  /(?<start><!-- bench: (?<group>[\w-]+)(?:#(?<panel>[^>]+?))? -->\n)[\s\S]*?(?<end><!-- \/bench -->)/g;

/** The paper with every table renewed. */
export function withMeasuredTables(text: string, folder: string = RESULTS): string {
  return text.replace(BLOCK, (_block, ...rest: unknown[]) => {
    const { start, group, panel, end } = rest.at(-1) as Record<'start' | 'group' | 'end', string> & {
      panel?: string;
    };
    return `${start}${tablesOf(group, panel, folder)}${end}`;
  });
}

function tablesOf(group: string, only: string | undefined, folder: string): string {
  if (group === 'goals')
    return `\n${goalsTable(measuredPanels(folder), measuredPanels(join(folder, 'again')))}\n`;
  if (group === 'overview') return `\n${overviewTable(measuredPanels(folder))}\n`;
  const file = join(folder, `${group}.json`);
  if (!existsSync(file)) return `\n${notMeasured(group)}\n\n`;
  const { note, environment, panels } = JSON.parse(readFileSync(file, 'utf8')) as GroupResults;
  const chosen = only === undefined ? panels : panels.filter(({ title }) => title === only);
  if (chosen.length === 0) throw new Error(`${file} has no panel "${only}".`);
  const versions = Object.entries(environment.versions).map(([name, version]) => `${name} ${version}`);
  const from = `${environment.date}, ${environment.machine}, ${versions.join(', ')}, medians of ${environment.rounds} rounds [10 %..90 %].`;
  return `\n${note}\n\n${chosen.map(markdown).join('\n')}\n${from}\n\n`;
}

const notMeasured = (group: string): string =>
  'No result is kept yet: times count only from a machine that does nothing else. There, ' +
  `\`npm run bench -- --group ${group}\` and then \`npm run docs:cut\` write this table.`;

/** Measurements in rows, candidates in columns. */
function markdown({ title, unit, base, columns }: Panel): string {
  const names = columns[0]?.results.map(({ name }) => name) ?? [];
  const rows = columns.map((column) => [
    column.title,
    ...column.results.map((result) => (result.name === base ? amount(result.median, unit) : ratio(result))),
  ]);
  return markdownTable([[title, ...names], ...rows]);
}

function ratio({ ratio: median, spread: [low, high] }: Result): string {
  return `${digits(median)} [${digits(low)}..${digits(high)}]`;
}
