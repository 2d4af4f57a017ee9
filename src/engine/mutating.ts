import type { Entry, HiddenEntry, SessionCall, SessionLayer } from '../layer.ts';
import type { Opened, Written } from './records.ts';
import type { Stack } from './stack.ts';

/** Notifies the layers of a mutation, before and after it. */
export async function mutating<T>(
  stack: Stack,
  call: SessionCall,
  work: (
    appended: (entries: readonly Written[]) => void,
    removed: (records: readonly Opened[]) => void,
  ) => Promise<T>,
): Promise<T> {
  const watchers: {
    readonly watcher: ReturnType<NonNullable<SessionLayer['mutation']>>;
    readonly keeps: boolean;
  }[] = [];
  for (const layer of stack.layers) {
    const watcher = layer.mutation?.(call);
    if (watcher !== undefined) watchers.push({ watcher, keeps: layer === stack.loading });
  }
  let appended: readonly Written[] | undefined;
  let removed: readonly (Entry | HiddenEntry)[] | undefined;
  try {
    return await work(
      (entries) => {
        appended = entries;
      },
      (records) => {
        removed = records.map(({ stored, bottom }) => bottom ?? { stored });
      },
    );
  } finally {
    for (const { watcher, keeps } of watchers) {
      watcher.done(keeps ? appended?.map(asKept) : appended, removed);
    }
  }
}

function asKept({ kept, header, stored }: Written): Entry {
  return { item: kept, header, stored };
}
