import { generateKey } from '../../src/index.ts';
import type { Group } from '../group.ts';
import { conversation, turnsOf, TURN } from '../items.ts';
import { compare } from '../rounds.ts';
import { fill, sqlitePlaces } from '../stacks.ts';

const HISTORY = 100;
/** Appends of one measurement. */
const RUNS = 100;

export const appendGroup: Group = {
  title: 'Appends on SQLite',
  note: `addItems() of four items of 1 KB: to a session with ${HISTORY} turns that was read before, and to a session that does not exist yet.`,
  async *measure({ rounds }) {
    const places = sqlitePlaces(await generateKey());
    let made = 0;
    try {
      const append = await compare(
        places.map((place) => ({
          name: place.name,
          prepare: async (runs: number) => {
            const turns = turnsOf(runs, made * 4_096);
            const session = place.session(`history ${made++}`);
            await fill(session, conversation(HISTORY * TURN));
            await session.getItems();
            return async (run: number) => session.addItems(turns[run] ?? []);
          },
        })),
        { rounds, runs: RUNS },
        1,
      );
      const first = await compare(
        places.map((place) => ({
          name: place.name,
          prepare: (runs: number) => {
            const turns = turnsOf(runs, made++ * 4_096);
            const fresh = turns.map((_, run) => place.session(`new ${made} ${run}`));
            return async (run: number) => fresh[run]?.addItems(turns[run] ?? []);
          },
        })),
        { rounds, runs: RUNS },
        1,
      );
      yield {
        title: 'addItems(4)',
        unit: 'time',
        base: places[1].name,
        columns: [
          { title: `after ${HISTORY} turns`, results: append },
          { title: 'first of a new session', results: first },
        ],
      };
    } finally {
      for (const place of places) await place.close();
    }
  },
};
