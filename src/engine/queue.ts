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
      last = mine.catch(() => undefined);
      return await mine;
    },
    read: async (work) => await last.then(work),
  };
}
