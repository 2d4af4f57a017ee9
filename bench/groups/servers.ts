import { generateKey, wrapSession } from '../../src/index.ts';
import type { Column, Group } from '../group.ts';
import { conversation, TURN } from '../items.ts';
import { PAIRS } from '../pairs.ts';
import { compare, WARM_UP } from '../rounds.ts';
import { fullStack, fill } from '../stacks.ts';
import { wholeConversation } from './conversation.ts';

const TURNS = 100;
/** As many turns as other groups have calls: over a server they are longer. */
const WARM_TURNS = { calls: WARM_UP.calls / TURNS, milliseconds: 10 * WARM_UP.milliseconds };

export const serversGroup: Group = {
  title: 'Whole conversations on servers',
  note: `${TURNS} turns, each of which reads the whole history and adds four items of 1 KB; against a session by hand over the same driver. Cold: getItems() of those turns by a new stack.`,
  async *measure({ rounds, quick }) {
    const key = await generateKey();
    const turns = quick ? 10 : TURNS;
    for (const name of ['PostgreSQL', 'Redis']) {
      const pair = await (PAIRS[name] as (typeof PAIRS)[string])();
      try {
        const layers = fullStack(key);
        const places = [
          { name: 'by hand', session: pair.byHand, anew: pair.byHand },
          { name: 'our store, bare', session: pair.ours, anew: pair.ours },
          {
            name: 'full stack',
            session: (id: string) => wrapSession(pair.ours(id), layers),
            anew: (id: string) => wrapSession(pair.ours(id), fullStack(key)),
          },
        ];
        const whole = await compare(
          places.map((place) => wholeConversation(place, turns)),
          { rounds, runs: 5, warmUp: WARM_TURNS },
        );
        const columns: Column[] = [{ title: `${turns} turns`, results: whole }];
        for (const place of places)
          await fill(place.session(`cold ${place.name}`), conversation(turns * TURN));
        columns.push({
          title: 'cold getItems()',
          results: await compare(
            places.map((place) => ({
              name: place.name,
              prepare: (runs: number) => {
                const sessions = Array.from({ length: runs }, () => place.anew(`cold ${place.name}`));
                return async (run: number) => sessions[run]?.getItems();
              },
            })),
            { rounds, runs: 10 },
          ),
        });
        yield { title: name, unit: 'time', base: 'by hand', columns };
      } finally {
        await pair.close();
      }
    }
  },
};
