/**
 * Steps that the engine's own loops take while `work` runs: searches, copies and moves of arrays, iterators, and what an
 * iterator of a Set or a Map steps over because it was deleted. What is quadratic is mostly one of them inside a loop. A
 * count is the same on a busy machine as on an idle one.
 */
export async function countedWork(work: () => unknown): Promise<number> {
  let steps = 0;
  const undo: (() => void)[] = [];

  function replace(owner: object, name: PropertyKey, wrap: (original: Method) => Wrapper): void {
    const descriptor = Object.getOwnPropertyDescriptor(owner, name) as PropertyDescriptor;
    Object.defineProperty(owner, name, { ...descriptor, value: wrap(descriptor.value as Method) });
    undo.push(() => Object.defineProperty(owner, name, descriptor));
  }

  /** They move what stands behind, or copy all of it. */
  for (const name of ['shift', 'unshift', 'splice', 'concat', 'toReversed', 'toSorted', 'with'] as const) {
    replace(
      Array.prototype,
      name,
      (original) =>
        function (this: readonly unknown[], ...args: unknown[]) {
          steps += this.length;
          return original.apply(this, args);
        },
    );
  }
  for (const name of ['indexOf', 'includes', 'lastIndexOf'] as const) {
    replace(
      Array.prototype,
      name,
      (original) =>
        function (this: readonly unknown[], ...args: unknown[]) {
          const found: unknown = original.apply(this, args);
          steps += typeof found === 'number' && found >= 0 && name === 'indexOf' ? found + 1 : this.length;
          return found;
        },
    );
  }
  replace(
    Array.prototype,
    'slice',
    (original) =>
      function (this: readonly unknown[], ...args: unknown[]) {
        const copy = original.apply(this, args) as readonly unknown[];
        steps += copy.length;
        return copy;
      },
  );
  for (const name of CALLING) {
    replace(
      Array.prototype,
      name,
      (original) =>
        function (this: readonly unknown[], callback: unknown, ...rest: unknown[]) {
          if (typeof callback !== 'function') return original.call(this, callback, ...rest);
          const counting = function (this: unknown, ...args: unknown[]): unknown {
            steps++;
            return (callback as Method).apply(this, args);
          };
          return original.call(this, counting, ...rest);
        },
    );
  }
  for (const iterator of [[].values(), new Set().values(), new Map().entries()]) {
    replace(
      Object.getPrototypeOf(iterator) as object,
      'next',
      (original) =>
        function (this: unknown) {
          steps++;
          return original.call(this);
        },
    );
  }
  const deleted = new WeakMap<object, number>();
  for (const owner of [Set.prototype, Map.prototype] as const) {
    replace(
      owner,
      'delete',
      (original) =>
        function (this: Set<unknown>, key: unknown) {
          const was = original.call(this, key) as boolean;
          if (was) deletedOf(this, 1);
          return was;
        },
    );
    for (const name of new Set<PropertyKey>(['keys', 'values', 'entries', Symbol.iterator])) {
      replace(
        owner,
        name,
        (original) =>
          function (this: Set<unknown>) {
            steps += deletedOf(this, 0);
            return original.call(this);
          },
      );
    }
  }

  /** Entries that were deleted since the table was last made anew: it is when it has grown full or mostly empty. */
  function deletedOf(table: Set<unknown>, more: number): number {
    const count = ((deletedGet.call(deleted, table) as number | undefined) ?? 0) + more;
    const kept = count > 2 * table.size + 16 ? 0 : count;
    deletedSet.call(deleted, table, kept);
    return kept;
  }

  try {
    await work();
  } finally {
    for (const each of undo) each();
  }
  return steps;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Wrapper = (this: never, ...args: never[]) => unknown;

const { get: deletedGet, set: deletedSet } = WeakMap.prototype as unknown as Record<'get' | 'set', Method>;

const CALLING = [
  'every',
  'filter',
  'find',
  'findIndex',
  'findLast',
  'findLastIndex',
  'flatMap',
  'forEach',
  'map',
  'reduce',
  'some',
] as const;
