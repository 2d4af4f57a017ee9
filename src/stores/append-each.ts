import type { Batch } from './driver.ts';

/** Makes each append for itself; what they reject with comes back in their order. */
export function appendEach(
  batches: readonly Batch[],
  append: (batch: Batch) => Promise<void>,
): Promise<(Error | undefined)[]> {
  return Promise.all(
    batches.map((batch) =>
      append(batch).then(
        () => undefined,
        (error: unknown) => error as Error,
      ),
    ),
  );
}
