import { getOrMake } from './get-or-make.ts';

/** Mutations run one after the other in the order of the calls; a read waits for the mutations called before it. */
export interface Queue {
  /** @param work An async function: nothing is thrown at once. It starts at once when nobody is waited for. */
  mutate<T>(work: () => Promise<T>): Promise<T>;
  /** At once, and without a promise if `work` makes none, when nobody is waited for. */
  read<R>(work: () => R): R | Promise<Awaited<R>>;
}

export function createQueue(): Queue {
  /** Fulfilled when the last mutation is over; absent when all are. */
  let last: Promise<void> | undefined;
  return {
    mutate(work) {
      const mine = last === undefined ? work() : last.then(work);
      const over = (): void => {
        if (last === mineOver) last = undefined;
      };
      // Without its result, which can be an item.
      const mineOver: Promise<void> = mine.then(over, over);
      last = mineOver;
      return mine;
    },
    read: <R>(work: () => R) => (last === undefined ? work() : (last.then(work) as Promise<Awaited<R>>)),
  };
}

/**
 * A queue for each caller of a session that routes by the run context, so that no tenant waits for another. Runs
 * with one context object of the application are one caller; calls without a context share a queue.
 */
export function createQueues(
  routes: boolean,
): (runContext: { readonly context: unknown } | undefined) => Queue {
  const shared = createQueue();
  if (!routes) return () => shared;
  const queues = new WeakMap<object, Queue>();
  return (runContext) => {
    if (runContext === undefined) return shared;
    const { context } = runContext;
    const caller = typeof context === 'object' && context !== null ? context : runContext;
    return getOrMake(queues, caller, createQueue);
  };
}
