import type { AgentInputItem } from '@openai/agents';
import { fromUtf8, pae, toBase64url, utf8 } from '../crypto/encoding.ts';
import { sha256 } from '../crypto/hash.ts';
import { StrongroomError } from '../errors.ts';
import type { Entry, Header, SessionLayer } from '../layer.ts';
import {
  carrierOf,
  clearOperationTag,
  envelopeText,
  formatEnvelope,
  formatHeader,
  parseEnvelope,
  type Envelope,
} from '../protocol/envelope.ts';
import { decodeItem, encodeItem } from '../protocol/item.ts';
import { mayShare, recordOrigin } from '../protocol/record-origin.ts';

/**
 * Header field of unsealed envelopes that names the session for which they were written. It distinguishes our rows
 * from text that a user pasted before the stack had a layer with stamps. It does not protect against a writer of
 * the database, like everything in an unsealed envelope.
 */
const WRITTEN_FOR = 'x-w';

function writtenFor(sessionId: string): string {
  return toBase64url(sha256(pae('sr1/none', sessionId)).subarray(0, 6));
}

/** The carrier of an entry that no layer seals (`s:"none"`). */
export function encloseClear(entry: Entry, index: number, sessionId: string, operationId?: string): Entry {
  const header: Header = {
    ...entry.header,
    s: 'none',
    ...(operationId !== undefined && { o: clearOperationTag(operationId, index) }),
    [WRITTEN_FOR]: writtenFor(sessionId),
  };
  const carrier = carrierOf(formatEnvelope(formatHeader(header), utf8(encodeItem(entry.item))));
  return { item: carrier, header, stored: carrier };
}

/** How a stack without a seal treats records that are not stamped. */
export type Unstamped = NonNullable<SessionLayer['unstamped']>;

/**
 * The entry in a record of a stack that stamps but does not seal. A record without an envelope is returned
 * unchanged, without a header: the stamping layer decides how to treat it.
 *
 * @throws {@link StrongroomError} `ERR_MALFORMED`, or `ERR_UNSUPPORTED` when the record is sealed.
 */
export function discloseClear(record: AgentInputItem, sessionId: string, unstamped: Unstamped): Entry {
  const plain: Entry = { item: record, header: {}, stored: record };
  const text = envelopeText(record);
  if (text === undefined) return plain;
  const mayBePasted = unstamped === 'keep';
  let envelope: Envelope;
  try {
    envelope = parseEnvelope(text);
  } catch (error) {
    if (mayBePasted) return plain;
    throw error;
  }
  if (envelope.header.s !== 'none') {
    if (mayBePasted) return plain;
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      'A record of this session is sealed, and this stack has no encrypt() layer. Add encrypt() with the keys that sealed it.',
    );
  }
  const origin = recordOrigin(record);
  const writer = origin !== undefined && mayShare(sessionId, origin) ? origin : sessionId;
  if (mayBePasted && envelope.header[WRITTEN_FOR] !== writtenFor(writer)) return plain;
  const { [WRITTEN_FOR]: _session, ...header } = envelope.header;
  try {
    return { item: decodeItem(fromUtf8(envelope.body)), header, stored: record };
  } catch {
    throw new StrongroomError(
      'ERR_MALFORMED',
      'The body of an unsealed record is not the JSON of an item. Restore the record from a backup.',
    );
  }
}

/** The index of an unsealed record in an operation of `count` records, or -1. */
export function matchesClear(record: AgentInputItem, operationId: string, count: number): number {
  const text = envelopeText(record);
  if (text === undefined) return -1;
  let tag: string | undefined;
  try {
    tag = parseEnvelope(text).header.o;
  } catch {
    return -1;
  }
  if (tag === undefined) return -1;
  for (let index = 0; index < count; index++) if (clearOperationTag(operationId, index) === tag) return index;
  return -1;
}
