import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { boundedMap } from '../src/bounded-map.ts';

/** A map of at most two entries by the simplest means: a list with the entry that was used last at the end. */
function plainMap(removed: string[]) {
  let keys: string[] = [];
  const drop = (key: string | undefined): void => {
    if (key === undefined || !keys.includes(key)) return;
    keys = keys.filter((each) => each !== key);
    removed.push(key);
  };
  const use = (key: string): void => void (keys = [...keys.filter((each) => each !== key), key]);
  return {
    has: (key: string): boolean => keys.includes(key),
    use: (key: string): void => (keys.includes(key) ? use(key) : undefined),
    set(key: string): void {
      drop(key);
      use(key);
      if (keys.length > 2) drop(keys[0]);
    },
    delete: drop,
  };
}

it('keeps the entries that were used last, in any order of calls', () => {
  const call = fc.record({
    what: fc.constantFrom('get', 'set', 'delete'),
    key: fc.constantFrom('a', 'b', 'c', 'd'),
  });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 40 }), (calls) => {
      const [removed, expected]: [string[], string[]] = [[], []];
      const map = boundedMap<{ readonly key: string }>(2, ({ key }) => removed.push(key));
      const plain = plainMap(expected);
      for (const { what, key } of calls) {
        if (what === 'set') {
          map.set(key, { key });
          plain.set(key);
        } else if (what === 'delete') {
          map.delete(key);
          plain.delete(key);
        } else {
          map.get(key);
          plain.use(key);
        }
        expect(removed).toEqual(expected);
      }
      for (const key of ['a', 'b', 'c', 'd']) expect(map.get(key) !== undefined).toBe(plain.has(key));
    }),
  );
});

it('removes those that were used longest ago, as long as they match', () => {
  const removed: number[] = [];
  const map = boundedMap<number, number>(Infinity, (value) => removed.push(value));
  for (const value of [1, 2, 3, 4]) map.set(value, value);
  map.get(1);
  map.deleteWhile((oldest) => oldest < 4);
  expect(removed).toEqual([2, 3]);
  map.deleteWhile(() => true);
  expect(removed).toEqual([2, 3, 4, 1]);
  expect(map.size).toBe(0);
  map.set(5, 5);
  expect(map.get(5)).toBe(5);
});
