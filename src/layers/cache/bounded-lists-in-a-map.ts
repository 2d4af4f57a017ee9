import { boundedMap } from '../../bounded-map.ts';
import type { BoundedLists, Sized } from './bounded-lists.ts';

/**
 * The lists of `bounded-lists.ts` without `lru-cache`, for bundles for browsers, where that package was a tenth of
 * encrypt(), expire() and cache() together. See decision 83.
 */
export function createBoundedLists<L extends Sized>(
  maxItems: number = Number.MAX_SAFE_INTEGER,
  maxBytes: number = Number.MAX_SAFE_INTEGER,
): BoundedLists<L> {
  let items = 0;
  let bytes = 0;
  // An empty list counts as one item: the number of empty lists must be bounded, too.
  const itemsOf = (list: L): number => Math.max(1, list.items);
  const lists = boundedMap<L>(Infinity, (list) => {
    items -= itemsOf(list);
    bytes -= list.bytes;
  });
  return {
    get: lists.get,
    set(key, list) {
      lists.delete(key);
      if (itemsOf(list) > maxItems || list.bytes > maxBytes) return;
      items += itemsOf(list);
      bytes += list.bytes;
      lists.set(key, list);
      lists.deleteWhile(() => items > maxItems || bytes > maxBytes);
    },
    delete: lists.delete,
    dropOver: lists.deleteWhile,
  };
}
