import type { SqlResult, SqlRow, SqlValue } from '../sql/client.ts';

// Messages of PostgreSQL's protocol 3 (PostgreSQL manual, "Message Formats"): a letter, the length, and the
// content.

/** A column of a result. */
export interface Column {
  readonly name: string;
  /** Object id of its type. */
  readonly type: number;
}

const [BOOL, BYTEA] = [16, 17];
/** int8, int2, int4, oid, float4, float8. All integers in our tables are exact as numbers. */
const NUMBERS = [20, 21, 23, 26, 700, 701];

export const SYNC: Uint8Array = message('S', Buffer.alloc(0));
const EXECUTE = message('E', Buffer.alloc(5));

/** Prepares a statement in place of one that may have the name already, and asks for its columns. */
export function prepareMessages(name: string, text: string): Uint8Array {
  return Buffer.concat([
    message('C', Buffer.from(`S${name}\0`)),
    message('P', Buffer.from(`${name}\0${text}\0\0\0`)),
    message('D', Buffer.from(`S${name}\0`)),
  ]);
}

/** Runs a prepared statement. Bytes are sent in binary, other values as text. */
export function executeMessages(
  name: string,
  columns: readonly Column[],
  values: readonly SqlValue[],
): Uint8Array {
  const given = values.map(toWire);
  const head = 5 + 1 + Buffer.byteLength(name) + 1;
  const size = given.reduce((sum, value) => sum + 6 + lengthOf(value), head + 4 + 2 + 2 * columns.length);
  const bytes = Buffer.allocUnsafe(size + EXECUTE.length);
  bytes.write('B', 0, 'latin1');
  bytes.writeInt32BE(size - 1, 1);
  bytes.write(`\0${name}\0`, 5);
  let at = bytes.writeUInt16BE(given.length, head);
  for (const value of given) at = bytes.writeInt16BE(value instanceof Uint8Array ? 1 : 0, at);
  at = bytes.writeUInt16BE(given.length, at);
  for (const value of given) {
    at = bytes.writeInt32BE(value === null ? -1 : lengthOf(value), at);
    if (typeof value === 'string') at += bytes.write(value, at);
    else if (value !== null) {
      bytes.set(value, at);
      at += value.length;
    }
  }
  at = bytes.writeInt16BE(columns.length, at);
  for (const { type } of columns) at = bytes.writeInt16BE(type === BYTEA ? 1 : 0, at);
  bytes.set(EXECUTE, at);
  return bytes;
}

function message(letter: string, content: Buffer): Buffer {
  const bytes = Buffer.alloc(5 + content.length);
  bytes.write(letter, 0, 'latin1');
  bytes.writeInt32BE(4 + content.length, 1);
  bytes.set(content, 5);
  return bytes;
}

function lengthOf(value: string | Uint8Array | null): number {
  return typeof value === 'string' ? Buffer.byteLength(value) : (value?.length ?? 0);
}

function toWire(value: SqlValue): string | Uint8Array | null {
  if (value === null || typeof value === 'string' || value instanceof Uint8Array) return value;
  return typeof value === 'number' ? String(value) : `{${value.map(toElement).join(',')}}`;
}

function toElement(value: string | number | null): string {
  if (typeof value !== 'string') return value === null ? 'NULL' : String(value);
  return `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/**
 * Parses the answer to {@link prepareMessages}. @throws The error of the server, with the fields of PGlite's
 * errors.
 */
export function columnsOf(answer: Buffer): readonly Column[] {
  for (const { letter, at } of messages(answer)) {
    if (letter !== 'T') continue;
    let next = at + 2;
    return Array.from({ length: answer.readInt16BE(at) }, () => {
      const end = answer.indexOf(0, next);
      const column = { name: answer.toString('utf8', next, end), type: answer.readInt32BE(end + 7) };
      next = end + 19;
      return column;
    });
  }
  return [];
}

/**
 * Parses the answer to {@link executeMessages}.
 *
 * @param tuples Rows by the places of the columns, not by their names.
 * @throws Like {@link columnsOf}.
 */
export function resultOf(answer: Buffer, columns: readonly Column[], tuples: boolean): SqlResult {
  const rows: SqlRow[] = [];
  let changes = 0;
  for (const { letter, at, end } of messages(answer)) {
    if (letter === 'D') rows.push(rowOf(answer, at, columns, tuples));
    else if (letter === 'C') {
      const tag = /^(?:INSERT|UPDATE|DELETE|MERGE) .*?(\d+)$/.exec(answer.toString('latin1', at, end - 1));
      changes = Number(tag?.[1] ?? 0);
    }
  }
  return { rows, changes };
}

function rowOf(answer: Buffer, at: number, columns: readonly Column[], tuples: boolean): SqlRow {
  // Callers that ask for tuples read the row by position.
  const row: SqlRow = tuples ? ([] as unknown as SqlRow) : {};
  let next = at + 2;
  for (let place = 0; place < columns.length; place++) {
    const { name, type } = columns[place] as Column;
    const length = answer.readInt32BE(next);
    next += 4;
    row[tuples ? place : name] = length === -1 ? null : valueOf(answer, next, next + length, type);
    next += Math.max(length, 0);
  }
  return row;
}

function valueOf(answer: Buffer, at: number, end: number, type: number): unknown {
  // A copy: a part would keep the whole answer alive.
  if (type === BYTEA) return new Uint8Array(answer.subarray(at, end));
  const text = answer.toString('utf8', at, end);
  if (NUMBERS.includes(type)) return Number(text);
  return type === BOOL ? text === 't' : text;
}

function* messages(
  answer: Buffer,
): Generator<{ readonly letter: string; readonly at: number; readonly end: number }> {
  for (let at = 0, end: number; at < answer.length; at = end) {
    end = at + 1 + answer.readInt32BE(at + 1);
    const letter = String.fromCharCode(answer[at] as number);
    if (letter === 'E') throw errorOf(answer.toString('utf8', at + 5, end));
    yield { letter, at: at + 5, end };
  }
}

const FIELDS: Readonly<Record<string, string>> = {
  S: 'severity',
  C: 'code',
  D: 'detail',
  H: 'hint',
  P: 'position',
  W: 'where',
  s: 'schema',
  t: 'table',
  c: 'column',
  d: 'dataType',
  n: 'constraint',
  F: 'file',
  L: 'line',
  R: 'routine',
};

function errorOf(content: string): Error {
  const fields = content.split('\0').filter((field) => field !== '');
  const message = fields.find((field) => field.startsWith('M'))?.slice(1);
  const known = fields.flatMap((field) => {
    const name = FIELDS[field[0] as string];
    return name === undefined ? [] : [[name, field.slice(1)] as const];
  });
  return Object.assign(new Error(message), Object.fromEntries(known));
}
