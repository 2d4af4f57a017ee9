import { lineageOf } from '../../derived-id.ts';
import { invalidOption } from '../../options.ts';
import { StrongroomError } from '../../errors.ts';
import { isCurrentSchema, saying, storeError } from '../failure.ts';
import type { Database, KeyRange, KeyValue, KeyValueCommit, KeyValueDriver } from './database.ts';
import { attempt, attemptOn } from './draft.ts';
import { decodeJson, keyOf, LAYOUT_VERSION, rangeOf } from './layout.ts';
import { pairsOf } from './pages.ts';

const METHODS = ['get', 'list', 'commit'] as const;
const MORE_METHODS = ['time', 'close'] as const;

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION` for an invalid driver. */
export function checkDriver(where: string, driver: unknown): asserts driver is KeyValueDriver {
  if (typeof driver !== 'object' || driver === null)
    return invalidOption(where, 'driver', 'an object', driver);
  const members = driver as Readonly<Record<string, unknown>>;
  if (typeof members['name'] !== 'string' || members['name'] === '') {
    invalidOption(where, 'driver.name', 'a non-empty string', members['name']);
  }
  for (const method of METHODS) {
    if (typeof members[method] !== 'function')
      invalidOption(where, `driver.${method}`, 'a function', members[method]);
  }
  for (const method of MORE_METHODS) {
    if (members[method] !== undefined && typeof members[method] !== 'function')
      invalidOption(where, `driver.${method}`, 'a function, or absent', members[method]);
  }
}

/**
 * The driver with its answers checked: a mistake in it must not look like an empty history. Before the first call
 * the version of the layout is looked up, or written.
 */
export function checkedDatabase(driver: KeyValueDriver): Database {
  const { name } = driver;
  const broken = (rule: string): never => {
    throw new StrongroomError(
      'ERR_STORE',
      `${name}: the driver broke its contract: ${rule}. Mend the driver.`,
      { retryable: false },
    );
  };
  const asking = async <T>(what: string, ask: () => Promise<T>, outcome?: 'unknown'): Promise<T> => {
    try {
      return await ask();
    } catch (error) {
      throw storeError(name, what, error, outcome);
    }
  };

  async function get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    const values: unknown = await asking('the database failed to read', () => driver.get(keys));
    if (!Array.isArray(values) || values.length !== keys.length)
      return broken('get() gives one element for each key');
    if (!values.every((value) => value === undefined || value instanceof Uint8Array))
      return broken('get() gives a Uint8Array or undefined for each key');
    return values as (Uint8Array | undefined)[];
  }

  async function list(range: KeyRange): Promise<readonly KeyValue[]> {
    const pairs: unknown = await asking('the database failed to read', () => driver.list(range));
    if (!Array.isArray(pairs) || !pairs.every(isPair))
      return broken('list() gives pairs of a key and a Uint8Array');
    const { from, to, limit = Number.POSITIVE_INFINITY, reverse = false } = range;
    if (pairs.length > limit) return broken('list() gives no more pairs than its limit');
    let before: string | undefined;
    for (const [key] of pairs) {
      if (key < from || key >= to) return broken('list() gives keys of its range only');
      if (before !== undefined && (reverse ? key >= before : key <= before))
        return broken('list() gives each key once, in the order of its bytes');
      before = key;
    }
    return pairs;
  }

  async function commit(writes: KeyValueCommit): Promise<boolean> {
    const done: unknown = await asking(
      'the database failed to commit',
      () => driver.commit(writes),
      'unknown',
    );
    if (typeof done === 'boolean') return done;
    return await saying('unknown', async () => broken('commit() gives true or false'));
  }

  async function prepare(): Promise<void> {
    const database = { name, get, list, commit };
    await attempt(database, 'the version of the layout', async (draft) => {
      const [found] = await draft.read('version');
      if (found !== undefined) {
        if (isCurrentSchema(name, decodeJson(found) as number, LAYOUT_VERSION)) return;
        await addTrees(database);
      }
      draft.putJson('version', LAYOUT_VERSION);
    });
  }

  let ready: Promise<void> | undefined;
  const prepared =
    <A, T>(call: (argument: A) => Promise<T>): ((argument: A) => Promise<T>) =>
    async (argument) => {
      const mine = (ready ??= saying('no', prepare));
      try {
        await mine;
      } catch (error) {
        // The next call tries again.
        if (ready === mine) ready = undefined;
        throw error;
      }
      return await call(argument);
    };
  return {
    name,
    get: prepared(get),
    list: prepared(list),
    commit: prepared(commit),
    ...(driver.time !== undefined && {
      time: async () => {
        const now: unknown = await asking('the database failed to tell the time', async () =>
          driver.time?.(),
        );
        return typeof now === 'number' && Number.isFinite(now)
          ? now
          : broken('time() gives Unix milliseconds');
      },
    }),
  };
}

/** Adds the keys of version 2 that version 1 lacks; can be repeated. */
async function addTrees(database: Database): Promise<void> {
  for await (const [key, found] of pairsOf(database, rangeOf('session'))) {
    const { id } = decodeJson(found) as { readonly id: string };
    const lineage = lineageOf(id);
    if (lineage === undefined) continue;
    await attemptOn(database, id, async (draft) => {
      const [value] = await draft.read(key);
      // One that was deleted meanwhile must not be found.
      if (value !== undefined) draft.putJson(keyOf('tree', lineage.root, id), id);
    });
  }
}

function isPair(pair: unknown): pair is KeyValue {
  return Array.isArray(pair) && typeof pair[0] === 'string' && pair[1] instanceof Uint8Array;
}
