import { generateKey } from '../../src/index.ts';
import type { Column, Group } from '../group.ts';
import { turnsOf } from '../items.ts';
import { compare, type Candidate } from '../rounds.ts';
import { sqlitePlaces, type Place } from '../stacks.ts';

export const conversationGroup: Group = {
  title: 'Whole conversations on SQLite',
  note: 'Each turn reads the whole history and adds four items of 1 KB, in a new session of a process that has had others before.',
  async *measure({ rounds, quick }) {
    const places = sqlitePlaces(await generateKey());
    try {
      const columns: Column[] = [];
      for (const turns of quick ? [10, 100] : [10, 100, 1_000]) {
        const results = await compare(
          places.map((place) => wholeConversation(place, turns)),
          // The longest take minutes, and do what the shorter ones have done before.
          { rounds, runs: Math.max(1, 400 / turns), ...(turns === 1_000 ? { warmUp: false } : {}) },
        );
        columns.push({ title: `${turns} turns`, results });
      }
      yield { title: 'whole conversation', unit: 'time', base: places[0].name, columns };
    } finally {
      for (const place of places) await place.close();
    }
  },
};

let sessions = 0;

/** A conversation in a new session. */
export function wholeConversation(place: Pick<Place, 'name' | 'session'>, turns: number): Candidate {
  return {
    name: place.name,
    prepare: (runs: number) => {
      const conversations = Array.from({ length: runs }, () => turnsOf(turns, sessions++ * 4_096));
      return async (run: number) => {
        const session = place.session(`conversation ${place.name} ${sessions} ${run}`);
        for (const items of conversations[run] ?? []) {
          await session.getItems();
          await session.addItems(items);
        }
      };
    },
  };
}
