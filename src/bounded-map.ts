/** A map that keeps the entries that were used last. */
export interface BoundedMap<V, K = string> {
  /** Marks the entry as used. */
  readonly get: (key: K) => V | undefined;
  readonly set: (key: K, value: V) => void;
  readonly delete: (key: K) => void;
  /** Removes all entries that match. */
  readonly deleteWhere: (matches: (value: V) => boolean) => void;
  /** Removes the entries that were used longest ago, as long as they match. */
  readonly deleteWhile: (matches: (oldest: V) => boolean) => void;
  readonly size: number;
}

/** An entry, between those that were used just before and just after it. */
interface Entry<V, K> {
  readonly key: K;
  readonly value: V;
  older: Entry<V, K>;
  newer: Entry<V, K>;
}

/**
 * At most `max` entries, those used last. It allocates memory for its entries only: `lru-cache` with `max`
 * allocates for all of them at once, 16 KiB for each thousand, in every `encrypt()` layer.
 *
 * @param removed Called for every entry that is removed.
 */
export function boundedMap<V, K = string>(
  max: number,
  removed: (value: V) => void = () => undefined,
): BoundedMap<V, K> {
  const entries = new Map<K, Entry<V, K>>();
  // The entries in the order of their use, in a ring: both of its ends meet here. A Map keeps an order, too, but it
  // steps over all deleted entries to find its first one, thousands of them in a map that is full.
  const ends = {} as Entry<V, K>;
  ends.older = ends;
  ends.newer = ends;

  function unlink({ older, newer }: Entry<V, K>): void {
    older.newer = newer;
    newer.older = older;
  }
  function use(entry: Entry<V, K>): void {
    entry.older = ends.older;
    entry.newer = ends;
    ends.older.newer = entry;
    ends.older = entry;
  }
  function remove(entry: Entry<V, K> | undefined): void {
    if (entry === undefined) return;
    entries.delete(entry.key);
    unlink(entry);
    removed(entry.value);
  }
  function get(key: K): Entry<V, K> | undefined {
    const entry = entries.get(key);
    if (entry !== undefined && entry !== ends.older) {
      unlink(entry);
      use(entry);
    }
    return entry;
  }
  return {
    get: (key) => get(key)?.value,
    set(key, value) {
      const known = get(key);
      if (known?.value === value) return;
      remove(known);
      const entry = { key, value, older: ends, newer: ends };
      entries.set(key, entry);
      use(entry);
      if (entries.size > max) remove(ends.newer);
    },
    delete: (key) => remove(entries.get(key)),
    deleteWhere(matches) {
      for (const entry of entries.values()) if (matches(entry.value)) remove(entry);
    },
    deleteWhile(matches) {
      while (ends.newer !== ends && matches(ends.newer.value)) remove(ends.newer);
    },
    get size() {
      return entries.size;
    },
  };
}
