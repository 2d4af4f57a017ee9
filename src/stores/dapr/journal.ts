import { randomName } from '../../crypto/random.ts';
import { ATTEMPTS, pause, type Root, type Roots, type StoredRoot } from './root.ts';
import type { StateApi } from './state.ts';
import { Gone, hasPage, type Page } from './tree.ts';

/**
 * The pages that a writer may leave behind: those that it writes before a swap, and those that it removes after one. The API
 * cannot list keys, so a page that nobody names would stay for ever, also after an erasure.
 */
export interface Journal {
  /** Whether others can find the journal of this writer. */
  isKnown(root: Root): boolean;
  /** Makes it known. The root has changed then, or another writer was first. */
  register(stored: StoredRoot): Promise<void>;
  /** Before the first of these pages is written. */
  note(pages: readonly Page[]): Promise<void>;
  /** Removes pages that no root names any more, and never will. */
  remove(pages: readonly Page[]): Promise<void>;
  /** Pages of a commit of which the result is not known; they stay in the journal. */
  keep(pages: readonly Page[]): void;
  /** Removes the kept pages that this root does not name. No earlier commit can be made any more. */
  settle(root: Root): Promise<void>;
  /** At the end of this writer. */
  leave(): Promise<void>;
}

interface Entry {
  /** Unix milliseconds. */
  readonly at: number;
  readonly pages: readonly Page[];
}

/** An older journal is looked through by others. If its writer lives, it registers again. */
const ABANDONED = 3_600_000;

export function createJournal(state: StateApi, roots: Roots, prefix: string): Journal {
  const writer = randomName();
  const keyOf = (each: string): string => `${prefix}writer-${each}`;
  let kept: readonly Page[] = [];
  let isRegistered = false;

  const remove = async (pages: readonly Page[]): Promise<void> =>
    state.remove(pages.map(({ name }) => roots.pageKey(name)));

  const without = async (root: Root, pages: readonly Page[]): Promise<Page[]> => {
    const dead: Page[] = [];
    for (const page of pages) if (!(await hasPage(root, page, roots.load))) dead.push(page);
    return dead;
  };

  /** Writers that have not written for long, and the pages in their journals that the root does not name. */
  async function findAbandoned(root: Root): Promise<Map<string, readonly Page[]>> {
    const journals = await state.readMany(root.writers.map(keyOf));
    const abandoned = new Map<string, readonly Page[]>();
    for (const each of root.writers) {
      const text = journals.get(keyOf(each));
      // It has registered, and has not written yet.
      if (text === undefined) continue;
      const { at, pages } = JSON.parse(text) as Entry;
      if (Math.abs(Date.now() - at) >= ABANDONED) abandoned.set(each, await without(root, pages));
    }
    return abandoned;
  }

  return {
    isKnown: (root) => root.writers.includes(writer),
    async register(stored) {
      const { root } = stored;
      const abandoned = await findAbandoned(root);
      const writers = [...root.writers.filter((each) => !abandoned.has(each)), writer];
      // After this swap none of the abandoned writers can make a commit that it has prepared.
      if (!(await roots.swap(stored, { writers }))) return;
      isRegistered = true;
      for (const [each, pages] of abandoned) {
        await remove(pages);
        await state.remove([keyOf(each)]);
      }
    },
    async note(pages) {
      const entry: Entry = {
        at: Date.now(),
        pages: [...kept, ...pages].map(({ name, level, first }) => ({ name, level, first })),
      };
      await state.write(new Map([[keyOf(writer), JSON.stringify(entry)]]));
    },
    remove,
    keep: (pages) => void (kept = [...kept, ...pages]),
    async settle(root) {
      if (kept.length === 0) return;
      try {
        await remove(await without(root, kept));
        kept = [];
      } catch (error) {
        // Another commit was made since: after the next one of this writer. An error here must not look like one of the commit.
        if (!(error instanceof Gone)) throw error;
      }
    },
    async leave() {
      // What is not settled stays in the journal, for others.
      if (!isRegistered || kept.length > 0) return;
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        const stored = await roots.read();
        const writers = stored.root.writers.filter((each) => each !== writer);
        if (writers.length === stored.root.writers.length) return;
        if (await roots.swap(stored, { writers })) return state.remove([keyOf(writer)]);
        await pause(attempt);
      }
    },
  };
}
