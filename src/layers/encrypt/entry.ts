import type { AgentInputItem } from '@openai/agents';
import { counters } from '../../crypto/counters.ts';
import { fromUtf8 } from '../../crypto/encoding.ts';
import { ENOUGH_BYTES, MOST_ENTRIES, type Unsealed } from '../../crypto/hedged-nonces.ts';
import type { SuiteName } from '../../crypto/suite.ts';
import type { DataKey } from '../../keys/data-keys/types.ts';
import type { Entry, Header } from '../../layer.ts';
import { carrierOf, formatEnvelope, formatHeader, type Envelope } from '../../protocol/envelope.ts';
import { sameFields } from '../../protocol/header.ts';
import { decodeItem } from '../../protocol/item.ts';
import { sealedRecord } from '../../protocol/sealed-record.ts';
import { failed, type Failure } from './undecryptable.ts';

/** The common properties of the entries of one write. */
export interface SealedWrite {
  readonly suite: SuiteName;
  readonly now: number;
  readonly operationId: string | undefined;
  /** How many entries there are. */
  readonly count: number;
  /** The records are for a store of ours, which splits them: their text is not made. */
  readonly asParts: boolean;
}

/** What an entry of a write contains; asked for once, in order. */
export type Contents = (index: number) => { readonly stamps: Header; readonly plaintext: Uint8Array };

/** Seals an entry of a write, all of them in order: the carrier, as it is stored. */
export type Seal = (index: number) => Entry;

export function createSeal(key: DataKey, write: SealedWrite, contents: Contents): Seal {
  const { derived, inline, row } = key;
  const prepare = createPrepare(key, write, contents);
  return (index) => {
    const { header, headerSegment, plaintext, nonce } = prepare(index);
    const body = derived.aead.seal(nonce, plaintext, derived.associatedData(headerSegment));
    const record = write.asParts
      ? sealedRecord(
          inline === undefined
            ? { header, headerSegment, body }
            : { header, headerSegment, body, wrapped: inline },
          row?.state === 'stored' ? undefined : row,
        )
      : carrierOf(formatEnvelope(headerSegment, body, inline));
    return { item: record, header, stored: record };
  };
}

interface UnsealedEntry extends Unsealed {
  readonly header: Header;
}

interface Prepared extends UnsealedEntry {
  readonly nonce: Uint8Array;
}

/** Everything that sealing an entry takes. Without an operation, the nonces of a few entries come from one MAC. */
function createPrepare(key: DataKey, write: SealedWrite, contents: Contents): (index: number) => Prepared {
  const { derived } = key;
  const { operationId, count } = write;
  const headerOf = createHeaders(key, write);
  const unsealed = (index: number): UnsealedEntry => {
    const { stamps, plaintext } = contents(index);
    const { header, headerSegment } = headerOf(stamps, index);
    return { header, headerSegment, plaintext };
  };
  if (operationId !== undefined) {
    return (index) => {
      const entry = unsealed(index);
      const { headerSegment, plaintext } = entry;
      return { ...entry, nonce: derived.operationNonce(operationId, index, headerSegment, plaintext) };
    };
  }
  /** The entries from this one on that share a MAC. */
  const groupFrom = (first: number): readonly UnsealedEntry[] => {
    const entries: UnsealedEntry[] = [];
    const end = Math.min(first + MOST_ENTRIES, count);
    let bytes = 0;
    for (let index = first; index < end && bytes < ENOUGH_BYTES; index++) {
      const entry = unsealed(index);
      entries.push(entry);
      bytes += entry.plaintext.length;
    }
    return entries;
  };
  let first = 0;
  let group: readonly UnsealedEntry[] = [];
  let nonces: readonly Uint8Array[] = [];
  return (index) => {
    if (index === first + group.length) {
      first = index;
      group = groupFrom(first);
      nonces = derived.nonces(group);
    }
    return { ...(group[index - first] as UnsealedEntry), nonce: nonces[index - first] as Uint8Array };
  };
}

interface WrittenHeader {
  readonly header: Header;
  readonly headerSegment: string;
}

/** The headers of a write. Most of its entries have the same header, which is rendered once. */
function createHeaders(
  { did, derived }: DataKey,
  { suite, now, operationId }: SealedWrite,
): (stamps: Header, index: number) => WrittenHeader {
  let last: (WrittenHeader & { readonly stamps: Header }) | undefined;
  return (stamps, index) => {
    if (operationId === undefined && last !== undefined && sameFields(last.stamps, stamps)) return last;
    const { o: _o, ...rest } = stamps;
    const header: Header = {
      ...rest,
      s: suite,
      d: did,
      t: stamps.t ?? now,
      ...(operationId !== undefined && { o: derived.operationTag(operationId, index) }),
    };
    last = { stamps, header, headerSegment: formatHeader(header) };
    return last;
  };
}

/** Opens one record with its data key. */
export function openEntry(key: DataKey, envelope: Envelope, record: AgentInputItem): Entry | Failure {
  const { header, headerSegment, body } = envelope;
  counters.opens++;
  const text = key.derived.aead.open(body, key.derived.associatedData(headerSegment));
  if (text === undefined) {
    return failed(
      'ERR_AUTHENTICATION',
      'it was changed after it was sealed. Treat it as tampering, and restore it from a backup.',
    );
  }
  try {
    return { item: decodeItem(fromUtf8(text)), header, stored: record };
  } catch {
    return failed(
      'ERR_MALFORMED',
      'it is authentic, but not the JSON of an item: another version or program wrote it.',
    );
  }
}
