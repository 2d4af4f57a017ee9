import type { AgentInputItem } from '@openai/agents';
import { getOrMake } from '../get-or-make.ts';
import type { Entry, Header } from '../layer.ts';
import { itemKey } from '../protocol/item.ts';
import { mapInSlices } from '../slices.ts';
import type { Opened } from './records.ts';
import type { Stack } from './stack.ts';

/** Equality of items, and its use for records that are written again. */
export interface Comparison {
  /**
   * Whether the item matches this record: it exactly equals the visible or the stored item, or does so after the
   * layers with `write`. A view on read does not count: two texts can have one view.
   */
  names(item: AgentInputItem, record: Opened): boolean;
  /** Whether the item exactly equals the visible or the stored item of the record. */
  isExactly(item: AgentInputItem, record: Opened): boolean;
  /**
   * Entries for items that the caller wrote. One that came from a recent read (a rollback writes those objects back)
   * keeps its header fields, and its stored text when layers change items on read only.
   */
  entriesOf(items: readonly AgentInputItem[], origins?: readonly (Opened | undefined)[]): Entry[];
  /** The same items with the same header fields, to be written somewhere else. */
  restamped(entries: readonly Entry[]): Entry[];
  /**
   * Entries that replace `going`, each record used once: an item that exactly equals one of them keeps its stored
   * text and its header fields; one that is equal only by `compare` keeps the fields.
   */
  restored(entries: readonly Entry[], going: readonly Opened[]): Promise<Entry[]>;
}

export function createComparison(stack: Stack): Comparison {
  const viewOf = (item: AgentInputItem): string => itemKey(stack.compare?.(item) ?? item);
  const writtenAs = (item: AgentInputItem): string => itemKey(stack.compareWritten?.(item) ?? item);

  function isExactly(item: AgentInputItem, record: Opened): boolean {
    const key = itemKey(item);
    return formsOf(record).some((form) => itemKey(form) === key);
  }

  return {
    isExactly,
    names: (item, record) =>
      isExactly(item, record) || formsOf(record).some((form) => writtenAs(form) === writtenAs(item)),
    entriesOf: (items, origins = []) =>
      items.map((item, index) => {
        const origin = origins[index];
        if (origin?.bottom === undefined) return { item, header: {} };
        // An object that the caller changed after the read has another text and the same stamps.
        const text = isExactly(item, origin) ? origin.bottom.item : item;
        return { item: text, header: fieldsOf(origin.bottom.header) };
      }),
    restamped: (entries) => entries.map(({ item, header }) => ({ item, header: fieldsOf(header) })),
    async restored(entries, going) {
      if (entries.length === 0) return [];
      const exact = await poolOf(going, (record) => formsOf(record).map(itemKey));
      const alike = await poolOf(going, (record) => formsOf(record).map(viewOf));
      const used = new Set<Opened>();
      const take = (pool: ReadonlyMap<string, Opened[]>, key: string): Opened | undefined => {
        const records = pool.get(key);
        for (let record = records?.pop(); record !== undefined; record = records?.pop()) {
          if (used.has(record)) continue;
          used.add(record);
          return record;
        }
        return undefined;
      };
      // Exact matches first, so that no other item uses such a record for its header.
      const found = entries.map(({ item }) => take(exact, itemKey(item)));
      return entries.map((entry, index) => {
        const same = found[index];
        const { item } = entry;
        const text = same?.bottom?.item ?? item;
        if (entry.header.t !== undefined) return { ...entry, item: text };
        const from = same ?? take(alike, viewOf(item));
        return from?.bottom === undefined
          ? entry
          : { ...entry, item: text, header: fieldsOf(from.bottom.header) };
      });
    },
  };
}

/** The visible and the stored item of a record. */
function formsOf({ visible, bottom }: Opened): AgentInputItem[] {
  if (bottom === undefined) return [];
  return visible === undefined || visible.item === bottom.item ? [bottom.item] : [visible.item, bottom.item];
}

/** The records of each key, the newest first: the oldest is the last of a list. */
async function poolOf(
  records: readonly Opened[],
  keysOf: (record: Opened) => string[],
): Promise<Map<string, Opened[]>> {
  const pool = new Map<string, Opened[]>();
  const add = (record: Opened): void => {
    for (const key of new Set(keysOf(record))) getOrMake(pool, key, () => []).push(record);
  };
  await mapInSlices(records.toReversed(), add, 4);
  return pool;
}

/** The header of an entry that is written again; seal and operation tag belong to the earlier record. */
function fieldsOf(header: Header): Header {
  const { s: _seal, d: _key, o: _operation, ...fields } = header;
  return fields;
}
