import { describe, expect, test } from 'vitest';
import { after, bySession, contradiction, type Call, type Operation, type State } from './linear.ts';
import { linearHistory, randomFrom } from './linear-histories.ts';

/** Calls of one session: when each began and ended, and what it did. */
function calls(...list: readonly (readonly [number, number, Operation])[]): Call[] {
  return list.map(([began, ended, operation]) => ({ session: 's', began, ended, operation }));
}

const add = (...items: string[]): Operation => ({ kind: 'add', items });
const pop = (popped: string | null): Operation => ({ kind: 'pop', popped });
const read = (...items: string[]): Operation => ({ kind: 'read', items });

/** Tries every order: right beyond doubt, and too slow for more than a few calls. */
function hasOrder(open: readonly Call[], state: State = { items: [], applied: [] }): boolean {
  if (open.length === 0) return true;
  const limit = Math.min(...open.map(({ ended }) => ended));
  return open.some((call) => {
    const next = call.began <= limit ? after(state, call.operation) : undefined;
    return (
      next !== undefined &&
      hasOrder(
        open.filter((other) => other !== call),
        next,
      )
    );
  });
}

/** The history with a look of one call in the place of another call. Items go on to be written once. */
function spoiled(history: readonly Call[], random: () => number): Call[] {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const { operation } = pick(history.filter((call) => ['read', 'pop'].includes(call.operation.kind)));
  const at = pick(history);
  return history.map((call) => (call === at ? { ...call, operation } : call));
}

describe('the checker of linear histories', () => {
  test('agrees with an exhaustive search on small histories, valid and invalid ones', () => {
    let without = 0;
    for (let seed = 1; seed <= 600; seed++) {
      const random = randomFrom(seed);
      const history = linearHistory(3, 3, random);
      for (const some of [history, spoiled(history, random)]) {
        const expected = hasOrder(some);
        if (!expected) without++;
        expect(contradiction(some) === undefined, `seed ${seed}`).toBe(expected);
      }
    }
    expect(without).toBeGreaterThan(100);
  });

  test('finds the order of many concurrent calls', () => {
    for (let seed = 1; seed <= 40; seed++) {
      expect(contradiction(linearHistory(8, 60, randomFrom(seed))), `seed ${seed}`).toBeUndefined();
    }
  });

  test('accepts every possible order of concurrent calls', () => {
    const concurrent = [[0, 9, add('a')] as const, [1, 8, add('b')] as const];
    expect(contradiction(calls(...concurrent, [10, 11, read('a', 'b')]))).toBeUndefined();
    expect(contradiction(calls(...concurrent, [10, 11, read('b', 'a')]))).toBeUndefined();
    expect(contradiction(calls(...concurrent, [2, 3, pop('b')], [10, 11, read('a')]))).toBeUndefined();
    expect(
      contradiction(calls(...concurrent, [2, 3, read()], [4, 5, read('b')], [10, 11, read('b', 'a')])),
    ).toBeUndefined();
  });

  test('finds an item that was lost, duplicated, separated from its call, popped twice or moved', () => {
    const first = calls([0, 1, add('a', 'b')], [2, 3, add('c')]);
    const wrong: readonly Operation[] = [
      read('a', 'b'),
      read('a', 'b', 'c', 'c'),
      read('a', 'c', 'b'),
      read('c', 'a', 'b'),
      pop('b'),
      pop(null),
    ];
    for (const operation of wrong) {
      const last = { session: 's', began: 4, ended: 5, operation };
      expect(contradiction([...first, last])).toBeDefined();
    }
    const popped = calls([0, 1, add('a')], [2, 9, pop('a')], [3, 8, pop('a')]);
    expect(contradiction(popped)).toBeDefined();
  });

  test('finds a read of items that were not stored yet, or no longer', () => {
    const late = calls([0, 1, read('a')], [2, 3, add('a')]);
    expect(contradiction(late)).toBe(late[0]);
    const stale = calls([0, 1, add('a')], [2, 3, { kind: 'clear' }], [4, 5, read('a')]);
    expect(contradiction(stale)).toBeDefined();
    const turned = calls([0, 9, add('a')], [1, 2, read('a')], [3, 4, read()]);
    expect(contradiction(turned)).toBe(turned[2]);
  });

  test('knows transactions: once for an id, a conflict only on a mismatch, dropped by a clear', () => {
    const append = { kind: 'append', id: 'x', items: ['a'] } as const;
    expect(contradiction(calls([0, 1, append], [2, 3, append], [4, 5, read('a')]))).toBeUndefined();
    expect(
      contradiction(
        calls(
          [0, 1, add('z')],
          [2, 3, append],
          [4, 5, read('z', 'a')],
          [6, 7, { kind: 'clear' }],
          [8, 9, append],
          [10, 11, read('a')],
        ),
      ),
    ).toBeUndefined();
    const twice = calls([0, 1, append], [2, 3, append], [4, 5, read('a', 'a')]);
    expect(contradiction(twice)).toBeDefined();
    const replace = {
      kind: 'replace',
      id: 'y',
      expected: ['a'],
      items: ['b', 'c'],
      conflict: false,
    } as const;
    expect(contradiction(calls([0, 1, add('a')], [2, 3, replace], [4, 5, read('b', 'c')]))).toBeUndefined();
    const needless = calls([0, 1, add('a')], [2, 3, { ...replace, conflict: true }]);
    expect(contradiction(needless)).toBe(needless[1]);
    const ignored = calls([0, 1, add('z')], [2, 3, replace]);
    expect(contradiction(ignored)).toBe(ignored[1]);
    expect(
      contradiction(calls([0, 1, add('z')], [2, 3, { kind: 'compact', items: ['a'] }], [4, 5, replace])),
    ).toBeUndefined();
  });

  test('sorts calls by session and time', () => {
    const list = calls([3, 4, pop(null)], [1, 2, pop(null)]);
    expect(
      bySession(list)
        .get('s')
        ?.map(({ began }) => began),
    ).toEqual([1, 3]);
  });
});
