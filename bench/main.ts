// npm run bench -- [--group NAME]… [--rounds N] [--quick] [--python] [--store NAME] [--out FOLDER]
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { verdicts, verdictTable } from './goals.ts';
import type { Panel } from './group.ts';
import { GROUPS } from './groups.ts';
import { countProcessorTime } from './rounds.ts';
import { environment, RESULTS, writeResults } from './results.ts';
import { panelTable } from './table.ts';

const { values } = parseArgs({
  options: {
    /** Only these, by their names in `groups.ts`. */
    group: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    /** Of the group "stores", only this one: SQLite, PGlite, PostgreSQL, MariaDB or Redis. */
    store: { type: 'string' },
    /**
     * Fewer rounds and no long histories: shows that it runs, not how fast it is. Writes no results without
     * `--out`.
     */
    quick: { type: 'boolean', default: false },
    /** Also the algorithm of Python's EncryptedSession; needs python3-cryptography. */
    python: { type: 'boolean', default: false },
    /**
     * Processor time instead of time on the wall, for a machine that does other work as well. Writes no results
     * without `--out`.
     */
    processor: { type: 'boolean', default: false },
    /** Folder of the results; `bench/results` when absent. */
    out: { type: 'string' },
  },
});
const chosen = values.group ?? Object.keys(GROUPS).filter((name) => name !== 'python');
if (values.python && !chosen.includes('python')) chosen.push('python');
for (const name of chosen) {
  if (!Object.hasOwn(GROUPS, name)) {
    throw new RangeError(`--group takes one of ${Object.keys(GROUPS).join(', ')}, not ${name}.`);
  }
}
const rounds = values.rounds === undefined ? (values.quick ? 3 : 7) : Number(values.rounds);
if (!Number.isSafeInteger(rounds) || rounds < 1)
  throw new RangeError('--rounds takes a whole number from 1.');
const folder = values.out ?? (values.quick || values.processor ? undefined : RESULTS);

// Like `--expose-gc`: each measurement begins after a garbage collection.
setFlagsFromString('--expose-gc');
globalThis.gc = runInNewContext('gc') as NodeJS.GCFunction;

const print = (text = ''): void => void process.stdout.write(`${text}\n`);
const here = environment(rounds);
const versions = Object.entries(here.versions).map(([name, version]) => `${name} ${version}`);
print(`${here.machine}; ${versions.join(', ')}; medians of ${rounds} rounds.`);
print('Each candidate works before it is measured, until its code is compiled (see WARM_UP in rounds.ts).');
print('Every number but the first is a multiple of the baseline, taken in the same round [10 %..90 %].');

if (values.processor) {
  countProcessorTime();
  print('Processor time of this process, without what servers and other processes do.');
}
const measured: Panel[] = [];
for (const name of chosen) {
  const group = GROUPS[name] as (typeof GROUPS)[string];
  print(`\n## ${group.title}\n${group.note}`);
  const panels: Panel[] = [];
  const start = performance.now();
  for await (const panel of group.measure({ rounds, quick: values.quick, store: values.store })) {
    print(`\n${panelTable(panel)}`);
    panels.push(panel);
  }
  print(`\n(${name} took ${Math.round((performance.now() - start) / 1_000)} s)`);
  measured.push(...panels);
  if (folder !== undefined) {
    writeResults({ group: name, title: group.title, note: group.note, environment: here, panels }, folder);
  }
}
const all = verdicts(measured);
if (all.length > 0) print(`\n${verdictTable(all)}`);
