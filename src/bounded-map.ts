/** A map that keeps the entries that were used last. */
export interface BoundedMap<V> {
  /** Marks the entry as used. */
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  delete(key: string): void;
  /** Removes all entries that match. */
  deleteWhere(matches: (value: V) => boolean): void;
  readonly size: number;
}

/** An entry, between those that were used just before and just after it. */
interface Entry<V> {
  readonly key: string;
  readonly value: V;
  older: Entry<V>;
  newer: Entry<V>;
}

/**
 * At most `max` entries, those used last. It allocates memory for its entries only: `lru-cache` with `max`
 * allocates for all of them at once, 16 KiB for each thousand, in every `encrypt()` layer.
 *
 * @param removed Called for every entry that is removed.
 */
export function boundedMap<V>(max: number, removed: (value: V) => void = () => undefined): BoundedMap<V> {
  const entries = new Map<string, Entry<V>>();
  // The entries in the order of their use, in a ring: both of its ends meet here. A Map keeps an order, too, but it
  // steps over all deleted entries to find its first one, thousands of them in a map that is full.
  const ends = {} as Entry<V>;
  ends.older = ends;
  ends.newer = ends;

  function unlink({ older, newer }: Entry<V>): void {
    older.newer = newer;
    newer.older = older;
  }
  function use(entry: Entry<V>): void {
    entry.older = ends.older;
    entry.newer = ends;
    ends.older.newer = entry;
    ends.older = entry;
  }
  function remove(entry: Entry<V> | undefined): void {
    if (entry === undefined) return;
    entries.delete(entry.key);
    unlink(entry);
    removed(entry.value);
  }
  function get(key: string): Entry<V> | undefined {
    const entry = entries.get(key);
    if (entry === undefined || entry === ends.older) return entry;
    unlink(entry);
    use(entry);
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
    get size() {
      return entries.size;
    },
  };
}
