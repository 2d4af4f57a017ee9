import type { AgentInputItem } from '@openai/agents';
import { itemKey } from '../item.ts';
import type { Entry, Header } from '../layer.ts';
import type { Opened } from './pipeline.ts';
import type { Stack } from './stack.ts';

/** Equality of items as the runner sees them, and what follows from it for records that are written again. */
export interface Comparison {
  /** Equal in plaintext, as far as the layers keep it. */
  same(left: AgentInputItem, right: AgentInputItem): boolean;
  /**
   * Entries for items that the caller wrote. One that came from a recent read (a rollback writes those objects back)
   * keeps its stamps, and its stored text where a layer only changes what is read.
   */
  entriesOf(items: readonly AgentInputItem[], origins?: readonly (Opened | undefined)[]): Entry[];
  /** The same items with the same stamps, to be written somewhere else. */
  restamped(entries: readonly Entry[]): Entry[];
  /** Gives entries without stamps those of an equal entry in `from`, each used once. */
  keepStamps(entries: readonly Entry[], from: readonly Entry[]): Entry[];
  /** How many items at the start of `replacement` are those of `expected`. */
  commonStart(replacement: readonly AgentInputItem[], expected: readonly AgentInputItem[]): number;
}

export function createComparison(stack: Stack): Comparison {
  const keyOf = (item: AgentInputItem): string => itemKey(stack.compare?.(item) ?? item);
  const same = (left: AgentInputItem, right: AgentInputItem): boolean => keyOf(left) === keyOf(right);

  return {
    same,
    entriesOf: (items, origins = []) =>
      items.map((item, index) => {
        const bottom = origins[index]?.bottom;
        if (bottom === undefined) return { item, header: {} };
        return { item: same(item, bottom.item) ? bottom.item : item, header: stampsOf(bottom.header) };
      }),
    restamped: (entries) => entries.map(({ item, header }) => ({ item, header: stampsOf(header) })),
    keepStamps(entries, from) {
      const stamps = new Map<string, Header[]>();
      for (const entry of from) append(stamps, keyOf(entry.item), stampsOf(entry.header));
      return entries.map((entry) => {
        if (entry.header.t !== undefined) return entry;
        const header = stamps.get(keyOf(entry.item))?.shift();
        return header === undefined ? entry : { ...entry, header };
      });
    },
    commonStart(replacement, expected) {
      const end = replacement.findIndex((item, index) => {
        const other = expected[index];
        return other === undefined || !same(item, other);
      });
      return end < 0 ? replacement.length : end;
    },
  };
}

function append<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** The stamps of an entry that is written again; seal and operation belong to the record that it was. */
function stampsOf(header: Header): Header {
  const { t, e, g } = header;
  return { ...(t !== undefined && { t }), ...(e !== undefined && { e }), ...(g !== undefined && { g }) };
}
