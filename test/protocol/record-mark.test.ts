import type { AgentInputItem } from '@openai/agents';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Header } from '../../src/layer.ts';
import { carrierOf, formatEnvelope, formatHeader, recordKey } from '../../src/protocol/envelope.ts';
import { isMark, lengthOf, markKey, markOf } from '../../src/protocol/record-mark.ts';
import { sealedRecord } from '../../src/protocol/sealed-record.ts';

const did = 'A'.repeat(43);
const header = fc.record({ s: fc.constantFrom('XC20P', 'XAES-256-GCM'), t: fc.nat(3), e: fc.nat(3) });
const parts = fc
  .record({
    header: header.map((fields): Header => ({ s: fields.s, d: did, t: fields.t, e: fields.e })),
    body: fc.uint8Array({ minLength: 40, maxLength: 60 }),
    wrapped: fc.constantFrom(undefined, 'a.b.c.d.e', 'f.b.c.d.e'),
  })
  .map(({ wrapped, ...rest }) => ({
    ...rest,
    headerSegment: formatHeader(rest.header),
    ...(wrapped !== undefined && { wrapped }),
  }));

function mark(record: AgentInputItem): AgentInputItem {
  const found = markOf(record, undefined);
  if (found === undefined) throw new Error('It has no mark.');
  return found;
}

describe('the mark of a record', () => {
  it('has the key of the record, and of the carrier that it is written down as', () => {
    fc.assert(
      fc.property(parts, (of) => {
        const record = sealedRecord(of);
        const carrier = carrierOf(formatEnvelope(of.headerSegment, of.body, of.wrapped));
        const key = markKey(record);
        expect(markKey(mark(record))).toBe(key);
        expect(markKey(carrier)).toBe(key);
        expect(lengthOf(mark(record))).toBe(recordKey(carrier).length);
        expect(isMark(mark(record))).toBe(true);
        expect(isMark(record) || isMark(carrier)).toBe(false);
      }),
    );
  });

  it('has another key than a record with another header, tag or wrapped key', () => {
    const tagOf = (body: Uint8Array): string => body.slice(-16).join();
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const isSame =
          one.headerSegment === other.headerSegment &&
          one.wrapped === other.wrapped &&
          tagOf(one.body) === tagOf(other.body);
        expect(markKey(mark(sealedRecord(one))) === markKey(sealedRecord(other))).toBe(isSame);
      }),
    );
  });

  it('is made of sealed records only, and what is none keeps its whole key', () => {
    const text: AgentInputItem = { role: 'user', content: 'sr1.what.somebody pasted' };
    const pasted = carrierOf('sr1.what.somebody pasted');
    for (const record of [text, pasted]) {
      expect(markOf(record, undefined)).toBeUndefined();
      expect(markKey(record)).toBe(recordKey(record));
    }
  });

  it('keeps a wrapped key once that many records carry', () => {
    const wrapped = (): string => ['a', 'b', 'c', 'd', 'e'.repeat(100)].join('.');
    const record = (): AgentInputItem =>
      sealedRecord({
        header: { s: 'XC20P', d: did, t: 1 },
        headerSegment: '',
        body: new Uint8Array(40),
        wrapped: wrapped(),
      });
    const first = mark(record());
    const second = markOf(record(), first);
    expect(isMark(second) && second.wrapped).toBe(wrapped());
  });

  it('cannot be stored or returned as an item', () => {
    const kept = mark(
      sealedRecord({ header: { s: 'XC20P', d: did, t: 1 }, headerSegment: '', body: new Uint8Array(40) }),
    );
    expect(() => JSON.stringify(kept)).toThrow(/The mark of a record was used as a record/);
    expect(() => recordKey(kept)).toThrow(/The mark of a record was used as a record/);
  });
});
