import type { KeyRange } from '../key-value/database.ts';

/**
 * A node of a search tree. Entries are in the order of their keys: in a leaf (level 0) a key and its value, above
 * that the first key of a child and the name of its page.
 */
export interface TreeNode {
  readonly level: number;
  readonly entries: readonly Entry[];
}

export type Entry = readonly [key: string, text: string];

/** A page with its place in the tree, by which it is found. */
export interface Page {
  readonly name: string;
  readonly level: number;
  readonly first: string;
}

/** Pages never change: a change writes new ones. Rejects with {@link Gone} when one of them was removed. */
export type LoadPages = (names: readonly string[]) => Promise<readonly TreeNode[]>;

/** A page is not there any more: the root that named it is outdated. */
export class Gone extends Error {}

/** The new pages of a change, and those that the new root does not name any more. */
export interface Changes {
  readonly root: TreeNode;
  readonly written: readonly (Page & { readonly node: TreeNode })[];
  readonly retired: readonly Page[];
}

/** Characters of a page. A longer value has a page of its own. */
const MOST = 16_384;
/** How many pages are read ahead when a list has a limit. */
const AHEAD = 4;

export async function findIn(
  node: TreeNode,
  keys: readonly string[],
  load: LoadPages,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  if (node.level === 0) {
    const values = new Map(node.entries);
    for (const key of keys) {
      const value = values.get(key);
      if (value !== undefined) found.set(key, value);
    }
    return found;
  }
  const byChild = byChildOf(node, keys);
  byChild.delete(-1);
  const children = [...byChild.keys()];
  const nodes = await load(children.map((index) => (node.entries[index] as Entry)[1]));
  for (const [position, index] of children.entries()) {
    const below = await findIn(nodes[position] as TreeNode, byChild.get(index) as string[], load);
    for (const [key, value] of below) found.set(key, value);
  }
  return found;
}

export async function listIn(
  node: TreeNode,
  { from, to, limit = Number.POSITIVE_INFINITY, reverse = false }: KeyRange,
  load: LoadPages,
): Promise<Entry[]> {
  const inOrder = <T>(list: readonly T[]): readonly T[] => (reverse ? list.toReversed() : list);
  if (node.level === 0) {
    return inOrder(node.entries.filter(([key]) => key >= from && key < to)).slice(0, limit);
  }
  const { entries } = node;
  const children = inOrder(
    entries.filter(([first], index) => first < to && (entries[index + 1]?.[0] ?? to) > from),
  );
  const found: Entry[] = [];
  const step = Number.isFinite(limit) ? AHEAD : children.length;
  for (let start = 0; start < children.length && found.length < limit; start += step) {
    for (const child of await load(children.slice(start, start + step).map(([, name]) => name))) {
      if (found.length >= limit) break;
      found.push(...(await listIn(child, { from, to, limit: limit - found.length, reverse }, load)));
    }
  }
  return found;
}

/**
 * @param values The new text of each key; `undefined` removes it.
 * @param newName Gives a name that no page ever had.
 */
export async function changeIn(
  root: TreeNode,
  values: ReadonlyMap<string, string | undefined>,
  load: LoadPages,
  newName: () => string,
): Promise<Changes> {
  const written = new Map<string, Page & { readonly node: TreeNode }>();
  const retired: Page[] = [];

  const write = (node: TreeNode): Entry => {
    const [first] = node.entries[0] as Entry;
    const name = newName();
    written.set(name, { name, level: node.level, first, node });
    return [first, name];
  };
  const retire = ([first, name]: Entry, level: number): void => {
    // One of this change was never stored.
    if (!written.delete(name)) retired.push({ name, level, first });
  };

  async function change(node: TreeNode, keys: readonly string[]): Promise<readonly TreeNode[]> {
    if (node.level === 0) {
      const entries = new Map(node.entries);
      for (const key of keys) {
        const value = values.get(key);
        if (value === undefined) entries.delete(key);
        else entries.set(key, value);
      }
      return split({ level: 0, entries: [...entries].sort(byKey) });
    }
    const byChild = byChildOf(node, keys, 0);
    const touched = [...byChild.keys()];
    const nodes = await load(touched.map((index) => (node.entries[index] as Entry)[1]));
    const replaced = new Map<number, readonly Entry[]>();
    for (const [position, index] of touched.entries()) {
      const changed = await change(nodes[position] as TreeNode, byChild.get(index) as string[]);
      retire(node.entries[index] as Entry, node.level - 1);
      replaced.set(index, changed.map(write));
    }
    return split({
      level: node.level,
      entries: node.entries.flatMap((entry, index) => replaced.get(index) ?? [entry]),
    });
  }

  let tops = await change(root, [...values.keys()]);
  while (tops.length > 1) {
    const level = (tops[0] as TreeNode).level + 1;
    tops = split({ level, entries: tops.map(write) });
  }
  let top = tops[0] ?? { level: 0, entries: [] };
  while (top.level > 0 && top.entries.length === 1) {
    const only = top.entries[0] as Entry;
    const below = written.get(only[1])?.node ?? (await load([only[1]]))[0];
    retire(only, top.level - 1);
    top = below as TreeNode;
  }
  return { root: top, written: [...written.values()], retired };
}

/** Whether the tree has this page. */
export async function hasPage(root: TreeNode, page: Page, load: LoadPages): Promise<boolean> {
  let node = root;
  while (node.level > page.level) {
    const index = childOf(node, page.first);
    const child = node.entries[index];
    if (child === undefined) return false;
    if (node.level === page.level + 1) return child[1] === page.name;
    node = (await load([child[1]]))[0] as TreeNode;
  }
  return false;
}

/** @param least The child of keys before the first one. */
function byChildOf(node: TreeNode, keys: readonly string[], least = -1): Map<number, string[]> {
  const groups = new Map<number, string[]>();
  for (const key of keys) {
    const index = Math.max(childOf(node, key), least);
    const group = groups.get(index);
    if (group === undefined) groups.set(index, [key]);
    else group.push(key);
  }
  return groups;
}

/** The index of the child that can have the key, -1 for a key before the first. */
function childOf({ entries }: TreeNode, key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle] as Entry)[0] <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function byKey([one]: Entry, [other]: Entry): number {
  return one < other ? -1 : 1;
}

function split({ level, entries }: TreeNode): readonly TreeNode[] {
  const nodes: Entry[][] = [];
  let size = MOST;
  for (const entry of entries) {
    const length = entry[0].length + entry[1].length;
    if (size + length > MOST) {
      nodes.push([]);
      size = 0;
    }
    nodes.at(-1)?.push(entry);
    size += length;
  }
  return nodes.map((each) => ({ level, entries: each }));
}
