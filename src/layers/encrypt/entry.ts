import type { AgentInputItem } from '@openai/agents';
import { counters } from '../../crypto/counters.ts';
import { fromUtf8 } from '../../crypto/encoding.ts';
import type { SuiteName } from '../../crypto/suite.ts';
import type { DataKey } from '../../keys/data-keys/types.ts';
import type { Entry, Header } from '../../layer.ts';
import { carrierOf, formatEnvelope, formatHeader, type Envelope } from '../../protocol/envelope.ts';
import { decodeItem } from '../../protocol/item.ts';
import { sealedRecord } from '../../protocol/sealed-record.ts';
import { failed, type Failure } from './undecryptable.ts';

/**
 * Seals one entry: the carrier, as it is stored.
 *
 * @param asParts The record is for a store of ours, which takes it apart: it is not written down.
 */
export function sealEntry(
  key: DataKey,
  suite: SuiteName,
  stamps: Header,
  plaintext: Uint8Array,
  now: number,
  operationId: string | undefined,
  index: number,
  asParts: boolean,
): Entry {
  const { derived } = key;
  const { o: _o, ...rest } = stamps;
  const header: Header = {
    ...rest,
    s: suite,
    d: key.did,
    t: stamps.t ?? now,
    ...(operationId !== undefined && { o: derived.operationTag(operationId, index) }),
  };
  const headerSegment = formatHeader(header);
  const nonce =
    operationId === undefined
      ? derived.nonce(headerSegment, plaintext)
      : derived.operationNonce(operationId, index, headerSegment, plaintext);
  const body = derived.aead.seal(nonce, plaintext, derived.associatedData(headerSegment));
  const { inline, row } = key;
  const record = asParts
    ? sealedRecord(
        { header, headerSegment, body, ...(inline !== undefined && { wrapped: inline }) },
        row?.state === 'stored' ? undefined : row,
      )
    : carrierOf(formatEnvelope(headerSegment, body, inline));
  return { item: record, header, stored: record };
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
