import type { AgentInputItem } from '@openai/agents';
import { fromBase64, toBase64 } from '../crypto/encoding.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import { isObject } from '../options.ts';
import { itemPath } from './item-path.ts';

/** How deep an item may nest. Functions that walk over items, and JSON, can recurse this deep. */
export const MAX_DEPTH = 1_000;

/**
 * A plain deep copy of an item, each property read once. Properties that are `undefined` are omitted, as in JSON;
 * any other value that JSON would change or lose is refused, and so are more than {@link MAX_DEPTH} levels.
 *
 * @param at Of items that are copied one after the other; after an error it is not used again.
 * @throws {@link StrongroomError} `ERR_INVALID_ITEM`, naming the path and never the value.
 */
export function snapshotItem(item: AgentInputItem, at: Snapshots = beginSnapshots()): AgentInputItem {
  if (!isObject(item)) {
    throw new StrongroomError('ERR_INVALID_ITEM', 'An item must be an object.');
  }
  at.size = 0;
  try {
    return snapshot(item, at) as AgentInputItem;
  } catch (error) {
    throw unreadable(error);
  }
}

/**
 * Copies of the items of a list, each read once. A hole is refused like an invalid item.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_ITEM`.
 */
export function snapshotList<T = AgentInputItem>(
  items: unknown,
  copy: (item: AgentInputItem) => T = snapshotItem as (item: AgentInputItem) => T,
): T[] {
  const list = listed(items);
  return readable(() => list.map((item) => copy(item)));
}

/**
 * The list as it is now, each element read once.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_ITEM` for anything but a list.
 */
export function listed(items: unknown): AgentInputItem[] {
  return readable(() => {
    if (!Array.isArray(items)) {
      throw new StrongroomError('ERR_INVALID_ITEM', 'This call takes an array of items.');
    }
    const { length } = items;
    const list: AgentInputItem[] = [];
    // Other ways to copy a list skip its holes or call its iterator.
    for (let index = 0; index < length; index++) list.push(items[index] as AgentInputItem);
    return list;
  });
}

/** The constructor of a class returns its argument, so that a class that extends it adds its private fields to that. */
const Itself = function (list: object): object {
  return list;
} as unknown as new (list: object) => object;

/**
 * Lists of items that no code outside of this package holds or changes. A private field is seen by nobody else; a `WeakSet`
 * takes ten times as long for a list that was just made.
 */
class Owned extends Itself {
  readonly #owned = true;

  static has(list: unknown): boolean {
    return Array.isArray(list) && #owned in list && list.#owned;
  }
}

/** Marks a list that a store need not copy during the call: it can read it in slices. */
export function own<T extends readonly AgentInputItem[]>(list: T): T {
  return Owned.has(list) ? list : (new Owned(list) as unknown as T);
}

export function isOwn(list: readonly AgentInputItem[]): boolean {
  return Owned.has(list);
}

/** An error from an accessor or a proxy of the caller can hold anything, so it is not kept as a cause. */
export function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(error: unknown): StrongroomError {
  return isStrongroomError(error)
    ? error
    : new StrongroomError(
        'ERR_INVALID_ITEM',
        'Reading the arguments threw an error. Pass plain data, without accessors and proxies.',
      );
}

/**
 * The current position of a snapshot: the objects that are being copied, and the key of each but the first in the one
 * before. One for all items of a list: a path for each value would cost as much as the item.
 */
export interface Snapshots {
  readonly keys: (string | number)[];
  readonly objects: object[];
  /** At least the bytes of the item's JSON, without building it: six is the most that a UTF-16 unit can get. */
  size: number;
}

export function beginSnapshots(): Snapshots {
  return { keys: [], objects: [], size: 0 };
}

/** @param key Of this value in the innermost object; absent for the item itself. */
function snapshot(value: unknown, place: Snapshots, key?: string | number): unknown {
  place.size += 32;
  switch (typeof value) {
    case 'string':
      place.size += 6 * value.length;
      return value;
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value)) return value;
      return refuse(place, key, 'a number that JSON cannot hold');
    case 'object':
      break;
    default:
      return refuse(place, key, `a ${typeof value}`);
  }
  if (value === null) return null;
  if (value instanceof Uint8Array) {
    place.size += 2 * value.length;
    return new Uint8Array(value);
  }
  const { keys, objects } = place;
  // Items are flat: looking through the few objects above takes less time than a set of them.
  if (objects.includes(value)) return refuse(place, key, 'a cycle');
  if (objects.length >= MAX_DEPTH) return refuse(place, key, `nested more than ${MAX_DEPTH} levels deep`);
  if (key !== undefined) keys.push(key);
  objects.push(value);
  const copy = Array.isArray(value) ? snapshotArray(value, place) : snapshotObject(value, place);
  objects.pop();
  if (key !== undefined) keys.pop();
  return copy;
}

function snapshotArray(list: readonly unknown[], place: Snapshots): unknown[] {
  const copy: unknown[] = [];
  for (let index = 0; index < list.length; index++) copy.push(snapshot(list[index], place, index));
  return copy;
}

function snapshotObject(value: object, place: Snapshots): Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    return refuse(place, undefined, 'an instance of a class');
  }
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    place.size += 6 * key.length;
    setOwn(copy, key, snapshot(member, place, key));
  }
  return copy;
}

function refuse({ keys }: Snapshots, key: string | number | undefined, what: string): never {
  const path = itemPath(key === undefined ? keys : [...keys, key]);
  throw new StrongroomError(
    'ERR_INVALID_ITEM',
    `${path} is ${what}, which cannot be stored without loss. Use JSON values or a Uint8Array.`,
  );
}

/** Assignment that also works for a key named `__proto__`. */
export function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    target[key] = value;
  }
}

/** `$bytes`, `$$bytes`, …: a key of this shape gets one more `$`, so that bytes stay distinguishable. */
const BYTES_KEY = /^\$+bytes$/;

/** The JSON of a snapshot; bytes become `{"$bytes":"<base64>"}` (envelope format `sr1`). */
export function encodeItem(item: AgentInputItem): string {
  return JSON.stringify(needsEscape(item) ? escapeBytes(item) : item);
}

/** Checked before a copy: almost no item has bytes, and copying costs more than the JSON. */
function needsEscape(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof Uint8Array) return true;
  if (Array.isArray(value)) return value.some(needsEscape);
  for (const key in value) {
    if (key.endsWith('bytes') && BYTES_KEY.test(key)) return true;
    if (needsEscape((value as Record<string, unknown>)[key])) return true;
  }
  return false;
}

/** The item of {@link encodeItem}'s text. Throws on text that is no JSON object. */
export function decodeItem(text: string): AgentInputItem {
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) {
    throw new SyntaxError('not a JSON object');
  }
  // The quote makes the search fast: it seldom finds partial matches in text.
  return (text.includes('$bytes"') ? unescapeBytes(value) : value) as AgentInputItem;
}

function escapeBytes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return { $bytes: toBase64(value) };
  return mapChildren(value, escapeBytes, (key) => (BYTES_KEY.test(key) ? `$${key}` : key));
}

function unescapeBytes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (!Array.isArray(value)) {
    const bytes = (value as { $bytes?: unknown }).$bytes;
    if (typeof bytes === 'string' && Object.keys(value).length === 1) {
      const decoded = fromBase64(bytes);
      if (decoded === undefined) throw new SyntaxError('not canonical base64');
      return decoded;
    }
  }
  return mapChildren(value, unescapeBytes, (key) => (BYTES_KEY.test(key) ? key.slice(1) : key));
}

/** `value` itself when nothing changes, so that ordinary items are not copied. */
function mapChildren(
  value: object,
  map: (child: unknown) => unknown,
  rename: (key: string) => string,
): unknown {
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined;
    for (let index = 0; index < value.length; index++) {
      const child = map(value[index]);
      if (child !== value[index]) (copy ??= [...value])[index] = child;
    }
    return copy ?? value;
  }
  let changed = false;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const before = (value as Record<string, unknown>)[key];
    const after = map(before);
    const name = rename(key);
    changed ||= after !== before || name !== key;
    setOwn(copy, name, after);
  }
  return changed ? copy : value;
}

/** A deep copy of plain data, several times faster than `structuredClone` (strings are shared, bytes copied). */
export function cloneItem<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return new Uint8Array(value) as T;
  if (Array.isArray(value)) return value.map(cloneItem) as T;
  // Engines copy an object in one step this way; most values are strings, which need no further copy.
  const copy = { ...value } as Record<string, unknown>;
  for (const key of Object.keys(copy)) {
    const child = copy[key];
    if (typeof child === 'object' && child !== null) setOwn(copy, key, cloneItem(child));
  }
  return copy as T;
}

/**
 * Text that is equal for structurally equal items, independent of the order of their keys: the equality of the
 * runner's own reconciliation (`undefined` properties do not count).
 */
export function itemKey(item: unknown): string {
  return JSON.stringify(sortKeys(item));
}

function sortKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return { $bytes: toBase64(value) };
  if (Array.isArray(value)) return value.map(sortKeys);
  const sorted: Record<string, unknown> = {};
  for (const key of Object.keys(value).sort())
    setOwn(sorted, key, sortKeys((value as Record<string, unknown>)[key]));
  return sorted;
}
