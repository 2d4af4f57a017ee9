import { Agent, Runner, type Session } from '@openai/agents';
import { assistantMessage, ScriptedModel } from '@openai/agents/testing';
import { generateKey } from '../../src/index.ts';
import type { Group } from '../group.ts';
import { conversation, prose } from '../items.ts';
import { compare } from '../rounds.ts';
import { fill, memorySession, sqlitePlaces, type Place } from '../stacks.ts';

const HISTORY = 400;

export const runGroup: Group = {
  title: 'Runs of an agent',
  note: `run() of the SDK with a model that answers at once, over a history of ${HISTORY} items of 1 KB, to which each run adds a question and an answer.`,
  async *measure({ rounds }) {
    const places = sqlitePlaces(await generateKey());
    const memory: Pick<Place, 'name' | 'session'> = {
      name: 'MemorySession',
      session: () => memorySession([]),
    };
    const runner = new Runner({ tracingDisabled: true });
    let asked = 0;
    try {
      const sessions = [...places, memory].map((place) => ({
        name: place.name,
        session: asSession(place.session('history')),
      }));
      for (const { session } of sessions) await fill(session, conversation(HISTORY));
      const results = await compare(
        sessions.map(({ name, session }) => ({
          name,
          prepare: () => async () => {
            const model = new ScriptedModel([[assistantMessage(prose(asked++, 900))]]);
            await runner.run(new Agent({ name: 'Support', model }), prose(asked++, 900), { session });
          },
        })),
        { rounds, runs: 10 },
      );
      yield {
        title: 'run()',
        unit: 'time',
        base: 'by hand',
        columns: [{ title: `${HISTORY} items`, results }],
      };
    } finally {
      for (const place of places) await place.close();
    }
  },
};

/** Adds the members that the runner needs besides reading and adding. */
function asSession(session: Pick<Session, 'getItems' | 'addItems'>): Session {
  if ('getSessionId' in session) return session as Session;
  return {
    getSessionId: async () => 'history',
    getItems: session.getItems,
    addItems: session.addItems,
    popItem: async () => undefined,
    clearSession: async () => undefined,
  };
}
