import { fromBase64, toBase64 } from '../../crypto/encoding.ts';
import { randomName } from '../../crypto/random.ts';
import { StrongroomError } from '../../errors.ts';
import type { KeyValue, KeyValueCommit, KeyValueDriver } from '../key-value/database.ts';
import { createJournal, type Journal } from './journal.ts';
import { ATTEMPTS, createRoots, pause, type Roots, type StoredRoot } from './root.ts';
import type { StateApi } from './state.ts';
import { changeIn, findIn, Gone, listIn, type Changes } from './tree.ts';

/** A table of keys and values over the state API: see root.ts. */
export function daprDriver(state: StateApi, component: string, prefix: string): KeyValueDriver {
  const roots = createRoots(state, component, prefix);
  const journal = createJournal(state, roots, prefix);
  let queue: Promise<unknown> = Promise.resolve();

  /** One commit of this process after the other: they would only refuse each other. */
  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = queue.then(work, work);
    queue = turn.catch(() => undefined);
    return turn;
  }

  return {
    name: 'openDapr',
    async get(keys) {
      const found = await roots.consistent((root) => findIn(root, keys, roots.load));
      return keys.map((key) => {
        const text = found.get(key);
        return text === undefined ? undefined : bytesIn(text);
      });
    },
    async list(range) {
      const entries = await roots.consistent((root) => listIn(root, range, roots.load));
      return entries.map(([key, text]): KeyValue => [key, bytesIn(text)]);
    },
    commit: (commit) => inTurn(() => makeCommit(state, roots, journal, commit)),
    close: () => inTurn(() => journal.leave()),
  };
}

async function makeCommit(
  state: StateApi,
  roots: Roots,
  journal: Journal,
  { expect, put, remove }: KeyValueCommit,
): Promise<boolean> {
  const values = new Map<string, string | undefined>();
  for (const [key, value] of put) values.set(key, toBase64(value));
  for (const key of remove) values.set(key, undefined);
  const expected = expect.map(([key, value]) => [key, value && toBase64(value)] as const);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (attempt > 1) await pause(attempt);
    const stored = await roots.read();
    const { root } = stored;
    try {
      if (!journal.isKnown(root)) {
        await journal.register(stored);
        continue;
      }
      const keys = expected.map(([key]) => key);
      const found = await findIn(root, keys, roots.load);
      if (!expected.every(([key, text]) => found.get(key) === text)) return false;
      const changes = await changeIn(root, values, roots.load, randomName);
      if (await storeChanges(state, roots, journal, stored, changes)) return true;
    } catch (error) {
      // A page of the root that was read: another commit was made.
      if (!(error instanceof Gone)) throw error;
    }
  }
  throw new StrongroomError(
    'ERR_CONFLICT',
    `openDapr: other writers changed the store in each of ${ATTEMPTS} attempts. Try again.`,
    { written: 'no' },
  );
}

async function storeChanges(
  state: StateApi,
  roots: Roots,
  journal: Journal,
  stored: StoredRoot,
  { root, written, retired }: Changes,
): Promise<boolean> {
  const all = [...written, ...retired];
  try {
    await journal.note(all);
    await state.write(new Map(written.map(({ name, node }) => [roots.pageKey(name), JSON.stringify(node)])));
    const { level, entries } = root;
    const isMade = await roots.swap(stored, { level, entries });
    await journal.remove(isMade ? retired : written);
    if (isMade) await journal.settle({ ...stored.root, level, entries });
    return isMade;
  } catch (error) {
    journal.keep(all);
    throw error;
  }
}

function bytesIn(text: string): Uint8Array {
  const bytes = fromBase64(text);
  if (bytes !== undefined) return bytes;
  throw new StrongroomError(
    'ERR_STORE',
    'openDapr: a value of the store is not base64. Restore it from a backup.',
  );
}
