import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
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

test('a group that was not measured says how to, and an unknown panel fails', () => {
  expect(withMeasuredTables('<!-- bench: loop -->\n<!-- /bench -->', folder)).toContain(
    'npm run bench -- --group loop',
  );
  expect(() => withMeasuredTables('<!-- bench: read#hot -->\n<!-- /bench -->', folder)).toThrow(
    'has no panel "hot"',
  );
});
