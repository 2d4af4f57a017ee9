import { generateKey } from '../../src/index.ts';
import type { Column, Group } from '../group.ts';
import { conversation, TURN } from '../items.ts';
import { compare } from '../rounds.ts';
import { fill, sqlitePlaces } from '../stacks.ts';

export const readGroup: Group = {
  title: 'Reads on SQLite',
  note: 'getItems() of the whole history of items of 1 KB. Warm: the stack read it before. Cold: a new stack with a new keyring, which has its data key to unwrap.',
  async *measure({ rounds, quick }) {
    const places = sqlitePlaces(await generateKey());
    try {
      const warm: Column[] = [];
      const cold: Column[] = [];
      for (const turns of quick ? [10, 100] : [10, 100, 1_000]) {
        const id = `history of ${turns} turns`;
        for (const place of places) await fill(place.session(id), conversation(turns * TURN));
        const title = `${turns} turns`;
        warm.push({
          title,
          results: await compare(
            places.map((place) => {
              const session = place.session(id);
              return { name: place.name, prepare: () => async () => session.getItems() };
            }),
            { rounds, runs: Math.max(20, 5_000 / turns) },
          ),
        });
        cold.push({
          title,
          results: await compare(
            places.map((place) => ({
              name: place.name,
              prepare: (runs: number) => {
                const sessions = Array.from({ length: runs }, () => place.anew(id));
                return async (run: number) => sessions[run]?.getItems();
              },
            })),
            { rounds, runs: Math.max(5, 1_000 / turns) },
          ),
        });
      }
      const base = places[0].name;
      yield { title: 'warm getItems()', unit: 'time', base, columns: warm };
      yield { title: 'cold getItems()', unit: 'time', base, columns: cold };
    } finally {
      for (const place of places) await place.close();
    }
  },
};
