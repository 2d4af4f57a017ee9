import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as inPackage from '../../../src/layers/cache/bounded-lists.ts';
import * as inBundles from '../../../src/layers/cache/bounded-lists-in-a-map.ts';

interface List {
  readonly name: number;
  readonly items: number;
  readonly bytes: number;
}

const keys = ['a', 'b', 'c', 'd', 'e'];
const key = fc.constantFrom(...keys);
const size = fc.integer({ min: 0, max: 6 });
type Lists = inPackage.BoundedLists<List>;
/** One call, and what it returns. */
const call = fc.oneof(
  key.map((of) => (lists: Lists) => lists.get(of)?.name),
  fc.tuple(key, size, size, fc.nat(99)).map(
    ([of, items, bytes, name]) =>
      (lists: Lists) =>
        lists.set(of, { name, items, bytes }),
  ),
  key.map((of) => (lists: Lists) => lists.delete(of)),
  size.map((most) => (lists: Lists) => lists.dropOver(({ items }) => items > most)),
);

describe.each([
  ['in the package', inPackage],
  ['in bundles for browsers', inBundles],
])('the lists of cache(), %s,', (_, { createBoundedLists }) => {
  const list = (items: number, bytes = 0): List => ({ name: items, items, bytes });
  const kept = (lists: Lists): string => keys.filter((each) => lists.get(each) !== undefined).join('');

  it('evict those that were used longest ago, until both bounds hold', () => {
    const lists = createBoundedLists<List>(10, 100);
    lists.set('a', list(4, 10));
    lists.set('b', list(4, 10));
    lists.get('a');
    lists.set('c', list(4, 10));
    expect(kept(lists)).toBe('ac');
    lists.set('d', list(1, 85));
    expect(kept(lists)).toBe('cd');
  });

  it('keep no list that alone is too long, and forget the earlier one of its key', () => {
    const lists = createBoundedLists<List>(3, 100);
    lists.set('a', list(3));
    lists.set('b', list(0, 101));
    expect(kept(lists)).toBe('a');
    lists.set('a', list(4));
    expect(kept(lists)).toBe('');
  });

  it('count an empty list as one item', () => {
    const lists = createBoundedLists<List>(2);
    for (const each of ['a', 'b', 'c']) lists.set(each, list(0));
    expect(kept(lists)).toBe('bc');
  });

  it('have no bound that was not given', () => {
    const lists = createBoundedLists<List>();
    for (const each of keys) lists.set(each, list(1_000_000_000, 1_000_000_000));
    expect(kept(lists)).toBe('abcde');
  });

  it('drop the oldest ones as long as they are over', () => {
    const lists = createBoundedLists<List>();
    lists.set('a', list(1));
    lists.set('b', list(5));
    lists.set('c', list(1));
    lists.dropOver(({ items }) => items === 1);
    expect(kept(lists)).toBe('bc');
  });
});

describe('the lists of cache() in bundles for browsers', () => {
  it('return after any calls what those of the package return', () => {
    fc.assert(
      fc.property(
        fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
        fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
        fc.array(call, { maxLength: 60 }),
        (maxItems, maxBytes, calls) => {
          const [mine, other] = [inBundles, inPackage].map(({ createBoundedLists }) =>
            createBoundedLists<List>(maxItems, maxBytes),
          ) as [Lists, Lists];
          for (const each of calls) expect(each(mine)).toBe(each(other));
          for (const each of keys) expect(mine.get(each)).toEqual(other.get(each));
        },
      ),
      { numRuns: 500 },
    );
  });
});
