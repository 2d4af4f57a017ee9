import type { Column, Group } from '../group.ts';
import { conversation, TURN } from '../items.ts';
import { PAIRS, type Pair } from '../pairs.ts';
import { compare } from '../rounds.ts';
import { fill } from '../stacks.ts';
import type { SessionByHand } from '../sessions-by-hand.ts';

/** Characters of text in an item: about 400 bytes of JSON, the mean of recorded conversations, and about 1 KB. */
const LENGTHS = [300, 900];

/** Short, because every length and history runs the same code, and an append makes the history longer. */
const WARM_UP = { calls: 500, milliseconds: 200 };

export const storesGroup: Group = {
  title: 'Bare stores',
  note: 'Each store without any layer against a session by hand over the same driver, with histories of different lengths.',
  async *measure({ rounds, quick, store }) {
    for (const [name, open] of Object.entries(PAIRS)) {
      if (store !== undefined && name !== store) continue;
      const pair = await open();
      try {
        for (const length of quick ? LENGTHS.slice(0, 1) : LENGTHS) {
          const [append, read, tail]: Column[][] = [[], [], []];
          for (const count of quick ? [10, 100] : [10, 100, 1_000, 10_000]) {
            const sessions = await filled(pair, count, length);
            const turn = conversation(TURN, count, length);
            const measure = async (
              runs: number,
              work: (session: SessionByHand) => Promise<unknown>,
            ): Promise<Column> => ({
              title: count.toLocaleString('en'),
              results: await compare(
                sessions.map(({ name, session }) => ({ name, prepare: () => () => work(session) })),
                { rounds, runs, warmUp: WARM_UP },
              ),
            });
            read?.push(
              await measure(Math.max(5, Math.round(2_000 / count)), async (session) => session.getItems()),
            );
            tail?.push(await measure(100, async (session) => session.getItems(20)));
            append?.push(await measure(100, async (session) => session.addItems(turn)));
          }
          for (const [work, columns = []] of [
            [`addItems(${TURN})`, append],
            ['getItems()', read],
            ['getItems(20)', tail],
          ] as const) {
            yield { title: `${name}, texts of ${length}, ${work}`, unit: 'time', base: 'by hand', columns };
          }
        }
      } finally {
        await pair.close();
      }
    }
  },
};

async function filled(
  pair: Pair,
  count: number,
  length: number,
): Promise<{ name: string; session: SessionByHand }[]> {
  const id = `history of ${count} and ${length}`;
  const sessions = [
    { name: 'by hand', session: pair.byHand(id) },
    { name: 'our store', session: pair.ours(id) },
  ];
  for (const { session } of sessions) await fill(session, conversation(count, 0, length));
  return sessions;
}
