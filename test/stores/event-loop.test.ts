import type { AgentInputItem } from '@openai/agents';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_TIME_SLICE, slices } from '../../src/slices.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { temporaryFolder } from './folder.ts';

const file = temporaryFolder();

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

/** How often the event loop turned while `work` ran. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let counting = true;
  const count = (): void => {
    turns++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  await work();
  counting = false;
  return turns;
}

// No turn has time for more than one piece of work, so that what is counted does not depend on the machine.
beforeEach(() => slices.setBudget(0));
afterEach(() => slices.setBudget(DEFAULT_TIME_SLICE));

let files = 0;
const places = [
  ['in a file', () => openSqlite(file(`loop-${files++}.db`))],
  ['in memory', () => openSqlite(':memory:')],
] as const;

describe.each(places)('SQLite %s', (_, open) => {
  const sessionsOf = (store: Store<StoreSession>, count: number): StoreSession[] =>
    Array.from({ length: count }, (_, number) => store.session(`s${number}`));

  test('gives the event loop a turn for every call, when many sessions are used at once', async () => {
    await using store = open();
    const sessions = sessionsOf(store, 100);
    const turns = await turnsDuring(() =>
      Promise.all(
        sessions.map(async (session, number) => {
          await session.addItems([message(`first ${number}`)]);
          await session.addItems([message(`second ${number}`)]);
          expect(await session.getItems()).toEqual([message(`first ${number}`), message(`second ${number}`)]);
        }),
      ),
    );
    // The first turn is not counted.
    expect(turns).toBeGreaterThanOrEqual(299);
  });

  test('makes the calls of one session in their order, and those of all sessions in turn', async () => {
    await using store = open();
    const sessions = sessionsOf(store, 5);
    const ended: string[] = [];
    await Promise.all(
      [0, 1, 2].flatMap((call) =>
        sessions.map(async (session, number) => {
          await session.addItems([message(`${call}`)]);
          ended.push(`${call} of ${number}`);
        }),
      ),
    );
    const inTurn = [0, 1, 2].flatMap((call) => sessions.map((_, number) => `${call} of ${number}`));
    expect(ended).toEqual(inTurn);
    for (const session of sessions) {
      expect(await session.getItems()).toEqual(['0', '1', '2'].map(message));
    }
  });

  test('ends what was called before close(), and refuses what is called after it', async () => {
    const store = open();
    const sessions = sessionsOf(store, 20);
    const before = sessions.map((session) => session.addItems([message('before')]));
    const closing = store.close();
    await expect(sessions[0]?.addItems([message('after')])).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await Promise.all(before);
    await closing;
  });
});
