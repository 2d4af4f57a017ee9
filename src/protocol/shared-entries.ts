import type { AgentInputItem } from '@openai/agents';
import type { Entry, Header, HiddenEntry, SessionCall } from '../layer.ts';
import { copierOf, type Copier } from './copier.ts';
import { cloneItem } from './item.ts';

/**
 * Marks the calls in which a cache may return its own entries without a copy. No layer of the stack changes the
 * content of an entry, and the engine copies the items once, at the end. See decision 67.
 */
export const TAKES_SHARED: unique symbol = Symbol('strongroom.takesShared');

/** Whether the entries of a call are shared, as the cache says. */
export interface Sharing {
  given: boolean;
}

export function sharingOf(call: SessionCall): Sharing | undefined {
  return (call as { readonly [TAKES_SHARED]?: Sharing })[TAKES_SHARED];
}

const COPIER: unique symbol = Symbol('strongroom.copier');

/** An entry of a cache: its item never changes. */
export interface SharedEntry extends Entry {
  readonly stored: AgentInputItem;
  /**
   * Itself: where the layers show it as it is, it is also the engine's account of its record, which every read would
   * make anew otherwise.
   */
  readonly bottom: Entry;
  readonly visible: Entry;
  /** Copies its item for a caller; found at the first copy. */
  [COPIER]?: Copier | undefined;
}

/** Whether a cache keeps this very entry. */
export function isShared(entry: Entry | HiddenEntry): entry is SharedEntry {
  return (entry as Partial<SharedEntry>).visible === entry;
}

/** @param frozen Whether the item is frozen, so that callers may get it. */
export function sharedEntry(
  item: AgentInputItem,
  header: Header,
  stored: AgentInputItem,
  frozen: boolean,
): SharedEntry {
  return withRecord({ item, header, [COPIER]: frozen ? itself : undefined }, stored);
}

type Writable<T> = { -readonly [K in keyof T]?: T[K] | undefined };

/** The same item with another record. */
export function withRecord(
  { item, header, [COPIER]: copier }: Pick<SharedEntry, 'item' | 'header' | typeof COPIER>,
  stored: AgentInputItem,
): SharedEntry {
  // With all properties from the start, so that the object has room for them.
  const entry: Writable<SharedEntry> = {
    item,
    header,
    stored,
    bottom: undefined,
    visible: undefined,
    [COPIER]: copier,
  };
  return (entry.bottom = entry.visible = entry as SharedEntry);
}

/**
 * The item of an entry for a caller: a copy, unless it is frozen.
 *
 * @param shared The entry before the layers.
 */
export function copyShared({ item }: Entry, shared: Entry): AgentInputItem {
  const { [COPIER]: known } = shared as Partial<SharedEntry>;
  if (item !== shared.item && known !== itself) return cloneItem(item);
  const copier = known ?? ((shared as SharedEntry)[COPIER] = copierOf(item) ?? cloneItem);
  return copier(item) as AgentInputItem;
}

function itself(value: object): object {
  return value;
}
