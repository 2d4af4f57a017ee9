import { createRedactor } from '../../src/redaction/index.ts';
import type { Column, Group, Panel } from '../group.ts';
import { prose } from '../items.ts';
import { compare } from '../rounds.ts';
import { HOSTILE_TEXTS, SCRIPTS } from '../texts.ts';

/** About one in a kilobyte, in turn. */
const FINDS = [
  'Write to jane.doe@example.com. ',
  'Call +1 415 555 2671. ',
  'The card is 4111 1111 1111 1111. ',
  'Transfer it to DE89 3704 0044 0532 0130 00. ',
  'It came from 203.0.113.42. ',
];
/** Numbers and names that are no finds. */
const NUMBERS = [
  'It was on 2026-11-27, at 14:30. ',
  'Order no. 48213 costs 84.50 EUR. ',
  'See T-1042 (v2.14). ',
];

type Make = (seed: number, length: number) => string;

const TEXTS: Readonly<Record<string, Make>> = {
  prose: (seed, length) => prose(seed, length),
  'prose with dates, orders and amounts': (seed, length) => withPieces(seed, length, NUMBERS, 300),
  'one find a KB': (seed, length) => withPieces(seed, length, FINDS, 1_024),
};

/** Prose with one of the pieces every so many characters. */
function withPieces(seed: number, length: number, pieces: readonly string[], every: number): string {
  let done = 0;
  return prose(seed, length, (position) => {
    if (position < (done + 0.5) * every) return '';
    return pieces[done++ % pieces.length] as string;
  });
}

export const redactionGroup: Group = {
  title: 'Redaction',
  note: 'createRedactor().redactText() with everything that it looks for by default, in units of one pass over the text (a loop of charCodeAt).',
  async *measure({ rounds, quick }) {
    const sizes = quick ? [1] : [1, 64, 1_024];
    for (const [title, make] of Object.entries(TEXTS)) {
      const columns: Column[] = [];
      for (const kilobytes of sizes) {
        // Several, so that no result of the previous text can be reused.
        const count = Math.max(4, 32 / kilobytes);
        const texts = Array.from({ length: count }, (_, seed) => make(seed, kilobytes * 1_024));
        columns.push(await column(kilobytes < 1_024 ? `${kilobytes} KB` : '1 MB', texts, rounds));
      }
      yield panel(title, columns);
    }
    const scripts: Column[] = [];
    for (const [name, sentence] of Object.entries(SCRIPTS)) {
      const texts = Array.from({ length: 16 }, (_, seed) => {
        const text = sentence.repeat(Math.ceil(1_100 / sentence.length));
        return Buffer.from(text.slice(seed, seed + 1_024)).toString();
      });
      scripts.push(await column(name, texts, rounds));
    }
    yield panel('1 KB in twelve scripts', scripts);
    const hostile: Column[] = [];
    for (const [name, piece] of Object.entries(HOSTILE_TEXTS)) {
      hostile.push(await column(name, [piece.repeat(65_536 / piece.length)], rounds));
    }
    yield panel('64 KB that are made to be slow', hostile);
  },
};

function panel(title: string, columns: readonly Column[]): Panel {
  return { title, unit: 'time', base: 'one pass', columns };
}

async function column(title: string, texts: readonly string[], rounds: number): Promise<Column> {
  const redactor = createRedactor();
  const size = (texts[0] as string).length;
  const results = await compare(
    [
      { name: 'one pass', prepare: () => (run) => onePass(texts[run % texts.length] as string) },
      {
        name: 'strongroom',
        prepare: () => async (run) => redactor.redactText(texts[run % texts.length] as string),
      },
    ],
    { rounds, runs: Math.max(10, Math.round(500_000 / size)) },
  );
  return { title, results };
}

/** Keeps the engine from optimizing the loop away. */
const sink = { sum: 0 };

/** Reads every character: the lower bound of a search. */
function onePass(text: string): void {
  let sum = 0;
  for (let index = 0; index < text.length; index++) sum += text.charCodeAt(index);
  sink.sum ^= sum;
}
