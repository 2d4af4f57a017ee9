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

/**
 * At most `max` entries, those used last. It allocates memory for its entries only: `lru-cache` with `max`
 * allocates for all of them at once, 16 KiB for each thousand, in every `encrypt()` layer.
 *
 * @param removed Called for every entry that is removed.
 */
export function boundedMap<V>(max: number, removed: (value: V) => void = () => undefined): BoundedMap<V> {
  // A Map keeps the order of insertion: the entry that was used longest ago comes first.
  const entries = new Map<string, V>();
  let newest: string | undefined;
  function remove(key: string): void {
    const value = entries.get(key);
    if (value === undefined) return;
    entries.delete(key);
    if (key === newest) newest = undefined;
    removed(value);
  }
  return {
    get(key) {
      const value = entries.get(key);
      if (value === undefined || key === newest) return value;
      entries.delete(key);
      entries.set(key, value);
      newest = key;
      return value;
    },
    set(key, value) {
      if (entries.get(key) === value) entries.delete(key);
      else remove(key);
      entries.set(key, value);
      newest = key;
      if (entries.size > max) remove(entries.keys().next().value as string);
    },
    delete: remove,
    deleteWhere(matches) {
      for (const [key, value] of entries) if (matches(value)) remove(key);
    },
    get size() {
      return entries.size;
    },
  };
}
