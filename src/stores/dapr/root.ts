import { randomName } from '../../crypto/random.ts';
import { StrongroomError } from '../../errors.ts';
import { unsupported, type StateApi } from './state.ts';
import { Gone, type LoadPages, type TreeNode } from './tree.ts';

/*
 * How a store lies in the keys of a state store, which has no order, no ranges and, in many components, no transaction that
 * compares. A search tree of pages that never change stands under one root: a commit writes new pages, and the root by
 * compare and swap. So a root is a consistent snapshot, and one swap is the whole commit.
 *
 * | key                        | value                                                                     |
 * |----------------------------|---------------------------------------------------------------------------|
 * | `<prefix>root`             | {@link Root}                                                              |
 * | `<prefix>page-<name>`      | a node of the tree                                                        |
 * | `<prefix>writer-<writer>`  | the pages that this writer may leave behind when it dies, see journal.ts  |
 */

/** The top of the tree. */
export interface Root extends TreeNode {
  /** Of the last commits, the last one first. They tell whether a swap without an answer was made. */
  readonly commits: readonly string[];
  /** The writers that have a journal. */
  readonly writers: readonly string[];
}

/** A root and what a swap of it needs. */
export interface StoredRoot {
  readonly root: Root;
  readonly etag: string | undefined;
}

export interface Roots {
  /** A component that ignores etags is `ERR_UNSUPPORTED`. */
  read(): Promise<StoredRoot>;
  /**
   * Whether the root was replaced. Rejects when that cannot be known.
   *
   * @param change Members that differ from those of the stored root.
   */
  swap(before: StoredRoot, change: Partial<Omit<Root, 'commits'>>): Promise<boolean>;
  /** Reads in one snapshot. */
  consistent<T>(read: (root: Root) => Promise<T>): Promise<T>;
  readonly load: LoadPages;
  readonly pageKey: (name: string) => string;
}

/** Attempts to change the root. */
export const ATTEMPTS = 200;
const COMMITS = 64;
/** Attempts of a read whose pages are removed by commits meanwhile. */
const READS = 50;
/** Seconds. */
const PROBE_TTL = 60;
const EMPTY: Root = { level: 0, entries: [], commits: [], writers: [] };

export function createRoots(state: StateApi, component: string, prefix: string): Roots {
  const key = `${prefix}root`;
  const pageKey = (name: string): string => `${prefix}page-${name}`;
  let probed: Promise<void> | undefined;

  async function read(): Promise<StoredRoot> {
    probed ??= probe(state, component, prefix);
    try {
      await probed;
    } catch (error) {
      probed = undefined;
      throw error;
    }
    const found = await state.read(key);
    return found === undefined
      ? { root: EMPTY, etag: undefined }
      : { root: JSON.parse(found.value) as Root, etag: found.etag };
  }

  const load: LoadPages = async (names) => {
    const found = await state.readMany(names.map(pageKey));
    return names.map((name) => {
      const text = found.get(pageKey(name));
      if (text === undefined) throw new Gone();
      return JSON.parse(text) as TreeNode;
    });
  };

  return {
    read,
    load,
    pageKey,
    async swap({ root, etag }, change) {
      const id = randomName();
      const next: Root = { ...root, ...change, commits: [id, ...root.commits].slice(0, COMMITS) };
      try {
        return await state.swap(key, JSON.stringify(next), etag);
      } catch (error) {
        // The request may have been made, or may still be running. Once the etag is another one, it is decided.
        const now = await state.read(key).catch(() => undefined);
        if (now === undefined || now.etag === etag) throw error;
        return (JSON.parse(now.value) as Root).commits.includes(id);
      }
    },
    async consistent(work) {
      let before: string | undefined;
      for (let attempt = 1; ; attempt++) {
        const { root, etag } = await read();
        try {
          return await work(root);
        } catch (error) {
          if (!(error instanceof Gone)) throw error;
          if (attempt === READS) throw lost(before === etag);
          if (before === etag) await pause(attempt);
          before = etag;
        }
      }
    },
  };
}

/** A component that ignores etags would lose commits of others. */
async function probe(state: StateApi, component: string, prefix: string): Promise<void> {
  const key = `${prefix}probe-${randomName()}`;
  const assert = (holds: boolean, what: string): void => {
    if (!holds) throw unsupported(component, what);
  };
  // Some versions of Dapr answer a mismatch with 500.
  const isMade = async (value: string, etag?: string): Promise<boolean> =>
    state.swap(key, value, etag, PROBE_TTL).catch(() => false);
  try {
    assert(await state.swap(key, '1', undefined, PROBE_TTL), 'refuses a first write');
    const first = await state.read(key);
    if (first === undefined) throw unsupported(component, 'does not show what it acknowledged');
    assert(!(await isMade('2')), 'overwrites a value in a first write');
    assert(await isMade('3', first.etag), 'refuses the etag that it gave');
    assert(!(await isMade('4', first.etag)), 'accepts an outdated etag');
  } finally {
    await state.remove([key]);
  }
}

function lost(isSettled: boolean): StrongroomError {
  return new StrongroomError(
    'ERR_STORE',
    isSettled
      ? 'openDapr: a page of the store is missing. The component lost a write, or serves reads from a replica that is behind: check its settings.'
      : 'openDapr: other writers changed the store faster than it could be read. Try again.',
  );
}

/** Random, so that conflicting writers do not stay in step. */
export function pause(attempt: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.random() * Math.min(attempt, 20));
  });
}
