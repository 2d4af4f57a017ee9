import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { withMeasuredTables } from '../../tools/measured-tables.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-tables-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const results = [
  { name: 'by hand', median: 1_500, ratio: 1, spread: [1, 1], least: 1 },
  { name: 'full stack', median: 3_000, ratio: 2, spread: [1.9, 2.1], least: 2 },
];
writeFileSync(
  join(folder, 'read.json'),
  JSON.stringify({
    group: 'read',
    title: 'Reads',
    note: 'What is read.',
    environment: { date: '2026-11-27', machine: 'a machine', versions: { node: '24' }, rounds: 9 },
    panels: [
      { title: 'warm', unit: 'time', base: 'by hand', columns: [{ title: '10 turns', results }] },
      { title: 'cold', unit: 'time', base: 'by hand', columns: [{ title: '10 turns', results }] },
    ],
  }),
);

test('a table is written from the results of its group, with the date and the machine, and stays when it is up to date', () => {
  const written = withMeasuredTables('a\n<!-- bench: read#warm -->\nold\n<!-- /bench -->\nb\n', folder);
  expect(written).toBe(
    [
      'a',
      '<!-- bench: read#warm -->',
      '',
      'What is read.',
      '',
      '| warm | by hand | full stack |',
      '| --- | --- | --- |',
      '| 10 turns | 1.5 ms | 2.00 [1.90..2.10] |',
      '',
      '2026-11-27, a machine, node 24, medians of 9 rounds [10 %..90 %].',
      '',
      '<!-- /bench -->',
      'b',
      '',
    ].join('\n'),
  );
  expect(withMeasuredTables(written, folder)).toBe(written);
});

test('without a panel all of the group are written', () => {
  const written = withMeasuredTables('<!-- bench: read -->\n<!-- /bench -->', folder);
  expect(written.match(/^\| (?:warm|cold) /gm)).toHaveLength(2);
});

test('the overview has the times of the full stack by those of a session by hand, and nothing where nothing was measured', () => {
  const base = { median: 1_000, ratio: 1, spread: [1, 1], least: 1 };
  const panel = (title: string, column: string, byHand: number, full: number): object => ({
    title,
    unit: 'time',
    base: 'our store, bare',
    columns: [
      {
        title: column,
        results: [
          { ...base, name: 'our store, bare' },
          { ...base, name: 'by hand', ratio: byHand },
          { ...base, name: 'full stack', ratio: full },
        ],
      },
    ],
  });
  const other = mkdtempSync(join(tmpdir(), 'strongroom-tables-test-'));
  onTestFinished(() => rmSync(other, { recursive: true, force: true }));
  const panels = [
    panel('addItems(4)', 'after 100 turns', 0.5, 4),
    panel('whole conversation', '10 turns', 1, 3),
  ];
  writeFileSync(join(other, 'some.json'), JSON.stringify({ panels }));
  const written = withMeasuredTables('<!-- bench: overview -->\n<!-- /bench -->', other);
  expect(written).toContain('|  | 10 turns | 100 turns | 1000 turns |\n| --- | --- | --- | --- |\n');
  expect(written).toContain('| a whole conversation, SQLite | 3.00 |  |  |\n');
  expect(written).toContain('| `addItems()` of four items, SQLite |  | 8.00 |  |\n');
});

test('the goals stand beside what two runs measured, those that one of them missed in bold, with the unit of an amount', () => {
  const other = mkdtempSync(join(tmpdir(), 'strongroom-tables-test-'));
  onTestFinished(() => rmSync(other, { recursive: true, force: true }));
  const at = (title: string, name: string, ratio: number, median: number): object => ({
    title,
    results: [{ name, median, ratio, spread: [ratio, ratio], least: ratio }],
  });
  const panels = [
    {
      title: 'whole conversation',
      unit: 'time',
      base: 'by hand',
      columns: [
        at('10 turns', 'full stack', 2.3, 1),
        at('100 turns', 'full stack', 0.5, 1),
        at('1000 turns', 'full stack', 0.1, 1),
      ],
    },
    {
      title: 'longest block of the event loop',
      unit: 'time',
      base: 'by hand',
      columns: [at('500 sessions', 'full stack', 1, 20_000)],
    },
    {
      title: 'bundle',
      unit: 'bytes',
      base: 'all',
      columns: [at('gzipped', 'encrypt, expire, cache', 1, 49_700)],
    },
  ];
  writeFileSync(join(other, 'some.json'), JSON.stringify({ panels }));
  const conversations = [at('100 turns', 'full stack', 0.6, 1), at('1000 turns', 'full stack', 0.3, 1)];
  mkdirSync(join(other, 'again'));
  writeFileSync(
    join(other, 'again', 'some.json'),
    JSON.stringify({ panels: [{ ...panels[0], columns: conversations }] }),
  );
  expect(withMeasuredTables('<!-- bench: goals -->\n<!-- /bench -->', other)).toBe(
    [
      '<!-- bench: goals -->',
      '',
      '| goal | measured | again | must | wanted | holds |',
      '| --- | --- | --- | --- | --- | --- |',
      '| whole conversation, 10 turns | 2.30 |  | 2.2 | 1.7 | **no** |',
      '| whole conversation, 100 turns | 0.50 | 0.60 | 0.55 | 0.4 | **no** |',
      '| whole conversation, 1000 turns | 0.10 | 0.30 | 0.42 | 0.2 | yes |',
      '| longest block of the event loop, 500 sessions (ms) | 20.0 |  | 30 | 10 | yes |',
      '| bundle, gzipped (kB) | 49.7 |  | 50 | 40 | yes |',
      '',
      '<!-- /bench -->',
    ].join('\n'),
  );
});

test('a group that was not measured says how to, and an unknown panel fails', () => {
  expect(withMeasuredTables('<!-- bench: loop -->\n<!-- /bench -->', folder)).toContain(
    'npm run bench -- --group loop',
  );
  expect(() => withMeasuredTables('<!-- bench: read#hot -->\n<!-- /bench -->', folder)).toThrow(
    'has no panel "hot"',
  );
});
