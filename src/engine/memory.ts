import type { AgentInputItem } from '@openai/agents';
import type { Entry } from '../layer.ts';
import type { Opened } from './pipeline.ts';

/** Reads that are remembered: a rollback reads once more than it restores. */
const READS = 2;
/** Written entries that are remembered. */
const WRITES = 64;

interface Read {
  /** The very objects that the caller got. */
  readonly items: readonly AgentInputItem[];
  readonly opened: readonly Opened[];
}

/** What this process saw of a session last: arrays as they came, so that a read costs no work per item. */
export interface Memory {
  remember(items: readonly AgentInputItem[], opened: readonly Opened[]): void;
  wrote(entries: readonly Entry[]): void;
  /** The records behind objects that came from the last reads (a rollback writes those back), by identity. */
  origins(items: readonly AgentInputItem[]): (Opened | undefined)[];
  /** The newest entry that matches, among what was written and read. */
  find(match: (entry: Entry) => boolean): Entry | undefined;
  /** What the last full read opened. */
  lastFullRead(): readonly Opened[] | undefined;
  rememberFullRead(opened: readonly Opened[]): void;
}

export function createMemory(): Memory {
  let reads: Read[] = [];
  let writes: Entry[] = [];
  let full: readonly Opened[] | undefined;
  return {
    remember(items, opened) {
      reads = [{ items, opened }, ...reads].slice(0, READS);
    },
    wrote(entries) {
      writes = [...writes, ...entries.slice(-WRITES)].slice(-WRITES);
    },
    origins(items) {
      // A rollback restores a list in its order, so the next object usually stands behind the last one found.
      let expected = reads.map(() => 0);
      return items.map((item) => {
        for (const [which, read] of reads.entries()) {
          const next = expected[which] as number;
          const at = read.items[next] === item ? next : read.items.indexOf(item);
          if (at < 0) continue;
          expected = expected.map((value, index) => (index === which ? at + 1 : value));
          return read.opened[at];
        }
        return undefined;
      });
    },
    find(match) {
      const written = writes.findLast(match);
      if (written !== undefined) return written;
      for (const read of reads) {
        const found = read.opened.findLast((record) => record.bottom !== undefined && match(record.bottom));
        if (found !== undefined) return found.bottom;
      }
      return undefined;
    },
    lastFullRead: () => full,
    rememberFullRead(opened) {
      full = opened;
    },
  };
}
