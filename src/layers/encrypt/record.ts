import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../../errors.ts';
import type { Entry, Header, HiddenEntry } from '../../layer.ts';
import {
  envelopeText,
  openClear,
  parseEnvelope,
  readHeader,
  type Envelope,
} from '../../protocol/envelope.ts';
import { decodeItem } from '../../protocol/item.ts';
import { isMark } from '../../protocol/record-mark.ts';
import { partsOf } from '../../protocol/sealed-record.ts';

/** The option that accepts plaintext, while it applies. */
export interface Accepting {
  readonly until: number;
  readonly envelopes: boolean;
  readonly onPlaintext: ((count: number, sessionId: string) => void) | undefined;
}

export function acceptingAt(plaintext: Accepting | undefined, now: number): Accepting | undefined {
  return plaintext !== undefined && now < plaintext.until ? plaintext : undefined;
}

export interface Plain {
  readonly plain: { readonly item: AgentInputItem; readonly header: Header };
}

/** The envelope of a sealed record, or plaintext that is accepted for now. */
export function classify(record: AgentInputItem, accepting: Accepting | undefined): Plain | Envelope {
  const parts = partsOf(record);
  if (parts !== undefined) return parts;
  const plain: Plain = { plain: { item: record, header: {} } };
  const text = envelopeText(record);
  if (text === undefined) {
    if (accepting !== undefined) return plain;
    return notSealed('it is plain text where a sealed record is required');
  }
  // Pasted text may begin like an envelope; it is not one without a valid header.
  if (accepting !== undefined && readHeader(text) === undefined) return plain;
  const envelope = parseEnvelope(text);
  if (envelope.header.s !== 'none') return envelope;
  if (accepting === undefined) return notSealed('its envelope is not sealed');
  if (!accepting.envelopes) return plain;
  const { e } = envelope.header;
  return { plain: { item: decodeClear(envelope), header: e === undefined ? {} : { e } } };
}

function decodeClear(envelope: Envelope): AgentInputItem {
  try {
    return decodeItem(openClear(envelope));
  } catch {
    throw new StrongroomError('ERR_MALFORMED', 'its unsealed envelope is not the JSON of an item.');
  }
}

function notSealed(what: string): never {
  throw new StrongroomError(
    'ERR_NOT_SEALED',
    `${what}: an old row, or a row that was inserted without encryption. Migrate old rows with migrate(), or accept them until a date ` +
      'with unsafeAllowPlaintext.',
  );
}

export function headerOf(record: AgentInputItem): Header | undefined {
  const parts = partsOf(record);
  if (parts !== undefined) return parts.header;
  if (isMark(record)) return record.header;
  const text = envelopeText(record);
  return text === undefined ? undefined : readHeader(text);
}

/** Of an entry, or of the record that is hidden. */
export function headerOfEntry(entry: Entry | HiddenEntry): Header | undefined {
  return entry.item === undefined ? headerOf(entry.stored) : entry.header;
}

/** Which data key opens a record, and how it is found. */
export interface KeyReference {
  readonly header: Header;
  readonly wrapped?: string | undefined;
}

/** The data key of an opened entry, `undefined` for plaintext that was accepted. */
export function referenceOf({ header, stored }: Entry): KeyReference | undefined {
  if (header.s === undefined || stored === undefined) return undefined;
  const parts = partsOf(stored);
  if (parts !== undefined) return parts;
  if (isMark(stored)) return stored;
  // The fourth segment. The segments before it can be long, and were checked when the record was opened.
  const text = envelopeText(stored) ?? '';
  const headerEnd = text.indexOf('.', text.indexOf('.') + 1);
  const bodyEnd = text.indexOf('.', headerEnd + 1);
  return bodyEnd < 0 ? { header } : { header, wrapped: text.slice(bodyEnd + 1) };
}

/** Neighbours mostly have one key, and a text that was looked up before is found faster. */
let last: { readonly key: KeyReference; readonly name: string } | undefined;

/** Equal for entries that one data key opens, and for all plaintext. */
export function nameOf(entry: Entry): string {
  const reference = referenceOf(entry);
  if (reference === undefined) return '';
  if (last !== undefined && sameKey(last.key, reference)) return last.name;
  const { header, wrapped } = reference;
  // A copy: the reference can be a record, whose body would be kept.
  last = { key: { header, wrapped }, name: keyOf(reference) };
  return last.name;
}

/**
 * The key contains everything that identifies a data key; a record with a changed suite must not find the same one.
 */
export function keyOf({ header, wrapped }: KeyReference): string {
  return wrapped === undefined ? `${header.s}.${header.d}` : `${header.s}.${header.d}.${wrapped}`;
}

export function sameKey(one: KeyReference, other: KeyReference): boolean {
  return one.header.d === other.header.d && one.header.s === other.header.s && one.wrapped === other.wrapped;
}
