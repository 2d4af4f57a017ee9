import { fromUtf8, utf8 } from '../../crypto/encoding.ts';
import type { MaybePromise } from '../../layer.ts';
import { mapInSlices } from '../../slices.ts';
import type { StoredRecord } from '../driver.ts';
import { damagedRecord } from '../record.ts';
import type { KeyValue } from './database.ts';

type Meta = readonly [
  head: string | null,
  did: string | null,
  wrapped: string | null,
  writtenAt: number,
  expiresAt: number | null,
  bornAt: number | null,
];

/** JSON has no line feed in it, so that one can end it. */
const LINE_FEED = 0x0a;

/** One record as a value: a line of JSON, then the body. */
export function encodeElement(record: StoredRecord): Uint8Array {
  const { head, did, wrapped, writtenAt, expiresAt, bornAt, body } = record;
  const meta: Meta = [head, did, wrapped, writtenAt, expiresAt, bornAt];
  const line = utf8(`${JSON.stringify(meta)}\n`);
  const rest = typeof body === 'string' ? utf8(body) : body;
  const value = new Uint8Array(line.length + rest.length);
  value.set(line);
  value.set(rest, line.length);
  return value;
}

/** A value that is not a record becomes a damaged one. */
export function decodeElement(value: Uint8Array): StoredRecord {
  const end = value.indexOf(LINE_FEED);
  try {
    const meta: unknown = JSON.parse(fromUtf8(value.subarray(0, end)));
    if (isMeta(meta)) {
      const [head, did, wrapped, writtenAt, expiresAt, bornAt] = meta;
      const rest = value.subarray(end + 1);
      const body = head === null ? fromUtf8(rest) : rest;
      return { head, did, wrapped, writtenAt, expiresAt, bornAt, body };
    }
  } catch {
    // It is no JSON, or no UTF-8.
  }
  return damagedRecord(value);
}

/** The records of a list, in slices of the event loop. */
export function decodeElements(pairs: readonly KeyValue[]): MaybePromise<StoredRecord[]> {
  return mapInSlices(pairs, ([, value]) => decodeElement(value), 1);
}

function isMeta(value: unknown): value is Meta {
  if (!Array.isArray(value) || value.length !== 6) return false;
  const [head, did, wrapped, writtenAt, expiresAt, bornAt] = value as unknown[];
  const isText = (part: unknown): boolean => part === null || typeof part === 'string';
  const isTime = (part: unknown): boolean => part === null || typeof part === 'number';
  return (
    [head, did, wrapped].every(isText) && typeof writtenAt === 'number' && [expiresAt, bornAt].every(isTime)
  );
}
