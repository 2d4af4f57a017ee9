import type { AgentInputItem } from '@openai/agents';
import { utf8 } from '../crypto/encoding.ts';
import { jsonLiterals, type JsonLiteral } from './json-text.ts';
import type { Inspect, Look } from './look.ts';
import { isValueKey, nameIn } from './named-values.ts';
import { nameInList } from './paired-names.ts';
import { checkDepth, pathBelow, type Path } from './path.ts';
import type { TextContext } from './recognizer.ts';
import { formatPath } from './report-path.ts';
import { isProtectedExtra, itemType, mapArray, setOwn, walkItem, type Place, type Visitor } from './walk.ts';

/** A text to be searched: a whole field, or one literal of JSON text. */
export interface Leaf {
  /** The result of the scan of the text, if it was scanned already. */
  readonly look?: Look | undefined;
  readonly text: string;
  readonly kind: 'text' | 'key' | 'number' | 'unscanned';
  readonly context: TextContext;
  readonly path: Path | undefined;
  /** Texts that share this follow each other directly. */
  readonly run?: object | undefined;
}

/** The texts of an item that can contain a find, and a function to replace them. */
export interface Plan {
  readonly leaves: readonly Leaf[];
  /** The planned item with these texts, one for each leaf; the item itself when none has changed. */
  readonly render: (item: AgentInputItem, texts: readonly string[]) => AgentInputItem;
}

/** JSON text in JSON text doubles its escapes at each level, so that real nesting is shallow. */
export const DEEPEST_JSON = 8;
const LEAST_NUMBER = 1_000_000;

/** Renders a field from the texts of its leaves. */
type Render = (texts: readonly string[]) => string;

/** The fields that may change, by their position in the walk. */
type Fields = Map<number, Render>;

interface LiteralPart {
  readonly literal: JsonLiteral;
  readonly render: Render;
}

interface LeafPlace {
  readonly path: Path | undefined;
  readonly key?: string | undefined;
  readonly parentKey?: string | undefined;
}

/** Finds the texts of an item. */
export type PlanItem = (item: AgentInputItem) => Plan;

/** Of an item without a text that can contain a find, as most are. */
const NOTHING_TO_DO: Plan = { leaves: [], render: (item) => item };

/**
 * Finds the texts of an item once; nothing is edited yet. Clean texts are omitted, unless a find can reach from one
 * into the next. The functions of the walk are made once for all items.
 *
 * @param maxScanBytes A field of more bytes of UTF-8 becomes one `unscanned` leaf.
 */
export function createPlanItem(maxScanBytes: number, inspect: Inspect): PlanItem {
  // Of the item that is being planned: a walk is synchronous.
  let type = '';
  // Absent as long as there is none: most items have no text to edit.
  let leaves: Leaf[] | undefined;
  let fields: Fields | undefined;
  let fieldCount = 0;

  const note = (render: Render | undefined): void => {
    if (render !== undefined) (fields ??= new Map()).set(fieldCount, render);
    fieldCount++;
  };
  const addField = (text: string, place: Place): string => {
    note(isLarger(text, maxScanBytes) ? planUnscanned(text, place) : planText(text, place, 0));
    return text;
  };
  const addLeaf = (kind: Leaf['kind'], text: string, at: LeafPlace, look?: Look, run?: object): Render => {
    leaves ??= [];
    const index = leaves.length;
    leaves.push({ kind, text, context: contextOf(type, at, kind === 'key'), path: at.path, run, look });
    return (texts) => texts[index] as string;
  };
  /** A key or a number. */
  const planWord = (kind: 'key' | 'number', text: string, at: LeafPlace): Render | undefined => {
    const look = inspect.look(text, at);
    if (look === undefined || (kind === 'number' && inspect.isCleanNumber(text, at, look))) return undefined;
    return addLeaf(kind, text, at, look);
  };
  const planUnscanned = (text: string, place: Place): Render => {
    const render = addLeaf('unscanned', text, place);
    return place.strictJson === true ? (texts) => JSON.stringify(render(texts)) : render;
  };
  const planText = (
    text: string,
    at: LeafPlace & { readonly strictJson?: true; readonly run?: object },
    depth: number,
  ): Render | undefined => {
    const look = inspect.look(text, at);
    const { run } = at;
    if (look === undefined && run === undefined) return undefined;
    const literals = depth < DEEPEST_JSON ? jsonLiterals(text, at, at.strictJson === true) : undefined;
    if (literals === undefined) return addLeaf('text', text, at, look, run);
    const parts: LiteralPart[] = [];
    for (const literal of literals) {
      if (inspect.isClean(look, literal)) continue;
      const { kind } = literal;
      const render =
        kind === 'string'
          ? planText(literal.text, literal, depth + 1)
          : planWord(kind, literal.text, literal);
      if (render !== undefined) parts.push({ literal, render });
    }
    return parts.length === 0 ? undefined : (texts) => renderJson(text, parts, texts);
  };

  const collectData: DataVisitor = {
    text: addField,
    number(number, place) {
      note(planWord('number', String(number), place));
      return number;
    },
    key(key, place) {
      note(planWord('key', key, place));
      return key;
    },
  };
  const collect: Visitor = {
    text: addField,
    data: (value, place) => walkData(value, place, false, collectData),
    extra: (value, place) => walkData(value, place, true, collectData),
  };

  return (item) => {
    const outerType = type;
    const outerLeaves = leaves;
    const outerFields = fields;
    const outerCount = fieldCount;
    type = itemType(item);
    leaves = undefined;
    fields = undefined;
    fieldCount = 0;
    try {
      walkItem(item, collect);
      return planOf(leaves, fields);
    } finally {
      // Nothing of the item is kept, and an accessor of the item may have redacted another one.
      type = outerType;
      leaves = outerLeaves;
      fields = outerFields;
      fieldCount = outerCount;
    }
  };
}

function planOf(leaves: readonly Leaf[] | undefined, fields: Fields | undefined): Plan {
  return leaves === undefined ? NOTHING_TO_DO : { leaves, render: createRender(fields) };
}

function createRender(fields: Fields | undefined): Plan['render'] {
  return (item, texts) => {
    let next = 0;
    const take = (text: string): string => fields?.get(next++)?.(texts) ?? text;
    const fillData: DataVisitor = {
      text: take,
      number: (number) => {
        const text = take(String(number));
        if (text === String(number)) return number;
        if (!isJsonNumber(text)) return text;
        return text === 'null' ? null : Number(text);
      },
      key: take,
    };
    return walkItem(item, {
      text: take,
      data: (value, place) => walkData(value, place, false, fillData),
      extra: (value, place) => walkData(value, place, true, fillData),
    });
  };
}

/**
 * The parts of an item that redaction never changes, with every text blank: equal for an item before and after any
 * redaction.
 */
export function blankItem(item: AgentInputItem): AgentInputItem {
  const extra = (value: unknown): unknown => {
    if (typeof value === 'string' || typeof value === 'number') return '';
    if (typeof value !== 'object' || value === null) return value;
    const kept = Object.entries(value).filter(([key, member]) => isProtectedExtra(key, member));
    return Object.fromEntries(kept);
  };
  try {
    return walkItem(item, { text: () => '', data: () => '', extra });
  } catch {
    // Nested too deep to be walked or stored: equal to nothing.
    return { type: 'unknown', role: 'user', content: '' } as never;
  }
}

function isLarger(text: string, maxBytes: number): boolean {
  return text.length > maxBytes || (text.length * 3 > maxBytes && utf8(text).length > maxBytes);
}

interface DataVisitor {
  text(text: string, place: Place): string;
  number(value: number, place: Place): unknown;
  key(key: string, place: Place): string;
}

/**
 * Values beyond the protocol. Keys are texts too, numbers of seven digits and more are treated as texts. In
 * `providerData` fields that the protocol protects stay protected.
 */
function walkData(value: unknown, place: Place, isExtra: boolean, visitor: DataVisitor): unknown {
  if (typeof value === 'string') {
    return visitor.text(value, place.key === 'arguments' ? { ...place, strictJson: true } : place);
  }
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < LEAST_NUMBER) return value;
    return visitor.number(value, place);
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  checkDepth(place.path);
  if (Array.isArray(value)) {
    const isInList = typeof place.path.segment === 'number';
    return mapArray(value, (element, index) => {
      const path = pathBelow(place.path, index);
      const name = nameInList(value, index, isInList, place.key);
      const at = name === undefined ? { ...place, path } : { path, key: name, parentKey: place.key };
      return walkData(element, at, isExtra, visitor);
    });
  }
  const keys = Object.keys(value);
  const isKept = (key: string): boolean =>
    isExtra && isProtectedExtra(key, (value as Record<string, unknown>)[key]);
  const wanted = keys.map((key) => (isKept(key) ? key : visitor.key(key, place)));
  const name = keys.some(isValueKey) ? nameIn(value) : undefined;
  const members = keys.map((key) => {
    const member = (value as Record<string, unknown>)[key];
    if (isKept(key)) return member;
    const at: Place = {
      path: pathBelow(place.path, key),
      key: name !== undefined && isValueKey(key) ? name : key,
      parentKey: place.key,
    };
    return walkData(member, at, isExtra && key !== 'arguments', visitor);
  });
  const names = distinctNames(keys, wanted);
  const unchanged = keys.every(
    (key, index) => names[index] === key && members[index] === (value as Record<string, unknown>)[key],
  );
  if (unchanged) return value;
  const copy: Record<string, unknown> = {};
  for (const [index, name] of names.entries()) setOwn(copy, name, members[index]);
  return copy;
}

/** Two keys that became equal must not lose a value: the later one gets a number. */
function distinctNames(keys: readonly string[], wanted: readonly string[]): readonly string[] {
  const taken = new Set(keys.filter((key, index) => wanted[index] === key));
  // Each name continues its count: starting from 2 for each key would be quadratic in keys of one placeholder.
  const counts = new Map<string, number>();
  return keys.map((key, index) => {
    const name = wanted[index] as string;
    if (name === key) return name;
    let count = counts.get(name) ?? 1;
    let candidate = count === 1 ? name : `${name}_${count}`;
    while (taken.has(candidate)) candidate = `${name}_${++count}`;
    counts.set(name, count);
    taken.add(candidate);
    return candidate;
  });
}

/** Whether the replacement of a number is still a JSON number: digits, or `null`. */
function isJsonNumber(text: string): boolean {
  return text === 'null' || /^(?:0|[1-9]\d*)$/.test(text);
}

function renderJson(source: string, parts: readonly LiteralPart[], texts: readonly string[]): string {
  const pieces: string[] = [];
  let done = 0;
  for (const { literal, render } of parts) {
    const text = render(texts);
    if (text === literal.text) continue;
    pieces.push(
      source.slice(done, literal.start),
      literal.kind === 'number' && isJsonNumber(text) ? text : JSON.stringify(text),
    );
    done = literal.end;
  }
  if (done === 0) return source;
  pieces.push(source.slice(done));
  return pieces.join('');
}

/** The path is built on demand: most texts contain nothing to report. */
export function contextOf(
  type: string,
  at: {
    readonly path: Path | undefined;
    readonly key?: string | undefined;
    readonly parentKey?: string | undefined;
  },
  isKey: boolean,
): TextContext {
  const { path, key, parentKey } = at;
  return {
    itemType: type,
    get path(): string {
      return formatPath(path);
    },
    key,
    parentKey,
    isKey: isKey || undefined,
  };
}
