import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { measureContext } from './context.ts';
import { measureEnvelope, measureSeal } from './seal.ts';
import { measureStacks, memory, sqlite } from './stacks.ts';
import { measurePair, PAIRS, TURN, type Pair, type PairResults } from './stores.ts';
import { ratio, table, time } from './table.ts';
import type { Result } from './rounds.ts';

const { values } = parseArgs({
  options: {
    /** Fewer rounds and no long histories: shows that it runs, not how fast it is. */
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    /** Only the stores, each against a session written by hand. */
    stores: { type: 'boolean', default: false },
    /** Only this one of the stores, by its name in `PAIRS`. */
    store: { type: 'string' },
  },
});
if (values.store !== undefined && !Object.hasOwn(PAIRS, values.store)) {
  throw new RangeError(`--store takes one of ${Object.keys(PAIRS).join(', ')}`);
}
const rounds = values.rounds === undefined ? (values.quick ? 3 : 9) : Number(values.rounds);
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new RangeError('--rounds takes a whole number from 1');
const sizes = values.quick ? [10, 100] : [10, 100, 1_000];

const print = (text = ''): void => void process.stdout.write(`${text}\n`);

print(
  `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}; medians of ${rounds} rounds.`,
);
print('Every number but the times is a multiple of the first row, taken in the same round [10 %..90 %].');

/** One column for each measurement, one row for each candidate. */
function block(columns: readonly (readonly [string, readonly Result[]])[]): void {
  const names = columns[0]?.[1].map(({ name }) => name) ?? [];
  print(
    table([
      ['', ...columns.map(([title]) => title)],
      ...names.map((name, row) => [
        name,
        ...columns.map(([, results]) => (row === 0 ? time : ratio)(results[row] as Result)),
      ]),
    ]),
  );
}

async function benchStacks(): Promise<void> {
  for (const open of [sqlite, memory]) {
    const place = open();
    try {
      for (const count of sizes) {
        const results = await measureStacks(place, count, rounds);
        print(`\n${place.name}, ${count} items of 1 KB`);
        block([
          ['getItems()', results.read],
          ['addItems(4)', results.append],
          ['whole conversation', results.conversation],
        ]);
      }
    } finally {
      await place.close();
    }
  }
}

async function benchSealing(): Promise<void> {
  const bytes = values.quick ? [1_024] : [200, 1_024, 4_096, 65_536];
  for (const [title, pick] of [
    ['Sealing one text', 'seal'],
    ['Opening one text', 'open'],
  ] as const) {
    const columns: [string, readonly Result[]][] = [];
    for (const size of bytes) columns.push([`${size} B`, (await measureSeal(size, rounds))[pick]]);
    print(`\n${title}`);
    block(columns);
  }

  const { write, read } = await measureEnvelope(rounds);
  print('\nEnvelopes, 50 items of 1 KB in a call');
  block([['', write]]);
  block([['', read]]);
}

async function benchContext(): Promise<void> {
  const long = values.quick ? 1_000 : 10_000;
  print(`\nTrimming a history of ${long} items of 1 KB, in units of a read`);
  const context = await measureContext(long, rounds);
  print(
    table([
      ['', 'time', ...context.map(([read]) => `reads ${read}`)],
      ...(context[0]?.[1] ?? []).map((result, row) => [
        result.name,
        time(result),
        ...context.map(([, results]) => ratio(results[row] as Result)),
      ]),
    ]),
  );
}

/** Characters of text in an item: about 400 bytes of JSON, the mean of recorded conversations, and about 1 KB. */
const lengths = values.quick ? [300] : [300, 900];

async function benchStores(): Promise<void> {
  for (const [name, open] of Object.entries(PAIRS)) {
    if (values.store !== undefined && name !== values.store) continue;
    let pair: Pair;
    try {
      pair = await open();
    } catch (error) {
      print(`\n${name}: left out, ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    try {
      for (const length of lengths) {
        const results: [number, PairResults][] = [];
        for (const count of values.quick ? [10, 100] : [10, 100, 1_000, 10_000]) {
          results.push([count, await measurePair(pair, { count, length, rounds })]);
        }
        for (const [title, pick] of [
          [`addItems(${TURN})`, 'append'],
          ['getItems()', 'read'],
          ['getItems(20)', 'tail'],
        ] as const) {
          print(`\n${name}, items with ${length} characters of text, ${title} with a history of`);
          block(results.map(([count, result]) => [String(count), result[pick]]));
          const least = results.map(([, result]) => (result[pick][1] as Result).least.toFixed(2));
          print(`least times of all rounds: ${least.join(' / ')}`);
        }
      }
    } finally {
      await pair.close();
    }
  }
}

if (!values.stores && values.store === undefined) {
  await benchStacks();
  await benchSealing();
  await benchContext();
}
await benchStores();
