import { isValueKey, rankOfName } from './named-values.ts';
import { nameBefore, nameOfEntry } from './paired-names.ts';
import { pathBelow, type Path } from './path.ts';

/** A literal in JSON text: a string, the key of a member, or a whole number of at least seven digits. */
export interface JsonLiteral {
  readonly kind: 'string' | 'key' | 'number';
  /** Offsets in the JSON text; quotes included. */
  readonly start: number;
  readonly end: number;
  /** The text of the literal, escapes resolved. */
  readonly text: string;
  readonly key?: string | undefined;
  readonly parentKey?: string | undefined;
  readonly path: Path | undefined;
}

interface Container {
  readonly isObject: boolean;
  /** Key under which the container itself stands. */
  readonly ownKey: string | undefined;
  readonly path: Path | undefined;
  /** Key of the member that is being read. */
  key: string | undefined;
  index: number;
  expectsKey: boolean;
  /** The name of the values of this object, and its rank. */
  name: string | undefined;
  rank: number;
  /** Positions of its values among what was found. */
  readonly values: number[];
  /** The last element of a list that is a text. */
  last: { readonly index: number; readonly text: string } | undefined;
  /** The first element, when it is a text, and the position of the second one among what was found. */
  entry: { readonly name: string; readonly position: number } | undefined;
}

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const MINUS = 45;
const DOT = 46;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const SHORTEST_NUMBER = 7;

/**
 * The literals of JSON text, or `undefined` when `text` is not JSON. Several values one after another (JSON lines)
 * are JSON text too. Editing only these ranges keeps everything else byte for byte: parsing and printing again
 * would round large numbers, merge duplicate keys and change spacing (ECMA-262, JSON.parse).
 *
 * @param scalars Whether a bare string or number counts; objects and arrays always do.
 */
export function jsonLiterals(
  text: string,
  at: {
    readonly key?: string | undefined;
    readonly parentKey?: string | undefined;
    readonly path: Path | undefined;
  },
  scalars: boolean,
): readonly JsonLiteral[] | undefined {
  if (!mayBeJson(text, scalars)) return undefined;
  if (isJson(text)) return scan(text, at);
  const first = firstVisible(text);
  return first === OPEN_BRACE || first === OPEN_BRACKET ? jsonLines(text, at) : undefined;
}

/** Whether a text begins as JSON text does. */
export function mayBeJson(text: string, scalars: boolean): boolean {
  const first = firstVisible(text);
  if (first === OPEN_BRACE || first === OPEN_BRACKET || first === QUOTE) return true;
  return scalars && (first === MINUS || isDigit(first));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Two or more objects or arrays, white space between them. */
function jsonLines(
  text: string,
  at: {
    readonly key?: string | undefined;
    readonly parentKey?: string | undefined;
    readonly path: Path | undefined;
  },
): readonly JsonLiteral[] | undefined {
  let depth = 0;
  let start = -1;
  let inString = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === BACKSLASH) index++;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) {
      if (depth === 0) return undefined;
      inString = true;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (depth++ === 0) start = index;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (--depth < 0) return undefined;
      if (depth === 0 && !isJson(text.slice(start, index + 1))) return undefined;
    } else if (depth === 0 && !isSpace(code)) return undefined;
  }
  return depth === 0 && !inString ? scan(text, at) : undefined;
}

/** Reads text that is known to be JSON. No recursion: nesting is bounded by the text only. */
function scan(
  text: string,
  at: {
    readonly key?: string | undefined;
    readonly parentKey?: string | undefined;
    readonly path: Path | undefined;
  },
): readonly JsonLiteral[] {
  const found: JsonLiteral[] = [];
  const stack: Container[] = [];
  let index = 0;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    const top = stack[stack.length - 1];
    if (code === QUOTE) {
      const { end, value } = stringAt(text, index);
      if (top?.isObject === true && top.expectsKey) {
        top.key = value;
        top.expectsKey = false;
        found.push({ kind: 'key', start: index, end, text: value, key: top.ownKey, path: top.path });
      } else {
        if (top?.isObject === true) noteMember(top, value, found.length);
        else if (stack.length > 1) noteElement(stack, found.length);
        found.push({ kind: 'string', start: index, end, text: value, ...place(top, at) });
        if (top?.isObject === false) nameElement(top, value, found);
      }
      index = end;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      const here = place(top, at);
      const isObject = code === OPEN_BRACE;
      stack.push({
        isObject,
        ownKey: here.key,
        path: here.path,
        key: undefined,
        index: 0,
        expectsKey: isObject,
        name: undefined,
        rank: Number.POSITIVE_INFINITY,
        values: [],
        last: undefined,
        entry: undefined,
      });
      index++;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      const closed = stack.pop();
      nameValues(closed, found);
      if (stack[stack.length - 1]?.isObject === false) nameEntry(closed, found);
      index++;
    } else if (code === COMMA && top !== undefined) {
      top.index++;
      top.expectsKey = top.isObject;
      index++;
    } else if (isDigit(code) || code === MINUS) {
      const start = index++;
      let whole = code !== MINUS;
      for (; index < text.length; index++) {
        const next = text.charCodeAt(index);
        if (isDigit(next)) continue;
        if (next === DOT || next === MINUS || next === 43 || next === 69 || next === 101) whole = false;
        else break;
      }
      if (whole && index - start >= SHORTEST_NUMBER) {
        if (top?.isObject === true && isValueKey(top.key)) top.values.push(found.length);
        else if (stack.length > 1) noteElement(stack, found.length);
        found.push({ kind: 'number', start, end: index, text: text.slice(start, index), ...place(top, at) });
        if (top?.isObject === false) noteEntry(top, found.length - 1);
      }
    } else {
      index++; // white space, a colon, a letter of true, false or null
    }
  }
  return found;
}

function noteMember(object: Container, text: string, position: number): void {
  if (isValueKey(object.key)) object.values.push(position);
  const rank = rankOfName(object.key, text);
  if (rank === undefined || rank >= object.rank) return;
  object.rank = rank;
  object.name = text;
}

/** `{"name": "phones", "values": ["…", "…"]}` */
function noteElement(stack: readonly Container[], position: number): void {
  const above = stack[stack.length - 2];
  if (above?.isObject === true && isValueKey(above.key)) above.values.push(position);
}

/** `["Authorization", "Basic …"]` */
function nameElement(list: Container, text: string, found: JsonLiteral[]): void {
  const position = found.length - 1;
  const { last, index, ownKey } = list;
  noteEntry(list, position);
  const name = last?.index === index - 1 ? nameBefore(last.text, text, index, ownKey) : undefined;
  if (name !== undefined) rename(found, position, name, ownKey);
  list.last = { index, text };
}

function noteEntry(list: Container, position: number): void {
  if (list.index === 1 && list.last !== undefined) list.entry = { name: list.last.text, position };
}

/** A list in a list, which is a pair when it has two elements. */
function nameEntry(list: Container | undefined, found: JsonLiteral[]): void {
  if (list?.entry === undefined || list.index !== 1) return;
  const { entry, ownKey } = list;
  const name = nameOfEntry(entry.name, found[entry.position]?.text, ownKey);
  if (name !== undefined) rename(found, entry.position, name, ownKey);
}

function rename(found: JsonLiteral[], position: number, key: string, parentKey: string | undefined): void {
  found[position] = { ...(found[position] as JsonLiteral), key, parentKey };
}

/** The member that names an object's value may follow it, so this is known at the end of the object. */
function nameValues(object: Container | undefined, found: JsonLiteral[]): void {
  if (object?.name === undefined) return;
  for (const position of object.values) {
    found[position] = {
      ...(found[position] as JsonLiteral),
      key: object.name,
      parentKey: object.ownKey,
    };
  }
}

function place(
  top: Container | undefined,
  at: {
    readonly key?: string | undefined;
    readonly parentKey?: string | undefined;
    readonly path: Path | undefined;
  },
): {
  readonly key?: string | undefined;
  readonly parentKey?: string | undefined;
  readonly path: Path | undefined;
} {
  if (top === undefined) return { key: at.key, parentKey: at.parentKey, path: at.path };
  const segment = top.isObject ? (top.key ?? '') : top.index;
  const path = pathBelow(top.path, segment);
  return top.isObject
    ? { key: top.key, parentKey: top.ownKey, path }
    : { key: top.ownKey, parentKey: undefined, path };
}

/** The string that begins at this quote. Most have no escape, and end at the next quote. */
function stringAt(text: string, start: number): { readonly end: number; readonly value: string } {
  const plain = text.slice(start + 1, text.indexOf('"', start + 1));
  if (!plain.includes('\\')) return { end: start + plain.length + 2, value: plain };
  const end = endOfString(text, start);
  return { end, value: JSON.parse(text.slice(start, end)) as string };
}

function endOfString(text: string, start: number): number {
  for (let index = start + 1; ; index++) {
    const code = text.charCodeAt(index);
    if (code === BACKSLASH) index++;
    else if (code === QUOTE) return index + 1;
  }
}

function firstVisible(text: string): number {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (!isSpace(code)) return code;
  }
  return COLON;
}

function isSpace(code: number): boolean {
  return code === 32 || code === 10 || code === 13 || code === 9;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
