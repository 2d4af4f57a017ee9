import type { AgentInputItem } from '@openai/agents';
import { envelopeText, openClear, parseEnvelope, readHeader, type Envelope } from '../../envelope.ts';
import { StrongroomError } from '../../errors.ts';
import { decodeItem } from '../../item.ts';
import type { Header } from '../../layer.ts';

/** Plaintext is accepted until then. */
export interface Accepting {
  readonly until: number;
  readonly envelopes: boolean;
  readonly onPlaintext: ((count: number, sessionId: string) => void) | undefined;
}

export interface Plain {
  readonly plain: { readonly item: AgentInputItem; readonly header: Header };
}

export interface Sealed {
  readonly envelope: Envelope;
}

/** What a record is: sealed, or plaintext that is accepted for now. */
export function classify(record: AgentInputItem, accepting: Accepting | undefined): Plain | Sealed {
  const plain: Plain = { plain: { item: record, header: {} } };
  const text = envelopeText(record);
  if (text === undefined) {
    if (accepting !== undefined) return plain;
    return notSealed('it is plain text where a sealed record is required');
  }
  // Pasted text may begin like an envelope; it is none of ours unless it has a header.
  if (accepting !== undefined && readHeader(text) === undefined) return plain;
  const envelope = parseEnvelope(text);
  if (envelope.header.s !== 'none') return { envelope };
  if (accepting === undefined) return notSealed('its envelope is not sealed');
  if (!accepting.envelopes) return plain;
  const { e } = envelope.header;
  return { plain: { item: decodeClear(envelope), header: e === undefined ? {} : { e } } };
}

function decodeClear(envelope: Envelope): AgentInputItem {
  try {
    return decodeItem(openClear(envelope));
  } catch {
    throw new StrongroomError('ERR_MALFORMED', 'its unsealed envelope holds no JSON of an item.');
  }
}

function notSealed(what: string): never {
  throw new StrongroomError(
    'ERR_NOT_SEALED',
    `${what}: an old row, or one that somebody inserted. Migrate old rows with migrate(), or allow them until a date ` +
      'with unsafeAllowPlaintext.',
  );
}

export function headerOf(record: AgentInputItem): Header | undefined {
  const text = envelopeText(record);
  return text === undefined ? undefined : readHeader(text);
}

/** Data keys differ by all that finds them; a suite changed in the header must not find the same one. */
export function keyOf({ header, wrapped }: Envelope): string {
  return wrapped === undefined ? `${header.s}.${header.d}` : `${header.s}.${header.d}.${wrapped}`;
}

export function sameKey(one: Envelope, other: Envelope): boolean {
  return one.header.d === other.header.d && one.header.s === other.header.s && one.wrapped === other.wrapped;
}
