import type { Batch, StoreDriver } from './driver.ts';

/**
 * An open gathering: the next append of each expected session waits until the others were called, or cannot be any
 * more.
 */
export interface Gathering {
  /** The call for this session is over, whether it appended or not. */
  over(sessionId: string): void;
}

/**
 * Combines single appends of different sessions into one call to the database, so that bulk writes use the same
 * sessions and layers as others.
 */
export function createGathering(driver: Pick<StoreDriver, 'append' | 'appendMany'>): {
  readonly append: StoreDriver['append'];
  readonly expect: (sessionIds: readonly string[]) => Gathering;
} {
  interface Waiting {
    readonly batch: Batch;
    readonly resolve: () => void;
    readonly reject: (error: unknown) => void;
  }
  interface Open {
    readonly expected: Set<string>;
    readonly waiting: Map<string, Waiting>;
  }
  const gatherings = new Map<string, Open>();

  function flushIfComplete(open: Open): void {
    if (open.expected.size > 0 || open.waiting.size === 0) return;
    const all = [...open.waiting.values()];
    open.waiting.clear();
    driver.appendMany(all.map(({ batch }) => batch)).then(
      (errors) => {
        for (const [index, { resolve, reject }] of all.entries()) {
          const error = errors[index];
          if (error === undefined) resolve();
          else reject(error);
        }
      },
      (error: unknown) => {
        for (const { reject } of all) reject(error);
      },
    );
  }

  return {
    append(batch) {
      const { sessionId } = batch;
      const open = gatherings.get(sessionId);
      if (open === undefined) return driver.append(batch);
      gatherings.delete(sessionId);
      open.expected.delete(sessionId);
      return new Promise((resolve, reject) => {
        open.waiting.set(sessionId, { batch, resolve, reject });
        flushIfComplete(open);
      });
    },
    expect(sessionIds) {
      // A session that is expected by another gathering is written separately.
      const free = sessionIds.filter((id) => !gatherings.has(id));
      const open: Open = { expected: new Set(free), waiting: new Map() };
      for (const id of free) gatherings.set(id, open);
      return {
        over(sessionId) {
          if (gatherings.get(sessionId) !== open) return;
          gatherings.delete(sessionId);
          open.expected.delete(sessionId);
          flushIfComplete(open);
        },
      };
    },
  };
}

/** One session's share of `appendMany`. */
export interface AppendBatch<Item> {
  readonly id: string;
  readonly items: readonly Item[];
  readonly subject?: string;
}

/** `appendMany` over the sessions that `session` returns; a session that occurs twice gets its items together. */
export async function appendThrough<Item>(
  batches: readonly AppendBatch<Item>[],
  session: (id: string, options: { readonly subject?: string }) => { addItems(items: Item[]): Promise<void> },
  gather: ((sessionIds: readonly string[]) => Gathering) | undefined,
): Promise<void> {
  const merged = new Map<string, AppendBatch<Item>>();
  for (const batch of batches) {
    const before = merged.get(batch.id);
    merged.set(
      batch.id,
      before === undefined ? batch : { ...batch, items: [...before.items, ...batch.items] },
    );
  }
  const targets = [...merged.values()]
    .filter(({ items }) => items.length > 0)
    .map(({ id, items, subject }) => ({
      id,
      items,
      target: session(id, subject === undefined ? {} : { subject }),
    }));
  const gathering = gather?.(targets.map(({ id }) => id));
  const outcomes = await Promise.allSettled(
    targets.map(async ({ id, items, target }) => {
      try {
        await target.addItems([...items]);
      } finally {
        gathering?.over(id);
      }
    }),
  );
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
