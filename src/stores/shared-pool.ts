/** A pool and its owners. */
interface Shared<T> {
  readonly pool: Promise<T>;
  owners: number;
}

const anyone = {};
/** By identity of the caller (its password provider: two tenants may use one URL), then by target and options. */
const registry = new WeakMap<object, Map<string, Shared<{ end(): Promise<void> }>>>();

/**
 * The pool of this key: created by the first caller (concurrent ones share it), ended when the last owner released
 * it.
 *
 * @param key `undefined` for a pool of its own.
 * @param identity Pools are shared only between callers with the same one.
 */
export async function sharedPool<T extends { end(): Promise<void> }>(
  key: readonly (string | number)[] | undefined,
  identity: object | undefined,
  make: () => Promise<T>,
): Promise<T & { release(): Promise<void> }> {
  if (key === undefined) {
    const own = await make();
    return { ...own, release: () => own.end() };
  }
  const who = identity ?? anyone;
  const pools = registry.get(who) ?? new Map<string, Shared<T>>();
  registry.set(who, pools);
  const name = JSON.stringify(key);
  let shared = pools.get(name) as Shared<T> | undefined;
  if (shared === undefined) pools.set(name, (shared = { pool: make(), owners: 0 }));
  const mine = shared;
  mine.owners++;
  const release = async (): Promise<void> => {
    mine.owners--;
    if (mine.owners > 0) return;
    if (pools.get(name) === mine) pools.delete(name);
    await (await mine.pool).end();
  };
  try {
    const pool = await mine.pool;
    let released: Promise<void> | undefined;
    return { ...pool, release: () => (released ??= release()) };
  } catch (error) {
    if (pools.get(name) === mine) pools.delete(name);
    throw error;
  }
}
