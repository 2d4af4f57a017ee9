import { afterEach, describe, expect, test } from 'vitest';
import { setTimeSlice } from '../src/index.ts';
import {
  createMessages,
  createSlices,
  DEFAULT_TIME_SLICE,
  inSlices,
  mapInSlices,
  slices,
  type SliceHost,
  type Slices,
} from '../src/slices.ts';

/** An event loop that turns when it is told to, and a clock that goes on by what work is said to take. */
function handMade(
  budget: number,
  host: Pick<SliceHost, 'afterJobs'> = { afterJobs: (work) => queueMicrotask(() => process.nextTick(work)) },
): {
  readonly loop: Slices;
  readonly takes: (time: number) => void;
  readonly turn: () => Promise<void>;
  readonly time: () => number;
} {
  let time = 0;
  let later: (() => void)[] = [];
  const loop = createSlices({ ...host, now: () => time, later: (work) => void later.push(work) }, budget);
  return {
    loop,
    takes(milliseconds) {
      time += milliseconds;
    },
    time: () => time,
    async turn() {
      const works = later;
      later = [];
      for (const work of works) work();
      // What follows in microtasks belongs to the turn.
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe('the queue for the event loop', () => {
  test('lets a turn work for the budget, which starts again with the next turn', async () => {
    const { loop, takes, turn } = handMade(10);
    expect(loop.isOver()).toBe(false);
    takes(9);
    expect(loop.isOver()).toBe(false);
    takes(1);
    expect(loop.isOver()).toBe(true);
    await turn();
    expect(loop.isOver()).toBe(false);
  });

  test.each([
    [0, 300],
    [10, 30],
    [1_000, 1],
  ])(
    'with a budget of %i, resumes 300 waiters of a millisecond in %i turns, in the order of their calls',
    async (budget, expected) => {
      const { loop, takes, turn } = handMade(budget);
      const called: number[] = [];
      for (let each = 0; each < 300; each++) {
        void loop.next().then(() => {
          called.push(each);
          takes(1);
        });
      }
      let turns = 0;
      for (; called.length < 300; turns++) await turn();
      expect(called).toEqual(Array.from({ length: 300 }, (_, each) => each));
      expect(turns).toBe(expected);
    },
  );

  test('looks at the clock after all jobs of a waiter, so that a turn is longer than the budget by one waiter only', async () => {
    const { loop, takes, turn, time } = handMade(10);
    let called = 0;
    for (let each = 0; each < 50; each++) {
      void loop.next().then(async () => {
        called++;
        for (let job = 0; job < 7; job++) {
          await Promise.resolve();
          takes(1);
        }
      });
    }
    for (let turns = 1; turns <= 25; turns++) {
      const before = time();
      await turn();
      expect(called).toBe(turns * 2);
      expect(time() - before).toBe(14);
    }
  });

  test('resumes one waiter a turn where a runtime cannot run work after all jobs', async () => {
    const { loop, turn } = handMade(10, {});
    let called = 0;
    for (let each = 0; each < 5; each++) void loop.next().then(() => called++);
    for (let turns = 1; turns <= 5; turns++) {
      await turn();
      expect(called).toBe(turns);
    }
  });

  test('puts new work behind waiting work, also when a turn has time', async () => {
    const { loop, turn } = handMade(10);
    expect(loop.isCrowded()).toBe(false);
    const waiting = [loop.next(), loop.next()];
    expect(loop.isOver()).toBe(false);
    expect(loop.isCrowded()).toBe(true);
    await turn();
    await turn();
    await Promise.all(waiting);
    expect(loop.isCrowded()).toBe(false);
  });
});

describe('work in slices', () => {
  const list = Array.from({ length: 100 }, (_, index) => index);

  test('is done synchronously, without a promise, while the turn has time', () => {
    const { loop } = handMade(10);
    expect(mapInSlices(list, (each) => each * 2, 16, loop)).toEqual(list.map((each) => each * 2));
    function* work(): Generator<void, string> {
      for (const _ of list) yield;
      return 'done';
    }
    expect(inSlices(work(), loop)).toBe('done');
  });

  test('reads no clock for a list that is shorter than the check interval', () => {
    const loop = createSlices(
      {
        now: () => expect.unreachable('nobody asks for the time'),
        later: () => expect.unreachable('nobody waits'),
      },
      10,
    );
    expect(mapInSlices(list.slice(0, 16), (each) => each, 16, loop)).toHaveLength(16);
  });

  test.each([0, 10])('continues in later turns, each element once, with a budget of %i', async (budget) => {
    const { loop, takes, turn } = handMade(budget);
    const seen: number[] = [];
    const results: (readonly number[])[] = [];
    const mapped = mapInSlices(
      list,
      (each, index) => {
        seen.push(each);
        takes(3);
        return index;
      },
      1,
      loop,
    );
    expect(mapped).toBeInstanceOf(Promise);
    void (mapped as Promise<number[]>).then((all) => results.push(all));
    let turns = 0;
    for (; results.length === 0; turns++) {
      const before = seen.length;
      await turn();
      // Always one, and no more than fit.
      expect(seen.length - before).toBeLessThanOrEqual(budget === 0 ? 1 : 4);
    }
    expect(seen).toEqual(list);
    expect(results).toEqual([list]);
    expect(turns).toBeGreaterThanOrEqual(budget === 0 ? 99 : 24);
  });

  test('alternates with other work: short work ends before long work', async () => {
    const { loop, takes, turn } = handMade(10);
    const ended: string[] = [];
    const work = async (name: string, length: number): Promise<void> => {
      await mapInSlices(list.slice(0, length), () => takes(5), 1, loop);
      ended.push(name);
    };
    void work('long', 100);
    void work('short', 10);
    void work('shorter', 5);
    for (let turns = 0; ended.length < 3; turns++) await turn();
    expect(ended).toEqual(['shorter', 'short', 'long']);
  });

  test('rejects with the error of an element in a later turn, and stops', async () => {
    const { loop, takes, turn } = handMade(10);
    let seen = 0;
    const failing = mapInSlices(
      list,
      () => {
        takes(6);
        seen++;
        if (seen === 7) throw new Error('the seventh');
      },
      1,
      loop,
    ) as Promise<unknown>;
    const [outcome] = await Promise.all([
      failing.then(
        () => 'done',
        (error: unknown) => (error as Error).message,
      ),
      (async () => {
        for (let turns = 0; turns < 10; turns++) await turn();
      })(),
    ]);
    expect(outcome).toBe('the seventh');
    expect(seen).toBe(7);
  });
});

describe('runtimes without setImmediate', () => {
  test('run work in a later turn, in order', async () => {
    const later = createMessages();
    const done: number[] = [];
    await new Promise<void>((resolve) => {
      later(() => done.push(1));
      later(() => {
        done.push(2);
        later(() => resolve());
      });
      expect(done).toEqual([]);
    });
    expect(done).toEqual([1, 2]);
  });
});

describe('setTimeSlice', () => {
  afterEach(() => setTimeSlice(DEFAULT_TIME_SLICE));

  test('refuses a value that is not a time', () => {
    for (const time of [0, -1, NaN, Infinity, 'soon', undefined, {}]) {
      expect(() => setTimeSlice(time as never)).toThrow(
        expect.objectContaining({
          code: 'ERR_INVALID_OPTION',
          message: expect.stringContaining(
            'setTimeSlice: time must be a positive number of milliseconds or a duration',
          ) as string,
        }) as Error,
      );
    }
  });

  test('applies from the next reading of the clock on', () => {
    setTimeSlice('1h');
    expect(slices.isOver()).toBe(false);
    setTimeSlice(Number.MIN_VALUE);
    while (!slices.isOver());
    setTimeSlice('1h');
    expect(slices.isOver()).toBe(false);
  });
});
