import type { AgentInputItem } from '@openai/agents';
import { isStrongroomError } from '../errors.ts';
import type { Header } from '../layer.ts';
import { envelopeText, parseEnvelope, recordKey, type Envelope } from './envelope.ts';
import { recordOrigin, withOrigin } from './record-origin.ts';
import { partsOf, recordLength } from './sealed-record.ts';

/** Bytes of the tag that ends the body of a sealed envelope, in every suite. */
const TAG_BYTES = 16;

/**
 * A cache keeps this instead of a sealed record: it identifies the record without holding it. It never leaves the
 * engine. See decision 70.
 */
export class RecordMark {
  readonly header: Header;
  /** The tag of the seal, a byte a character. */
  readonly tag: string;
  readonly wrapped: string | undefined;
  /** Length of the record, in characters. */
  readonly length: number;

  constructor(header: Header, tag: string, wrapped: string | undefined, length: number) {
    this.header = header;
    this.tag = tag;
    this.wrapped = wrapped;
    this.length = length;
  }

  /** Items have `content`. A mark is not an item: it must not be stored or returned to a caller. */
  get content(): never {
    throw new Error('The mark of a record was used as a record. Report this as a bug of strongroom.');
  }

  toJSON(): never {
    return this.content;
  }
}

/**
 * The mark of a record without text, `undefined` for any other.
 *
 * @param last The previous mark: an equal wrapped key is kept once.
 */
export function markOf(record: AgentInputItem, last: AgentInputItem | undefined): AgentInputItem | undefined {
  const parts = partsOf(record);
  if (parts === undefined || parts.header.s === 'none') return undefined;
  const { header, body } = parts;
  const known = isMark(last) ? last.wrapped : undefined;
  const wrapped = parts.wrapped === known ? known : parts.wrapped;
  // It replaces a record, for code that checks for marks first.
  const mark = new RecordMark(header, tagOf(body), wrapped, recordLength(record));
  return withOrigin(mark as unknown as AgentInputItem, recordOrigin(record));
}

export function isMark(record: unknown): record is RecordMark {
  return record instanceof RecordMark;
}

/** Characters of {@link recordKey} of the record, or of the marked one. */
export function lengthOf(record: AgentInputItem): number {
  return isMark(record) ? record.length : recordLength(record);
}

function tagOf(body: Uint8Array): string {
  const at = body.length - TAG_BYTES;
  // Unrolled, because it runs for every kept record: a loop takes three times as long, and a spread makes lists.
  return String.fromCharCode(
    body[at] as number,
    body[at + 1] as number,
    body[at + 2] as number,
    body[at + 3] as number,
    body[at + 4] as number,
    body[at + 5] as number,
    body[at + 6] as number,
    body[at + 7] as number,
    body[at + 8] as number,
    body[at + 9] as number,
    body[at + 10] as number,
    body[at + 11] as number,
    body[at + 12] as number,
    body[at + 13] as number,
    body[at + 14] as number,
    body[at + 15] as number,
  );
}

/** Like {@link recordKey}, and equal for a record and its mark. */
export function markKey(record: AgentInputItem): string {
  if (isMark(record)) return keyOf(record.header, record.tag, record.wrapped);
  const parts = partsOf(record) ?? sealedEnvelope(record);
  return parts === undefined ? recordKey(record) : keyOf(parts.header, tagOf(parts.body), parts.wrapped);
}

/** For a parsed or rendered header: its fields have the forms of the format, so that none contains the space. */
function keyOf(
  { s, d, t, e, g, o, ...extensions }: Header,
  tag: string,
  wrapped: string | undefined,
): string {
  let key = `${tag} ${s} ${d} ${t} ${e} ${g} ${o} ${wrapped}`;
  for (const field of Object.keys(extensions).sort()) {
    key += ` ${JSON.stringify([field, extensions[field as `x-${string}`]])}`;
  }
  return key;
}

function sealedEnvelope(record: AgentInputItem): Envelope | undefined {
  const text = envelopeText(record);
  if (text === undefined) return undefined;
  try {
    const envelope = parseEnvelope(text);
    return envelope.header.s === 'none' ? undefined : envelope;
  } catch (error) {
    // Text that only looks like an envelope is text.
    if (isStrongroomError(error)) return undefined;
    throw error;
  }
}
