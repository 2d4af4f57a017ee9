import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { copierOf } from '../../src/protocol/copier.ts';
import { conversation } from '../../bench/items.ts';

/** Keys of items, keys of anybody, and the one that assignment does not make. */
const key = fc.constantFrom(
  'type',
  'role',
  'content',
  'text',
  'output',
  'id',
  'a name of somebody',
  '__proto__',
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>('text', 1, true, null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.uint8Array({ maxLength: 3 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map(objectOf),
  ),
}));

function objectOf(entries: readonly (readonly [string, unknown])[]): object {
  const object = {};
  for (const [name, its] of entries) {
    Object.defineProperty(object, name, {
      value: its,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return object;
}

/** All objects in a value. */
function objectsIn(of: unknown): object[] {
  if (typeof of !== 'object' || of === null) return [];
  return [of, ...(of instanceof Uint8Array ? [] : Object.values(of).flatMap(objectsIn))];
}

describe('a copier', () => {
  it('is one for all values of one shape, whatever their texts are', async () => {
    // With a memory of its own: other files of this process use up the shapes that are remembered.
    vi.resetModules();
    const fresh = await import('../../src/protocol/copier.ts');
    vi.resetModules();
    const copiers = new Set(conversation(400).map(fresh.copierOf));
    expect(copiers.size).toBe(4);
  });

  it('makes equal values, with the same order of keys, that share no object', () => {
    fc.assert(
      fc.property(value, (original) => {
        const copier = copierOf(original);
        expect(copier === undefined).toBe(objectsIn(original).length === 0);
        const copy = copier === undefined ? original : copier(original as object);
        expect(copy).toEqual(original);
        expect(JSON.stringify(copy)).toBe(JSON.stringify(original));
        const shared = new Set(objectsIn(original));
        expect(objectsIn(copy).filter((object) => shared.has(object))).toEqual([]);
      }),
    );
  });

  it('copies any number of shapes', () => {
    const keys = 'type role content text output id status name'.split(' ');
    for (let shape = 0; shape < 5_000; shape++) {
      const original = objectOf(
        keys.filter((_, bit) => (shape >> bit) & 1).map((name, at) => [name, at < shape % 7 ? [{}] : name]),
      );
      const copy = copierOf(original)?.(original);
      expect(copy).toEqual(original);
      expect(copy).not.toBe(original);
    }
  });
});
