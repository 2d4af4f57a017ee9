import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Panel } from '../../bench/group.ts';
import { plot } from '../../bench/plot.ts';
import { environment, writeResults, type GroupResults } from '../../bench/results.ts';
import { panelTable } from '../../bench/table.ts';

const column = (title: string) => ({
  title,
  results: [
    { name: 'by hand', median: 1_234.5678, ratio: 1, spread: [1, 1] as const, least: 1 },
    { name: 'ours <fast>', median: 617.2839, ratio: 0.5, spread: [0.4, 0.625] as const, least: 0.5 },
  ],
});
const panel = (columns: number): Panel => ({
  title: 'reads',
  unit: 'time',
  base: 'by hand',
  columns: Array.from({ length: columns }, (_, index) => column(`case ${index}`)),
});

test('a group is written as numbers and as a plot, with date, machine, rounds and versions', () => {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-test-'));
  try {
    const results: GroupResults = {
      group: 'reads',
      title: 'Reads & more',
      note: 'A note.',
      environment: environment(7),
      panels: [panel(2)],
    };
    writeResults(results, folder);
    const written = JSON.parse(readFileSync(join(folder, 'reads.json'), 'utf8')) as GroupResults;
    expect(written.environment).toMatchObject({
      date: new Date().toISOString().slice(0, 10),
      rounds: 7,
      versions: { node: process.versions.node },
    });
    expect(written.environment.machine).toContain(process.arch);
    expect(written.panels[0]?.columns[0]?.results[0]?.median).toBe(1_235);
    const drawn = readFileSync(join(folder, 'reads.svg'), 'utf8');
    expect(drawn).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    expect(drawn).toContain(process.versions.node);
    expect(drawn).toContain('medians of 7 rounds');
    expect(drawn).toContain('Reads &amp; more');
    expect(drawn).toContain('ours &lt;fast&gt;');
    expect(drawn).toContain('× 0.50');
    expect(drawn).not.toMatch(/NaN|undefined|Infinity/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.each(globSync('bench/results/*.json'))('the plot beside %s shows the numbers of it', (file) => {
  const results = JSON.parse(readFileSync(file, 'utf8')) as GroupResults;
  expect(readFileSync(file.replace(/json$/, 'svg'), 'utf8')).toBe(plot(results));
});

test('a table has the baseline in its unit and the others as multiples with their spread', () => {
  expect(panelTable(panel(1))).toBe(
    [
      'reads                   case 0',
      'by hand                 1.2 ms',
      'ours <fast>  0.50 [0.40..0.63]',
    ].join('\n'),
  );
});

test('many columns become rows', () => {
  const lines = panelTable(panel(5)).split('\n');
  expect(lines).toHaveLength(6);
  expect(lines[1]).toMatch(/^case 0 +1\.2 ms +0\.50/);
});
