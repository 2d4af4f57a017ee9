import type { AgentInputItem } from '@openai/agents';
import type { Entry, Header } from '../layer.ts';
import { isCall } from '../protocol/links.ts';
import { lengthOf } from '../protocol/record-mark.ts';
import { createShare, type Share } from './budget.ts';
import type { Opened } from './records.ts';

/** Reads whose objects are recognized: a rollback reads once more after the read that it restores. */
const READS = 2;
/**
 * Objects that are keys of their read, the newest among them: a caller that trims a list or rolls back holds the
 * newest.
 */
const HOLDERS = 8;
/** Tool calls that are remembered, of those written and of those read. */
const CALLS = 64;
/** Approximate size of an object without its text. */
const OBJECT_BYTES = 512;
/** Approximate size of the header of a record. */
const HEADER_BYTES = 256;

/** A read for as long as its caller holds some of its objects: a map of all of them would cost too much. */
interface KnownRead {
  readonly read: WeakRef<Read>;
  /** A map of its own: one for all reads grows old and takes several times as long. */
  readonly holders: WeakMap<AgentInputItem, Read>;
}

interface Read {
  /** The very objects that the caller got. */
  readonly items: readonly AgentInputItem[];
  readonly opened: readonly Opened[];
}

/**
 * The recent state of a history in this process. It keeps tool calls, but no other items; data about an object of a
 * caller is released with that object. Bounded over all wrappers: evicted data is read from the inner session
 * again.
 */
export interface Memory {
  remember(items: readonly AgentInputItem[], opened: readonly Opened[]): void;
  wrote(entries: readonly Entry[]): void;
  /** The records of objects from reads (a rollback writes such objects back), by identity. */
  origins(items: readonly AgentInputItem[]): (Opened | undefined)[];
  /** The newest tool call that matches, among the last written and read ones. */
  find(match: (entry: Entry) => boolean): Entry | undefined;
  /** The headers of all records that the last full read opened; `'forgotten'` when they were evicted. */
  lastFullRead(): readonly Header[] | 'forgotten' | undefined;
  rememberFullRead(opened: readonly Opened[]): void;
  /** The history is gone. */
  forget(): void;
}

interface RememberedCall extends Entry {
  readonly bytes: number;
}

/** The last tool calls, oldest first. */
interface Calls {
  readonly entries: RememberedCall[];
  bytes: number;
}

export function createMemory(): Memory {
  let reads: readonly KnownRead[] = [];
  let written = noCalls();
  let read = noCalls();
  let full: readonly Header[] | 'forgotten' | undefined;
  let share: Share | undefined;

  function account(): void {
    const stamps = full === undefined || full === 'forgotten' ? 0 : full.length * HEADER_BYTES;
    const bytes = written.bytes + read.bytes + stamps;
    if (bytes > 0 || share !== undefined) (share ??= createShare(makeRoom)).use(bytes);
  }

  function makeRoom(): void {
    written = noCalls();
    read = noCalls();
    if (full !== undefined) full = 'forgotten';
  }

  return {
    remember(items, opened) {
      const { length } = items;
      const latest: Read = { items, opened };
      const holders = new WeakMap<AgentInputItem, Read>();
      for (let index = 0; index < length; index += Math.ceil(length / HOLDERS)) {
        holders.set(items[length - 1 - index] as AgentInputItem, latest);
      }
      reads = [{ read: new WeakRef(latest), holders }, ...reads.slice(0, READS - 1)];
      read = callsAmong(opened);
      account();
    },
    wrote(entries) {
      let isNew = false;
      for (const entry of entries) {
        if (!isCall(entry.item)) continue;
        add(written, entry);
        if (written.entries.length > CALLS) {
          written.bytes -= (written.entries.shift() as RememberedCall).bytes;
        }
        isNew = true;
      }
      if (isNew) account();
    },
    origins(items) {
      const finders: { readonly find: Finder; readonly opened: readonly Opened[] }[] = [];
      for (const { read: last } of reads) {
        const known = last.deref();
        if (known !== undefined) finders.push({ find: createFinder(known.items), opened: known.opened });
      }
      return items.map((item) => {
        for (const { find, opened } of finders) {
          const at = find(item);
          if (at >= 0) return opened[at];
        }
        return undefined;
      });
    },
    find: (match) => written.entries.findLast(match) ?? read.entries.findLast(match),
    lastFullRead: () => full,
    rememberFullRead(opened) {
      const headers: Header[] = [];
      for (const { bottom } of opened) if (bottom !== undefined) headers.push(bottom.header);
      full = headers;
      account();
    },
    forget() {
      makeRoom();
      full = undefined;
      account();
    },
  };
}

/** Searches of a whole read, one after the other, that cost less than a map of all its objects. */
const SEARCHES = 8;

/** The position of an object, -1 when it is not there. */
type Finder = (item: AgentInputItem) => number;

/** Finds objects in a list, in time linear in the list and in the number of searches, not in their product. */
function createFinder(objects: readonly AgentInputItem[]): Finder {
  // A rollback restores a list in its order, so the next object usually follows the last one found.
  let next = 0;
  let searches = 0;
  let places: Map<AgentInputItem, number> | undefined;
  return (item) => {
    if (objects[next] === item) return next++;
    if (searches < SEARCHES) searches++;
    else places ??= new Map(objects.map((object, index) => [object, index]));
    const at = places === undefined ? objects.indexOf(item) : (places.get(item) ?? -1);
    if (at >= 0) next = at + 1;
    return at;
  };
}

function noCalls(): Calls {
  return { entries: [], bytes: 0 };
}

function add(calls: Calls, { item, header, stored }: Entry): void {
  const bytes = OBJECT_BYTES + (stored === undefined ? 0 : 2 * lengthOf(stored));
  calls.entries.push({ item, header, bytes });
  calls.bytes += bytes;
}

/** The last calls among these records. Collected from the end: old ones are of little use. */
function callsAmong(opened: readonly Opened[]): Calls {
  const calls = noCalls();
  for (let index = opened.length - 1; index >= 0 && calls.entries.length < CALLS; index--) {
    const entry = opened[index]?.bottom;
    if (entry !== undefined && isCall(entry.item)) add(calls, entry);
  }
  calls.entries.reverse();
  return calls;
}
