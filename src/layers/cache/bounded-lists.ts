import { LRUCache } from 'lru-cache';

/** A list with its size in items and bytes. */
export interface Sized {
  readonly items: number;
  readonly bytes: number;
}

/** Lists by key; the least recently used ones are evicted first. */
export interface BoundedLists<L extends Sized> {
  get(key: string): L | undefined;
  /**
   * Keeps the list instead of an earlier one, unless it alone is larger than a bound. It is a new object each time, and
   * its size must not change until it is deleted.
   */
  set(key: string, list: L): void;
  delete(key: string): void;
  /** Drops the least recently used lists for as long as they are over. */
  dropOver(isOver: (list: L) => boolean): void;
}

/** `lru-cache` bounds one sum; the second one is counted separately, so that both bounds are exact. */
export function createBoundedLists<L extends Sized>(
  maxItems: number = Number.MAX_SAFE_INTEGER,
  maxBytes: number = Number.MAX_SAFE_INTEGER,
): BoundedLists<L> {
  let bytes = 0;
  const lists = new LRUCache<string, L>({
    maxSize: maxItems,
    dispose: (list) => {
      bytes -= list.bytes;
    },
  });
  const tooManyBytes = (): boolean => bytes > maxBytes;
  return {
    get: (key) => lists.get(key),
    set(key, list) {
      if (list.items > maxItems || list.bytes > maxBytes) {
        lists.delete(key);
        return;
      }
      // It replaces an earlier list under the key, which costs less than to delete that first. An empty list counts as one item: the number of empty lists must be bounded, too.
      lists.set(key, list, { size: Math.max(1, list.items) });
      bytes += list.bytes;
      while (tooManyBytes()) lists.pop();
    },
    delete: (key) => void lists.delete(key),
    dropOver(isOver) {
      for (;;) {
        const [oldest] = lists.rkeys();
        const list = oldest === undefined ? undefined : lists.peek(oldest);
        if (oldest === undefined || list === undefined || !isOver(list)) return;
        lists.delete(oldest);
      }
    },
  };
}
