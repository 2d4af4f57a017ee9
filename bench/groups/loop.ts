import { generateKey } from '../../src/index.ts';
import type { Column, Group } from '../group.ts';
import { conversation, TURN } from '../items.ts';
import { against, type Result } from '../rounds.ts';
import { fill, sqlitePlaces, type Place } from '../stacks.ts';

/** Turns that each of many sessions had before. */
const HISTORY = 10;
const LONG = 10_000;

export const loopGroup: Group = {
  title: 'The event loop',
  note: `Many sessions with ${HISTORY} turns that all do one more at once, and one cold read of ${LONG.toLocaleString('en')} items: the longest time in which nothing else of the process ran, the processor time of it (which does not count what other processes of the machine take), and how long the whole takes.`,
  async *measure({ rounds, quick }) {
    const places = sqlitePlaces(await generateKey()).slice(0, 3);
    const names = places.map(({ name }) => name);
    const took: Column[] = [];
    const blocked: Column[] = [];
    const worked: Column[] = [];
    try {
      const many = quick ? [100] : [100, 500];
      for (const place of places) {
        for (let session = 0; session < Math.max(...many); session++) {
          await place.session(`one of many ${session}`).addItems(conversation(HISTORY * TURN, session * 40));
        }
        if (!quick) await fill(place.session('long'), conversation(LONG));
      }
      const works: [string, (place: Place) => Promise<unknown>][] = many.map((count) => [
        `${count} sessions`,
        async (place) => turnOfMany(place, count),
      ]);
      if (!quick) {
        works.push([
          `cold read of ${LONG.toLocaleString('en')}`,
          async (place) => place.anew('long').getItems(),
        ]);
      }
      for (const [title, work] of works) {
        const times: number[][] = places.map(() => []);
        const blocks: number[][] = places.map(() => []);
        const processor: number[][] = places.map(() => []);
        for (let round = -1; round < rounds; round++) {
          for (let turn = 0; turn < places.length; turn++) {
            const index = (turn + round + places.length) % places.length;
            globalThis.gc?.();
            const { time, longest, longestWork } = await blockDuring(async () =>
              work(places[index] as Place),
            );
            if (round < 0) continue;
            times[index]?.push(time);
            blocks[index]?.push(longest);
            processor[index]?.push(longestWork);
          }
        }
        took.push({ title, results: results(places, times) });
        blocked.push({ title, results: results(places, blocks) });
        worked.push({ title, results: results(places, processor) });
      }
    } finally {
      for (const place of places) await place.close();
    }
    const base = names[0] as string;
    yield { title: 'longest block of the event loop', unit: 'time', base, columns: blocked };
    yield { title: 'longest work in one turn of it', unit: 'time', base, columns: worked };
    yield { title: 'the whole', unit: 'time', base, columns: took };
  },
};

function results(places: readonly Place[], samples: readonly number[][]): Result[] {
  return against(places, samples, 0);
}

let done = 0;

async function turnOfMany(place: Place, count: number): Promise<void> {
  const items = conversation(TURN, 1_000_000 + done++ * TURN);
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const session = place.session(`one of many ${index}`);
      await session.getItems();
      await session.addItems(items);
    }),
  );
}

/** Microseconds. */
interface Block {
  readonly time: number;
  /** The longest in which no turn of the event loop began. */
  readonly longest: number;
  /** The most processor time of this thread in one turn. */
  readonly longestWork: number;
}

async function blockDuring(work: () => Promise<unknown>): Promise<Block> {
  let longest = 0;
  let longestWork = 0;
  let running = true;
  await nextTurn();
  let last = performance.now();
  let lastWork = worked();
  const look = (): void => {
    const now = performance.now();
    const nowWork = worked();
    longest = Math.max(longest, now - last);
    longestWork = Math.max(longestWork, nowWork - lastWork);
    last = now;
    lastWork = nowWork;
    if (running) setImmediate(look);
  };
  setImmediate(look);
  const start = performance.now();
  await work();
  const time = performance.now() - start;
  running = false;
  await nextTurn();
  return { time: time * 1_000, longest: longest * 1_000, longestWork };
}

/** Processor time of this thread in microseconds; of the process where Node.js does not report it. */
function worked(): number {
  const { user, system } = process.threadCpuUsage?.() ?? process.cpuUsage();
  return user + system;
}

async function nextTurn(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
