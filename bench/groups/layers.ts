import { generateKey, wrapSession, type Layers } from '../../src/index.ts';
import type { Column, Group } from '../group.ts';
import { conversation, turnsOf, TURN } from '../items.ts';
import { compare, type Candidate } from '../rounds.ts';
import { fill, layersAlone, memorySession, ours } from '../stacks.ts';
import { wholeConversation } from './conversation.ts';

/** Turns of the history, and of a conversation. */
const TURNS = 100;

export const layersGroup: Group = {
  title: 'Each layer alone',
  note: `Over our store and over a MemorySession with ${TURNS} turns of items of 1 KB, in units of the bare session.`,
  async *measure({ rounds }) {
    const key = await generateKey();
    const place = ours('openSqlite()');
    let made = 0;
    const inner = {
      'openSqlite()': (layers: Layers) => {
        const session = place.session(`layers ${made++}`);
        return layers.length === 0 ? session : wrapSession(session, layers);
      },
      MemorySession: memorySession,
    };
    try {
      for (const [title, open] of Object.entries(inner)) {
        const all = [...layersAlone(key)].map(([name, layers]) => ({ name, layers, session: open(layers) }));
        for (const { session } of all) await fill(session, conversation(TURNS * TURN));
        const works: [title: string, runs: number, candidates: Candidate[]][] = [
          [
            'getItems()',
            20,
            all.map(({ name, session }) => ({ name, prepare: () => async () => session.getItems() })),
          ],
          [
            'addItems(4)',
            20,
            all.map(({ name, session }) => ({
              name,
              prepare: (runs) => {
                const turns = turnsOf(runs, made++ * 4_096);
                return async (run) => session.addItems(turns[run] ?? []);
              },
            })),
          ],
          [
            'whole conversation',
            1,
            all.map(({ name, layers }) => wholeConversation({ name, session: () => open(layers) }, TURNS)),
          ],
        ];
        const columns: Column[] = [];
        for (const [column, runs, candidates] of works) {
          columns.push({ title: column, results: await compare(candidates, { rounds, runs }) });
        }
        yield { title: `layers over ${title}`, unit: 'time', base: 'bare session', columns };
      }
    } finally {
      await place.close();
    }
  },
};
