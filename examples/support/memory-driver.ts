import type { KeyValue, KeyValueDriver } from 'strongroom/stores';

// #region driver
/**
 * A store of your own in its smallest form: a table of keys and values in memory. Stores over one `table` share their
 * data, as processes share a database. It scans all keys for each list, where a database uses its index.
 */
export function memoryDriver(table: Map<string, Uint8Array> = new Map()): KeyValueDriver {
  return {
    name: 'memoryDriver',

    // One value or `undefined` for each key, in one consistent snapshot.
    async get(keys) {
      return keys.map((key) => table.get(key));
    },

    // `from` is in the range, `to` is not. Keys are ASCII, so that `<` and `sort()` compare them byte by byte.
    async list({ from, to, limit, reverse }) {
      const keys = [...table.keys()].filter((key) => key >= from && key < to).sort();
      if (reverse) keys.reverse();
      return keys.slice(0, limit).map((key): KeyValue => [key, table.get(key) as Uint8Array]);
    },

    // Nothing may happen between the comparison and the writes: here there is no `await`; a database needs a
    // transaction.
    async commit({ expect, put, remove }) {
      if (!expect.every(([key, value]) => isSame(table.get(key), value))) return false;
      for (const [key, value] of put) table.set(key, value);
      for (const key of remove) table.delete(key);
      return true;
    },
  };
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
// #endregion
