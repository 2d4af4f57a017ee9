import { parseDuration, type Duration } from './options.ts';

/** The host functions that {@link Slices} uses; tests pass their own. */
export interface SliceHost {
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Runs `work` in a later turn of the event loop, after pending work of the host. */
  readonly later: (work: () => void) => void;
  /**
   * Runs `work` in this turn, after all jobs (reactions of promises) and those that follow from them; absent where a
   * runtime has no such function.
   */
  readonly afterJobs?: (work: () => void) => void;
}

/**
 * Shares the event loop of a process. A turn of the loop begins with the first work of ours in it, and may take as
 * long as the budget. Later work waits in one queue for all sessions and stores. Every turn resumes the first
 * waiter, regardless of the budget, so that work always continues. When a waiter has done what it can do in this
 * turn, the next one is resumed if the turn still has time: many short calls share a turn, and no turn takes longer
 * than the budget and the last step of one of them.
 */
export interface Slices {
  /** Whether this turn has used its budget: work that can be interrupted then waits for {@link Slices.next}. */
  readonly isOver: () => boolean;
  /** The same for work that begins: also true while others wait, which are served first. */
  readonly isCrowded: () => boolean;
  /** Resolves in a turn of the loop with time for us. Turns are given in the order of the calls. */
  readonly next: () => Promise<void>;
  /** @param milliseconds The budget of a turn from now on. */
  readonly setBudget: (milliseconds: number) => void;
}

export function createSlices(host: SliceHost, milliseconds: number): Slices {
  let budget = milliseconds;
  /** When the work of this turn began, while there is any. */
  let began: number | undefined;
  const line: (() => void)[] = [];

  function begin(): number {
    began = host.now();
    host.later(turn);
    return began;
  }

  function turn(): void {
    began = undefined;
    if (line.length === 0) return;
    begin();
    resumeFirst();
  }

  function resumeFirst(): void {
    line.shift()?.();
    // Its work follows in jobs: only after them is it known how long it took.
    if (line.length > 0) host.afterJobs?.(resumeNext);
  }

  function resumeNext(): void {
    if (!isOver()) resumeFirst();
  }

  const isOver = (): boolean => {
    const now = began === undefined ? begin() : host.now();
    return now - (began as number) >= budget;
  };

  return {
    isOver,
    isCrowded: () => line.length > 0 || isOver(),
    next: () =>
      new Promise((resolve) => {
        if (began === undefined) begin();
        line.push(resolve);
      }),
    setBudget(next) {
      budget = next;
    },
  };
}

/**
 * Milliseconds that strongroom may take in one turn of the event loop, unless {@link setTimeSlice} sets another
 * time.
 */
export const DEFAULT_TIME_SLICE = 10;

/** One for the process, because it has one event loop. */
export const slices: Slices = createSlices(hostOfThisRuntime(), DEFAULT_TIME_SLICE);

/** Read once: fake timers of a test must not stop it. */
function hostOfThisRuntime(): SliceHost {
  const { performance, process, queueMicrotask, setImmediate } = globalThis as unknown as {
    performance: { now(): number };
    process?: { nextTick?: (work: () => void) => void };
    queueMicrotask: (work: () => void) => void;
    setImmediate?: (work: () => void) => unknown;
  };
  const now = performance.now.bind(performance);
  if (setImmediate === undefined) return { now, later: createMessages() };
  const nextTick = process?.nextTick?.bind(process);
  return {
    now,
    later: (work) => void setImmediate(work),
    // Jobs come before what one of them leaves for the next tick.
    ...(nextTick !== undefined && {
      afterJobs: (work: () => void) => queueMicrotask(() => nextTick(work)),
    }),
  };
}

/** For runtimes without `setImmediate`: their timers wait for at least four milliseconds, messages do not. */
export function createMessages(): (work: () => void) => void {
  // The core is built without the types of Node and of the DOM.
  const { MessageChannel, setTimeout } = globalThis as unknown as {
    MessageChannel?: new () => {
      readonly port1: { addEventListener(type: 'message', listener: () => void): void; start(): void };
      readonly port2: { postMessage(message: null): void };
    };
    readonly setTimeout: (work: () => void, milliseconds: number) => unknown;
  };
  if (MessageChannel === undefined) return (work) => void setTimeout(work, 0);
  const { port1, port2 } = new MessageChannel();
  let waiting: (() => void)[] = [];
  port1.addEventListener('message', () => {
    const works = waiting;
    waiting = [];
    for (const work of works) work();
  });
  port1.start();
  return (work) => {
    waiting.push(work);
    if (waiting.length === 1) port2.postMessage(null);
  };
}

/**
 * Sets how long strongroom works in one turn of the event loop before it yields: long reads, purges, archives,
 * redaction and sealing of many items, and many sessions at once on SQLite are done in slices of this time. It
 * applies to the whole process, because a process has one event loop. One item, and one statement of SQLite, is
 * never divided, however long it takes.
 *
 * Choose less for a service that has to answer fast, and more for a program that does nothing else: every slice
 * costs a turn of the loop, some microseconds where nothing else waits.
 *
 * @param time - Milliseconds above 0, or a text such as `'5ms'`. 10 milliseconds until it is called.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for any other value.
 *
 * @example
 * ```ts
 * import { setTimeSlice } from 'strongroom';
 *
 * setTimeSlice('5ms');
 * ```
 */
export function setTimeSlice(time: Duration): void {
  slices.setBudget(parseDuration('setTimeSlice', 'time', time));
}

/**
 * Runs the steps of `work` one after the other, at once while the turn has time, so that short work ends in the same
 * step of the program; else the rest follows in later turns.
 *
 * @param work Can be interrupted at every `yield`.
 */
export function inSlices<T>(work: Generator<void, T>, loop: Slices = slices): T | Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (loop.isOver()) return continued(work, loop);
  }
}

async function continued<T>(work: Generator<void, T>, loop: Slices): Promise<T> {
  for (;;) {
    await loop.next();
    do {
      const step = work.next();
      if (step.done === true) return step.value;
    } while (!loop.isOver());
  }
}

/**
 * Like `list.map(map)`. For a list that fits into the turn the result is synchronous, without a promise.
 *
 * @param every After how many elements the clock is read: 1 where one element takes microseconds.
 */
export function mapInSlices<T, U>(
  list: readonly T[],
  map: (element: T, index: number) => U,
  every: number = 16,
  loop: Slices = slices,
): U[] | Promise<U[]> {
  // Each element is replaced by its result: a list that grows is copied several times.
  const result: unknown[] = [...list];
  let done = 0;
  const more = (): boolean => {
    const end = Math.min(done + every, result.length);
    for (; done < end; done++) result[done] = map(result[done] as T, done);
    return done < result.length;
  };
  while (more()) if (loop.isOver()) return mapLater(result as U[], more, loop);
  return result as U[];
}

async function mapLater<U>(result: U[], more: () => boolean, loop: Slices): Promise<U[]> {
  for (;;) {
    await loop.next();
    do if (!more()) return result;
    while (!loop.isOver());
  }
}
