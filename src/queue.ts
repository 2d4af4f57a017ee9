/** Mutations run one after the other in the order of the calls; a read waits for the mutations called before it. */
export interface Queue {
  mutate<T>(work: () => Promise<T>): Promise<T>;
  read<T>(work: () => Promise<T>): Promise<T>;
}

export function createQueue(): Queue {
  let last: Promise<unknown> = Promise.resolve();
  return {
    async mutate(work) {
      const mine = last.then(work);
      // Without its result, which can be an item.
      last = mine.then(
        () => undefined,
        () => undefined,
      );
      return await mine;
    },
    read: async (work) => await last.then(work),
  };
}

/**
 * A queue for each caller of a session that routes by the run context, so that nobody waits for another tenant. Runs
 * with one context object of the application are one caller; calls without a context share a queue.
 */
export function createQueues(
  routes: boolean,
): (runContext: { readonly context: unknown } | undefined) => Queue {
  const shared = createQueue();
  const queues = new WeakMap<object, Queue>();
  return (runContext) => {
    if (!routes || runContext === undefined) return shared;
    const { context } = runContext;
    const caller = typeof context === 'object' && context !== null ? context : runContext;
    let queue = queues.get(caller);
    if (queue === undefined) queues.set(caller, (queue = createQueue()));
    return queue;
  };
}
