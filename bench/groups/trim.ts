import type { AgentInputItem } from '@openai/agents';
import { encrypt, generateKey, keyring, trimHistory } from '../../src/index.ts';
import type { Group } from '../group.ts';
import { conversation } from '../items.ts';
import { compare, type Candidate } from '../rounds.ts';
import { byHand, fill, ours } from '../stacks.ts';

export const trimGroup: Group = {
  title: 'Trimming',
  note: 'trimHistory() on a history of items of 1 KB, in units of reading it by hand from SQLite. A second turn counts only what it has not seen, if a cache hands out the items themselves (cache({ freeze: true })); with a session that returns new objects it is like the first.',
  async *measure({ rounds, quick }) {
    const count = quick ? 1_000 : 10_000;
    const keys = keyring({ current: await generateKey() });
    const places = [byHand(), ours('our store, bare'), ours('sealed', () => [encrypt({ keys })])] as const;
    try {
      for (const place of places) await fill(place.session('history'), conversation(count));
      const history = await places[0].session('history').getItems();
      const trim = trimHistory({ maxTokens: 8_000 });
      const turns = trimHistory({ maxTurns: 20 });
      const question: AgentInputItem[] = [{ role: 'user', content: 'and now?' }];
      const candidates: Candidate[] = [
        ...places.map((place) => {
          const session = place.session('history');
          return { name: `read ${place.name}`, prepare: () => async () => session.getItems() };
        }),
        {
          name: 'maxTokens, first turn',
          prepare: (runs) => {
            const copies = Array.from({ length: runs }, () => structuredClone(history));
            return (run) => trim(copies[run] as AgentInputItem[], question);
          },
        },
        {
          name: 'maxTokens, second turn, frozen items',
          prepare: () => {
            const items = structuredClone(history).map(freeze);
            void trim(items, question);
            items.push(...conversation(4, count).map(freeze));
            return () => trim(items, question);
          },
        },
        {
          name: 'maxTurns',
          prepare: () => {
            const items = structuredClone(history);
            return () => turns(items, question);
          },
        },
      ];
      const results = await compare(candidates, { rounds, runs: 5 });
      const title = `${count.toLocaleString('en')} items`;
      yield { title: 'trimming', unit: 'time', base: 'read by hand', columns: [{ title, results }] };
    } finally {
      for (const place of places) await place.close();
    }
  },
};

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze);
  return Object.freeze(value);
}
