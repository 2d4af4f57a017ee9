import type { AgentInputItem } from '@openai/agents';
import {
  carrierOf,
  envelopeText,
  formatEnvelope,
  formatHeader,
  isSealed,
  parseEnvelope,
  type Envelope,
} from '../protocol/envelope.ts';
import { withOrigin } from '../protocol/record-origin.ts';
import { partsOf, plainRecord, sealedRecord } from '../protocol/sealed-record.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import { MAX_BYTES } from '../limits.ts';
import { decodeItem, encodeItem, snapshotItem } from '../protocol/item.ts';
import type { Header } from '../layer.ts';
import type { StoredRecord } from './driver.ts';
import type { KeyProblem } from './failure.ts';

/** The rest of a header when data key and times have their own columns. `t: null`: it had none. */
type Rest = Omit<Header, 'd' | 't' | 'e' | 'g'> & { t?: null };

/** The bare name of a suite. */
const SEALED_HEAD = /^[A-Z][\w-]{0,31}$/;

/**
 * Splits an item for the database.
 *
 * @param now Unix milliseconds, for items that state no time themselves.
 * @throws {@link StrongroomError} `ERR_INVALID_ITEM` when the item cannot be stored without loss.
 */
export function encodeRecord(item: AgentInputItem, now: number): StoredRecord {
  const parts = partsOf(item);
  if (parts !== undefined) return encodeParts(parts, now) ?? encodeRecord(plainRecord(item), now);
  return encodeCarrier(item, now) ?? encodePlain(snapshotItem(item), now);
}

/**
 * Like {@link encodeRecord} for each item of a write, most of which have the same header.
 *
 * @param isGuarded Whether a data key must be in this database, when a record names it.
 */
export function createEncoder(
  now: number,
  isGuarded: (did: string) => boolean,
): (item: AgentInputItem) => StoredRecord {
  let last: { readonly parts: Envelope; readonly record: StoredRecord } | undefined;
  const guarded = (record: StoredRecord): StoredRecord =>
    record.did !== null && record.wrapped === null && isGuarded(record.did)
      ? { ...record, needsKey: true }
      : record;
  return (item) => {
    const parts = partsOf(item);
    if (parts === undefined) return guarded(encodeRecord(item, now));
    if (last !== undefined && isLike(last.parts, parts)) return { ...last.record, body: parts.body };
    const encoded = encodeParts(parts, now);
    if (encoded === undefined) return guarded(encodeRecord(plainRecord(item), now));
    const record = guarded(encoded);
    last = { parts, record };
    return record;
  };
}

/** Their headers are one object, with one segment. */
function isLike(one: Envelope, other: Envelope): boolean {
  return (
    one.header === other.header && one.headerSegment === other.headerSegment && one.wrapped === other.wrapped
  );
}

function encodePlain(item: AgentInputItem, now: number): StoredRecord {
  const plain = { head: null, did: null, wrapped: null, expiresAt: null, bornAt: null };
  return { ...plain, body: encodeItem(item), writtenAt: now };
}

/** `undefined` for a carrier that would not be rendered again exactly. */
function encodeCarrier(item: AgentInputItem, now: number): StoredRecord | undefined {
  if (typeof item !== 'object' || item === null || !hasKeys(item, ['type', 'role', 'content']))
    return undefined;
  const text = envelopeText(item);
  if (text === undefined) return undefined;
  if (!hasKeys((item as { content: object[] }).content[0] as object, ['type', 'text'])) return undefined;
  try {
    return encodeParts(parseEnvelope(text), now);
  } catch (error) {
    // Text that only looks like an envelope is text.
    if (isStrongroomError(error)) return undefined;
    throw error;
  }
}

/** `undefined` for parts that would not be rendered again exactly. */
function encodeParts(
  { header, headerSegment, body, wrapped }: Envelope,
  now: number,
): StoredRecord | undefined {
  // Longer than its column: pasted text.
  if (wrapped !== undefined && wrapped.length > MAX_BYTES.wrapped) return undefined;
  const { d, t, e, g, ...rest } = header;
  const record: StoredRecord = {
    head: encodeRest(t === undefined ? { ...rest, t: null } : rest),
    did: d ?? null,
    body,
    wrapped: wrapped ?? null,
    writtenAt: t ?? now,
    expiresAt: e ?? null,
    bornAt: g ?? null,
  };
  // Suite, data key and times are rendered in one way only.
  if (record.head === header.s) return record;
  // The other segments are rendered again exactly, or they would not have been parsed.
  return formatHeader(headerOf(record)) === headerSegment ? record : undefined;
}

/** The id of a data key that is not in the database's table is stored before the head: 43 characters and a space. */
export function withDid({ did, head }: StoredRecord): string {
  return `${did} ${head}`;
}

/** Undoes {@link withDid}. @param did The id from the table. */
export function withoutDid(head: string | null, did: string | null): Pick<StoredRecord, 'head' | 'did'> {
  if (head === null || head[0] === '{' || head[43] !== ' ') return { head, did };
  return { head: head.slice(44), did: head.slice(0, 43) };
}

/** Ids of the data keys that are looked up in the table: those which are not in the records. */
export function didsOf(records: readonly StoredRecord[]): ReadonlySet<string> {
  const dids = new Set<string>();
  for (const { did, wrapped } of records) if (did !== null && wrapped === null) dids.add(did);
  return dids;
}

/** Those of {@link didsOf} that must be in the table. */
export function neededDids(records: readonly StoredRecord[]): ReadonlySet<string> {
  return didsOf(records.filter(({ needsKey }) => needsKey === true));
}

/**
 * Why a record must not be written.
 *
 * @param key The state of its data key in the table.
 */
export function keyProblem(
  { did, needsKey }: StoredRecord,
  key: { readonly destroyed: boolean } | undefined,
): KeyProblem | undefined {
  if (did === null) return undefined;
  if (key === undefined) return needsKey === true ? { did, problem: 'lost' } : undefined;
  return key.destroyed ? { did, problem: 'destroyed' } : undefined;
}

/** Whether a record is only JSON and its time of writing. */
export function isPlain({ head, expiresAt, bornAt }: StoredRecord): boolean {
  return head === null && expiresAt === null && bornAt === null;
}

function hasKeys(value: object, expected: readonly string[]): boolean {
  const keys = Object.keys(value);
  return keys.length === expected.length && expected.every((key, index) => keys[index] === key);
}

/** The usual rest is the suite alone, stored as its bare name. */
function encodeRest(rest: Rest): string {
  return Object.keys(rest).length === 1 && rest.s !== undefined ? rest.s : JSON.stringify(rest);
}

function decodeRest(head: string): Rest {
  return head.startsWith('{') ? (JSON.parse(head) as Rest) : { s: head };
}

function headerOf(record: StoredRecord): Header {
  const { t, ...rest } = decodeRest(record.head ?? '');
  return {
    ...rest,
    ...(record.did !== null && { d: record.did }),
    ...(t !== null && { t: record.writtenAt }),
    ...(record.expiresAt !== null && { e: record.expiresAt }),
    ...(record.bornAt !== null && { g: record.bornAt }),
  };
}

function envelopeOf(record: StoredRecord): string {
  const header = formatHeader(headerOf(record));
  return formatEnvelope(header, record.body as Uint8Array, record.wrapped ?? undefined);
}

/**
 * The item again, a fresh plain object.
 *
 * @throws {@link StrongroomError} `ERR_MALFORMED` when the stored record is damaged, `ERR_KEY_UNKNOWN` when the row
 * of its data key is missing.
 */
export function decodeRecord(record: StoredRecord, sessionId: string): AgentInputItem {
  try {
    if (record.head !== null) return withOrigin(carrierOf(envelopeOf(record)), record.origin);
    if (typeof record.body === 'string') return decodeItem(record.body);
  } catch {
    // The parser's message quotes the text.
  }
  if (record.did === null && SEALED_HEAD.test(record.head ?? '')) {
    throw new StrongroomError(
      'ERR_KEY_UNKNOWN',
      `A record of session ${JSON.stringify(sessionId)} was sealed under a data key whose row is gone from the ` +
        'database. Restore it from a backup, or delete the session.',
    );
  }
  throw new StrongroomError(
    'ERR_MALFORMED',
    `A record of session ${JSON.stringify(sessionId)} is damaged: it is neither the JSON of an item nor an envelope. ` +
      'Restore it from a backup, or delete the session.',
  );
}

/** The last time of a `Date`. */
export const UNREADABLE_TIME = 8.64e15;

/**
 * A record whose times are unreadable: reading its item throws, and other work continues. It has the last time of a
 * `Date`, so that no purge deletes it and a replacement inherits no time from it.
 */
export function damagedRecord(body: Uint8Array): StoredRecord {
  return {
    head: null,
    did: null,
    wrapped: null,
    body,
    writtenAt: UNREADABLE_TIME,
    expiresAt: null,
    bornAt: null,
  };
}

/** Like {@link decodeRecord} for each record of a history, without the text of sealed ones. */
export function createDecoder(sessionId: string): (record: StoredRecord) => AgentInputItem {
  // Records that were written together have one header.
  let last:
    { readonly record: StoredRecord; readonly header: Header; readonly headerSegment: string } | undefined;
  const headOf = (record: StoredRecord): NonNullable<typeof last> => {
    if (last === undefined || !haveOneHeader(last.record, record)) {
      const header = headerOf(record);
      last = { record, header, headerSegment: formatHeader(header) };
    }
    return last;
  };
  return (record) => {
    const { head, body, wrapped } = record;
    if (head !== null && typeof body !== 'string') {
      try {
        const { header, headerSegment } = headOf(record);
        const own = alone(body);
        const parts =
          wrapped === null
            ? { header, headerSegment, body: own }
            : { header, headerSegment, body: own, wrapped };
        if (isSealed(parts)) return withOrigin(sealedRecord(parts), record.origin);
      } catch {
        // The error is reported below.
      }
    }
    return decodeRecord(record, sessionId);
  };
}

function haveOneHeader(one: StoredRecord, other: StoredRecord): boolean {
  return (
    one.writtenAt === other.writtenAt &&
    one.expiresAt === other.expiresAt &&
    one.bornAt === other.bornAt &&
    one.did === other.did &&
    one.head === other.head
  );
}

/**
 * A copy of a small part of a larger buffer, such as a packet of a driver: keeping the part would keep the whole
 * buffer.
 */
function alone(body: Uint8Array): Uint8Array {
  return body.buffer.byteLength > 2 * body.length ? new Uint8Array(body) : body;
}

/** Plain records with the times of their originals. Carriers have their own. */
export function withTimesOf(
  records: readonly StoredRecord[],
  originals: readonly (StoredRecord | undefined)[],
): readonly StoredRecord[] {
  return records.map((record, index) => {
    const original = originals[index];
    if (record.head !== null || original === undefined) return record;
    const { writtenAt, expiresAt, bornAt } = original;
    return { ...record, writtenAt, expiresAt, bornAt };
  });
}

/**
 * The plain records with the birth of the oldest replaced record, so that rewriting a history does not extend its
 * expiry. Carriers have their own times.
 */
export function inheritBirth(
  records: readonly StoredRecord[],
  replaced: readonly StoredRecord[],
): readonly StoredRecord[] {
  if (replaced.length === 0) return records;
  const birth = replaced.reduce(
    (oldest, record) => Math.min(oldest, record.bornAt ?? record.writtenAt),
    Number.POSITIVE_INFINITY,
  );
  return records.map((record) =>
    record.head === null && birth < record.writtenAt ? { ...record, bornAt: birth } : record,
  );
}
