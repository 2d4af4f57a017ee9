import type { Panel } from '../bench/group.ts';
import type { Result } from '../bench/rounds.ts';
import { digits } from '../bench/table.ts';
import { markdownTable } from './markdown-table.ts';

const BASE = 'by hand';
const CANDIDATE = 'full stack';
const COLUMNS = ['10 turns', '100 turns', '1000 turns'] as const;

/** Rows of the overview: their panels in `bench/results`, and columns of panels that are named otherwise. */
const ROWS: readonly {
  readonly title: string;
  readonly panel: string;
  readonly column?: Readonly<Record<string, string>>;
}[] = [
  { title: 'a whole conversation, SQLite', panel: 'whole conversation' },
  { title: 'the same, PostgreSQL', panel: 'PostgreSQL' },
  { title: 'the same, Redis', panel: 'Redis' },
  {
    title: '`addItems()` of four items, SQLite',
    panel: 'addItems(4)',
    column: { '100 turns': 'after 100 turns' },
  },
  { title: '`getItems()` from the cache, SQLite', panel: 'warm getItems()' },
  { title: '`getItems()` by a new process, SQLite', panel: 'cold getItems()' },
];

/** How many times as long the full stack takes as a session by hand, for works that every user does. */
export function overviewTable(panels: readonly Panel[]): string {
  return markdownTable([
    ['', ...COLUMNS],
    ...ROWS.map(({ title, panel, column = {} }) => [
      title,
      ...COLUMNS.map((name) => timesByHand(panels, panel, column[name] ?? name)),
    ]),
  ]);
}

function timesByHand(panels: readonly Panel[], panel: string, column: string): string {
  const results = panels
    .find(({ title }) => title === panel)
    ?.columns.find(({ title }) => title === column)?.results;
  const of = (wanted: string): Result | undefined => results?.find(({ name }) => name === wanted);
  const [base, candidate] = [of(BASE), of(CANDIDATE)];
  // Both are multiples of the baseline of their panel, taken in the same rounds.
  return base === undefined || candidate === undefined ? '' : digits(candidate.ratio / base.ratio);
}
