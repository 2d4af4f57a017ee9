import { expect, test } from 'vitest';
import { unusedPositions } from '../../src/stores/unused-positions.ts';

test('each position is taken once, the first of a key first', () => {
  const take = unusedPositions(['a', 'b', 'a', 'c']);
  expect(['a', 'c', 'a', 'a', 'x', 'b', 'b'].map(take)).toEqual([
    0,
    3,
    2,
    undefined,
    undefined,
    1,
    undefined,
  ]);
});

test('taking all positions checks each once, in any order', () => {
  const reads = (count: number): number => {
    let looked = 0;
    const keys = new Proxy(
      Array.from({ length: count }, (_, index) => `${index}`),
      {
        get(target, name, receiver): unknown {
          if (typeof name === 'string' && /^\d+$/.test(name)) looked++;
          return Reflect.get(target, name, receiver) as unknown;
        },
      },
    );
    const take = unusedPositions(keys);
    for (let index = count - 1; index >= 0; index--) expect(take(`${index}`)).toBe(index);
    return looked;
  };
  expect(reads(2_000)).toBeLessThanOrEqual(2 * reads(1_000));
});
