// npm run bench:check [-- --write] [--table FILE]: fails when a call of ours does more than `counted-work.json`
// says. Counts do not differ from run to run, as timings do.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { COUNTED } from './counts.ts';
import { compareCounts } from './compare-counts.ts';
import { countAll } from './counted-work.ts';
import { table } from './table.ts';

const { values } = parseArgs({
  options: {
    /** Writes the counts to the table. */
    write: { type: 'boolean', default: false },
    table: { type: 'string', default: resolve(import.meta.dirname, 'counted-work.json') },
  },
});

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const counted = await countAll();
const names = Object.keys(COUNTED) as (keyof typeof COUNTED)[];
print(
  table([
    ['', ...names],
    ...Object.entries(counted).map(([work, counts]) => [work, ...names.map((name) => String(counts[name]))]),
  ]),
);
if (values.write) {
  writeFileSync(values.table, `${JSON.stringify(counted, undefined, 2)}\n`);
} else {
  const { more, fewer } = compareCounts(
    JSON.parse(readFileSync(values.table, 'utf8')) as Parameters<typeof compareCounts>[0],
    counted,
  );
  for (const { work, counted: name, before, now } of fewer)
    print(`fewer: ${work}: ${name} ${before} → ${now}`);
  if (fewer.length > 0) print('Keep what was gained: npm run bench:check -- --write');
  for (const { work, counted: name, before, now } of more) print(`MORE: ${work}: ${name} ${before} → ${now}`);
  if (more.length > 0) {
    print(
      'Each of these costs every user. Do without, or say why in the commit that runs: npm run bench:check -- --write',
    );
    process.exitCode = 1;
  }
}
