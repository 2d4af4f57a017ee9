import { FIELD_NAMES } from './field-names.ts';
import { cloneItem } from './item.ts';

/** Makes deep copies of values of one shape: plain data with the same keys in the same order, at all levels. */
export type Copier = (value: object) => object;

/** Copies plain data of any shape. */
const ANY: Copier = cloneItem;

// A JavaScript engine optimizes each spread in the source for a few shapes, and takes several times as long for
// further ones. So there are several spreads, and shapes are assigned to them in turn.
const SPREADS: readonly ((value: object) => Record<string, unknown>)[] = [
  (value) => ({ ...value }),
  (value) => ({ ...value }),
  (value) => ({ ...value }),
  (value) => ({ ...value }),
  (value) => ({ ...value }),
  (value) => ({ ...value }),
  (value) => ({ ...value }),
  (value) => ({ ...value }),
];

/** How many shapes are remembered; later ones are copied without a copier of their own. */
const MOST_SHAPES = 1_000;

/** A node of the tree of shapes: objects with the same first keys. */
interface Beginning {
  /** The next node by key, for a value that is not an object, … */
  readonly plain: Map<string, Beginning>;
  /** … and for a value with this copier. */
  readonly nested: Map<Copier, Map<string, Beginning>>;
  /** The keys so far whose values are objects. */
  readonly copiers: readonly (readonly [key: string, copier: Copier])[];
  /** The copier of objects that end here. */
  copier?: Copier;
}

const NOTHING = beginningWith([]);
const lists = new Map<Copier, Copier>();
let shapes = 0;
let dealt = 0;

function beginningWith(copiers: Beginning['copiers']): Beginning {
  return { plain: new Map(), nested: new Map(), copiers };
}

/**
 * The copier of this plain data, for as long as it does not change; `undefined` for a value that is not an object.
 * Finding it takes longer than one copy, so it is for values that are copied repeatedly.
 */
export function copierOf(value: unknown): Copier | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (value instanceof Uint8Array) return ANY;
  return Array.isArray(value) ? copierOfList(value) : copierOfObject(value);
}

function copierOfObject(value: object): Copier {
  let at = NOTHING;
  for (const key of Object.keys(value)) {
    const next = after(at, key, copierOf((value as Record<string, unknown>)[key]));
    if (next === undefined) return ANY;
    at = next;
  }
  return (at.copier ??= objectCopier(at.copiers));
}

function after(at: Beginning, key: string, copier: Copier | undefined): Beginning | undefined {
  let by: Map<string, Beginning> | undefined = at.plain;
  if (copier !== undefined) {
    by = at.nested.get(copier);
    if (by === undefined) at.nested.set(copier, (by = new Map()));
  }
  let found = by.get(key);
  // A shape is remembered, and other keys can be text of a user.
  if (found === undefined && shapes < MOST_SHAPES && FIELD_NAMES.has(key)) {
    shapes++;
    found = beginningWith(copier === undefined ? at.copiers : [...at.copiers, [key, copier]]);
    by.set(key, found);
  }
  return found;
}

function objectCopier(copiers: Beginning['copiers']): Copier {
  const spread = SPREADS[dealt++ % SPREADS.length] as (typeof SPREADS)[number];
  const [first, second] = copiers;
  if (first === undefined) return spread;
  if (second === undefined) {
    const [key, copier] = first;
    return (value) => {
      const copy = spread(value);
      copy[key] = copier(copy[key] as object);
      return copy;
    };
  }
  return (value) => {
    const copy = spread(value);
    for (const [key, copier] of copiers) copy[key] = copier(copy[key] as object);
    return copy;
  };
}

/** The copier of a list whose elements have one shape, like the parts of a message. */
function copierOfList(list: readonly unknown[]): Copier {
  const copier = copierOf(list[0]);
  for (let index = 1; index < list.length; index++) if (copierOf(list[index]) !== copier) return ANY;
  if (copier === undefined) return copyList;
  let found = lists.get(copier);
  if (found === undefined && shapes < MOST_SHAPES) {
    shapes++;
    lists.set(copier, (found = listCopier(copier)));
  }
  return found ?? ANY;
}

function listCopier(copier: Copier): Copier {
  return (value) => {
    const list = value as readonly object[];
    return list.length === 1 ? [copier(list[0] as object)] : list.map((element) => copier(element));
  };
}

function copyList(list: object): object {
  return (list as readonly unknown[]).slice();
}
