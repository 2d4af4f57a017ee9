import type { StoredRecord } from '../driver.ts';
import { damagedRecord, isPlain } from '../record.ts';
import type { RedisArgument } from './client.ts';

// A record is one element of a list. A plain item that inherits no time is the Unix milliseconds at which it was written,
// a space and its JSON: that is cheap to read. Any other record is a line of JSON `[written, expires, born, data
// key, head, wrapped]`, then the body's bytes; the session that it was written for can follow in the line, when that is another one. The scripts read the times of both (`TIMES`). The last record of an
// append is preceded by its mark between tildes: it distinguishes the history from any other of the same length
// (`VERSION_OF`).

/** Where the head of a record stands, in the first element of a branch: it is no record (see shared-scripts.ts). */
export const SHARE = 'share';

const TILDE = 126;
const NEW_LINE = 10;
const SPACE = 32;
const ZERO = 48;
const NINE = 57;

/** The records of one append. They mostly have the same line. */
export function encodeAppend(records: readonly StoredRecord[], mark: number): RedisArgument[] {
  const last = records.length - 1;
  let before: StoredRecord | undefined;
  let line = '';
  return records.map((record, index) => {
    if (before === undefined || !haveOneLine(before, record)) line = lineOf(record);
    before = record;
    return elementOf(index === last ? `~${mark}~${line}` : line, record.body);
  });
}

/** What stands before the body. */
function lineOf(record: StoredRecord): string {
  const { writtenAt, expiresAt, bornAt, did, head, wrapped, origin } = record;
  if (isPlain(record) && isCount(writtenAt) && origin === undefined) return `${writtenAt} `;
  return `[${writtenAt},${expiresAt},${bornAt},${quoted(did)},${quoted(head)},${quoted(wrapped)}${origin === undefined ? '' : `,${quoted(origin)}`}]\n`;
}

function haveOneLine(one: StoredRecord, other: StoredRecord): boolean {
  return (
    one.writtenAt === other.writtenAt &&
    one.expiresAt === other.expiresAt &&
    one.bornAt === other.bornAt &&
    one.did === other.did &&
    one.head === other.head &&
    one.wrapped === other.wrapped &&
    one.origin === other.origin
  );
}

function elementOf(line: string, body: string | Uint8Array): RedisArgument {
  // Text stays text: the client sends it in one packet with its neighbours.
  if (typeof body === 'string') return line + body;
  const start = Buffer.byteLength(line);
  const element = Buffer.allocUnsafe(start + body.length);
  element.write(line);
  element.set(body, start);
  return element;
}

/** Whether its text is digits alone. */
function isCount(time: number): boolean {
  return Number.isSafeInteger(time) && time >= 0;
}

function quoted(text: string | null): string {
  return text === null ? 'null' : JSON.stringify(text);
}

/** Bytes that are not an element become a damaged record. */
export function decodeElements(elements: readonly Buffer[]): StoredRecord[] {
  const decodeLined = linedDecoder();
  return elements.map((element) => {
    const record = element[0] === TILDE ? element.subarray(element.indexOf(TILDE, 1) + 1) : element;
    return decodePlain(record) ?? decodeLined(record);
  });
}

function decodePlain(element: Buffer): StoredRecord | undefined {
  let writtenAt = 0;
  let end = 0;
  for (let digit = element[0] as number; digit >= ZERO && digit <= NINE; digit = element[++end] as number) {
    writtenAt = writtenAt * 10 + digit - ZERO;
  }
  if (end === 0 || element[end] !== SPACE) return undefined;
  const body = element.toString('utf8', end + 1);
  return { head: null, did: null, body, wrapped: null, writtenAt, expiresAt: null, bornAt: null };
}

/** Records that were appended together mostly have the same line: it is parsed once. */
function linedDecoder(): (element: Buffer) => StoredRecord {
  let previous: Buffer | undefined;
  let line: Line | undefined;
  let end = -1;
  return (element) => {
    if (
      previous === undefined ||
      element[end] !== NEW_LINE ||
      element.compare(previous, 0, end, 0, end) !== 0
    ) {
      end = element.indexOf(NEW_LINE);
      line = parseLine(element.toString('utf8', 0, Math.max(end, 0)));
      previous = line === undefined ? undefined : element;
    }
    if (line === undefined) return damagedRecord(element);
    const [writtenAt, expiresAt, bornAt, did, head, wrapped, origin] = line;
    const body = head === null ? element.toString('utf8', end + 1) : element.subarray(end + 1);
    const record = { writtenAt, expiresAt, bornAt, did, head, wrapped, body };
    return origin === undefined ? record : { ...record, origin };
  };
}

type Line = [
  number,
  number | null,
  number | null,
  string | null,
  string | null,
  string | null,
  (string | undefined)?,
];

function parseLine(text: string): Line | undefined {
  try {
    const line: unknown = JSON.parse(text);
    return Array.isArray(line) ? (line as Line) : undefined;
  } catch {
    return undefined;
  }
}

/** Parts of a shared history, as scripts return them: the session that each was written for, and its elements. */
export function decodeParts(parts: readonly unknown[], sessionId: string): StoredRecord[] {
  const records: StoredRecord[] = [];
  for (let at = 0; at < parts.length; at += 2) {
    const id = String(parts[at]);
    for (const record of decodeElements(parts[at + 1] as Buffer[]))
      records.push(id === sessionId || record.origin !== undefined ? record : { ...record, origin: id });
  }
  return records;
}
