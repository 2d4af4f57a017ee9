import type { BoundedLists, Sized } from './bounded-lists.ts';

/**
 * The lists of `bounded-lists.ts` without `lru-cache`, for bundles for browsers, where that package was a tenth of
 * encrypt(), expire() and cache() together. See decision 83.
 */
export function createBoundedLists<L extends Sized>(
  maxItems: number = Number.MAX_SAFE_INTEGER,
  maxBytes: number = Number.MAX_SAFE_INTEGER,
): BoundedLists<L> {
  // A Map keeps the order of insertion: the list that was used longest ago comes first.
  const lists = new Map<string, L>();
  let items = 0;
  let bytes = 0;
  // An empty list counts as one item: the number of empty lists must be bounded, too.
  const itemsOf = (list: L): number => Math.max(1, list.items);
  function remove(key: string): L | undefined {
    const list = lists.get(key);
    if (list === undefined) return undefined;
    lists.delete(key);
    items -= itemsOf(list);
    bytes -= list.bytes;
    return list;
  }
  function add(key: string, list: L): void {
    lists.set(key, list);
    items += itemsOf(list);
    bytes += list.bytes;
  }
  return {
    get(key) {
      const list = remove(key);
      if (list !== undefined) add(key, list);
      return list;
    },
    set(key, list) {
      remove(key);
      if (itemsOf(list) > maxItems || list.bytes > maxBytes) return;
      add(key, list);
      for (const oldest of lists.keys()) {
        if (items <= maxItems && bytes <= maxBytes) return;
        remove(oldest);
      }
    },
    delete: (key) => void remove(key),
    dropOver(isOver) {
      for (const [oldest, list] of lists) {
        if (!isOver(list)) return;
        remove(oldest);
      }
    },
  };
}
