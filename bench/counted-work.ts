import { countWork, type Counts } from './counts.ts';
import { generateKey, setTimeSlice } from '../src/index.ts';
import { createRedactor } from '../src/redaction/index.ts';
import { conversation, prose, turnsOf, TURN } from './items.ts';
import { fill, fullStack, ours, type Place } from './stacks.ts';

const TURNS = 10;

type Work = (place: Place) => Promise<() => Promise<unknown>>;

let made = 0;
const newId = (): string => `counted ${made++}`;

/** A session with some turns, already read once. */
async function filled(place: Place): Promise<ReturnType<Place['session']>> {
  const session = place.session(newId());
  await fill(session, conversation(TURNS * TURN));
  await session.getItems();
  return session;
}

/** The calls of which the work is counted, on SQLite with the full stack. */
const WORKS: Readonly<Record<string, Work>> = {
  'first addItems(4) of a new session': async (place) => {
    const session = place.session(newId());
    const items = conversation(TURN);
    return async () => session.addItems(items);
  },
  'addItems(4) after 10 turns': async (place) => {
    const session = await filled(place);
    const items = conversation(TURN, TURNS * TURN);
    return async () => session.addItems(items);
  },
  'warm getItems() of 10 turns': async (place) => {
    const session = await filled(place);
    return async () => session.getItems();
  },
  'getItems() of 10 turns after addItems(4) by another stack': async (place) => {
    const id = newId();
    const session = place.session(id);
    await fill(session, conversation((TURNS - 1) * TURN));
    await session.getItems();
    await place.anew(id).addItems(conversation(TURN, TURNS * TURN));
    return async () => session.getItems();
  },
  'cold getItems() of 10 turns': async (place) => {
    const id = newId();
    await fill(place.session(id), conversation(TURNS * TURN));
    const session = place.anew(id);
    return async () => session.getItems();
  },
  'a conversation of 10 turns': async (place) => {
    const session = place.session(newId());
    const turns = turnsOf(TURNS);
    return async () => {
      for (const items of turns) {
        await session.getItems();
        await session.addItems(items);
      }
    };
  },
  'redaction of 1 KB of prose': async () => {
    const redactor = createRedactor();
    const text = prose(made++, 1_024);
    return async () => redactor.redactText(text);
  },
  'redaction of 1 KB with one find': async () => {
    const redactor = createRedactor();
    const text = `${prose(made++, 1_000)} jane@example.com`;
    return async () => redactor.redactText(text);
  },
};

/** Counts of each work, by its name. */
export type CountTable = Readonly<Record<string, Counts>>;

/** @param change Wraps each place, to count a variant of it. */
export async function countAll(change: (place: Place) => Place = (place) => place): Promise<CountTable> {
  // A pause in the middle of the work makes promises of its own.
  setTimeSlice('1h');
  const key = await generateKey();
  const place = ours('full stack', () => fullStack(key));
  const table: Record<string, Counts> = {};
  try {
    for (const [name, work] of Object.entries(WORKS))
      table[name] = await countWork(() => work(change(place)));
  } finally {
    await place.close();
  }
  return table;
}
