import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { compareCounts } from '../../bench/compare-counts.ts';
import type { Counts } from '../../bench/counts.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-check-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function check(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=strongroom-source', '--disable-warning=ExperimentalWarning', 'bench/check.ts', ...args],
    { encoding: 'utf8' },
  );
  return { status, output: stdout + stderr };
}

const file = join(folder, 'counts.json');
const written = check('--table', file, '--write');

/** The table with some numbers changed. */
function changed(changes: readonly (readonly [work: string, counted: keyof Counts, by: number])[]): string {
  const table = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<keyof Counts, number>>;
  for (const [work, counted, by] of changes) (table[work] as Record<keyof Counts, number>)[counted] += by;
  const other = join(folder, 'changed.json');
  writeFileSync(other, JSON.stringify(table));
  return other;
}

test('counts equal to the table pass, a second time too', () => {
  expect(written).toMatchObject({ status: 0 });
  const { status, output } = check('--table', file);
  expect(output).not.toMatch(/MORE|fewer/);
  expect(status).toBe(0);
});

test('one count more than the table fails and is named; fewer are named, so that the table can be updated', () => {
  const append = 'addItems(4) after 10 turns';
  const rising = ['statements', 'promises', 'ciphers', 'patterns'] as const;
  const { status, output } = check(
    '--table',
    changed([
      ...rising.map((counted) => [append, counted, -1] as const),
      ['warm getItems() of 10 turns', 'clones', 5],
    ]),
  );
  expect(status).toBe(1);
  expect(output.match(/^MORE: .*: \w+/gm)).toEqual(rising.map((counted) => `MORE: ${append}: ${counted}`));
  expect(output.match(/^fewer: .*: \w+/gm)).toEqual(['fewer: warm getItems() of 10 turns: clones']);
});

test('fewer counts than the table pass', () => {
  const counts = { statements: 1, promises: 2 } as Counts;
  expect(compareCounts({ reads: { statements: 2, promises: 2 } }, { reads: counts })).toEqual({
    more: [],
    fewer: [{ work: 'reads', counted: 'statements', before: 2, now: 1 }],
  });
});

test('work that does more in a call is detected by its counts', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=strongroom-source', '--disable-warning=ExperimentalWarning', 'test/bench/more-work.ts'],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const { plain, more } = JSON.parse(stdout) as Record<'plain' | 'more', Counts>;
  const difference = Object.fromEntries(
    Object.entries(more).map(([name, count]) => [name, count - plain[name as keyof Counts]]),
  );
  expect(difference).toEqual({
    statements: 3,
    transactions: 1,
    promises: 2,
    ciphers: 1,
    digests: 1,
    parses: 1,
    stringifies: 1,
    clones: 2,
    patterns: 2,
  });
});

test('work that is missing in the table fails', () => {
  const counts = { statements: 1 } as Counts;
  expect(compareCounts({}, { reads: counts })).toEqual({
    more: [{ work: 'reads', counted: 'statements', before: 0, now: 1 }],
    fewer: [],
  });
});
