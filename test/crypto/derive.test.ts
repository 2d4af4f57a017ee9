import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindingContext, deriveKeys } from '../../src/crypto/derive.ts';
import { le64, pae, utf8 } from '../../src/crypto/encoding.ts';
import { coded, failure } from './failure.ts';

const dek = new Uint8Array(32).fill(1);

describe('PAE', () => {
  it('writes the count and every length in 64 bits, little endian', () => {
    expect(Buffer.from(pae('ab', '')).toString('hex')).toBe(
      '0200000000000000020000000000000061620000000000000000',
    );
    expect(Buffer.from(le64(2 ** 40 + 3)).toString('hex')).toBe('0300000000010000');
  });

  it('gives different bytes for different pieces', () => {
    const pieces = fc.array(fc.string(), { maxLength: 4 });
    fc.assert(
      fc.property(pieces, pieces, (one, other) => {
        const same = Buffer.from(pae(...one)).equals(pae(...other));
        expect(same).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });

  it('refuses a length that is no whole number', async () => {
    expect(await failure(() => le64(-1))).toEqual(coded('ERR_INVALID_OPTION', /whole number/));
    expect(await failure(() => le64(2 ** 53))).toEqual(coded('ERR_INVALID_OPTION', /whole number/));
  });
});

describe('the binding context', () => {
  it('does not depend on the order of its entries, but on each of them', () => {
    const one = bindingContext('s', { tenant: 'a', region: 'b' });
    expect(bindingContext('s', { region: 'b', tenant: 'a' })).toEqual(one);
    expect(one.bytes).toEqual(pae('sr1/ctx', 's', 'region', 'b', 'tenant', 'a'));
    for (const other of [
      bindingContext('t', { tenant: 'a', region: 'b' }),
      bindingContext('s', { tenant: 'a' }),
      bindingContext('s', { tenant: 'b', region: 'a' }),
    ]) {
      expect(other.hash).not.toEqual(one.hash);
    }
  });

  it('refuses ids that would become equal in UTF-8', async () => {
    expect(await failure(() => bindingContext('a\ud800'))).toEqual(coded('ERR_INVALID_OPTION', /surrogate/));
    expect(await failure(() => bindingContext('a', { tenant: '\udc00' }))).toEqual(
      coded('ERR_INVALID_OPTION', /surrogate/),
    );
    expect(bindingContext('😀').bytes).toEqual(pae('sr1/ctx', '😀'));
  });
});

describe('derived keys', () => {
  it('differ by data key, suite and context in the id and in what they open', () => {
    const base = deriveKeys(dek, 'XC20P', bindingContext('s'));
    const sealed = base.aead.seal(new Uint8Array(24), utf8('x'), new Uint8Array(0));
    expect(deriveKeys(dek, 'XC20P', bindingContext('s')).did).toBe(base.did);
    expect(base.did).toHaveLength(43);
    for (const other of [
      deriveKeys(new Uint8Array(32).fill(2), 'XC20P', bindingContext('s')),
      deriveKeys(dek, 'XAES-256-GCM', bindingContext('s')),
      deriveKeys(dek, 'XC20P', bindingContext('t')),
    ]) {
      expect(other.did).not.toBe(base.did);
      expect(other.aead.open(sealed, new Uint8Array(0))).toBeUndefined();
    }
  });

  it('authenticate the header segment and the context as PAE', () => {
    const context = bindingContext('s', { tenant: 't' });
    const keys = deriveKeys(dek, 'XC20P', context);
    for (const segment of ['', 'e30', 'A'.repeat(255), 'A'.repeat(256), 'A'.repeat(1_366)]) {
      expect(keys.associatedData(segment)).toEqual(pae('sr1/item', segment, context.bytes));
    }
  });

  it('authenticate the own context of each, in any order of calls', () => {
    const contexts = ['s', 't', 'u'.repeat(512)].map((id) => bindingContext(id));
    const keys = contexts.map((context) => deriveKeys(dek, 'XC20P', context));
    for (const [segment, index] of [
      ['e30', 0],
      ['e30', 1],
      ['e30', 2],
      ['AAAA', 2],
      ['AAAA', 0],
      ['e30', 0],
    ] as const) {
      const expected = pae('sr1/item', segment, contexts[index]?.bytes as Uint8Array);
      expect(keys[index]?.associatedData(segment)).toEqual(expected);
    }
  });

  it('give the same tag and nonce for the same operation, index and content only', () => {
    const keys = deriveKeys(dek, 'XC20P', bindingContext('s'));
    expect(keys.operationTag('op-1', 11)).toHaveLength(22);
    expect(keys.operationTag('op-1', 11)).not.toBe(keys.operationTag('op-11', 1));
    const nonce = keys.operationNonce('op', 0, 'h', utf8('p'));
    expect(nonce).toHaveLength(24);
    expect(keys.operationNonce('op', 0, 'h', utf8('p'))).toEqual(nonce);
    for (const other of [
      keys.operationNonce('op', 1, 'h', utf8('p')),
      keys.operationNonce('op', 0, 'g', utf8('p')),
      keys.operationNonce('op', 0, 'h', utf8('q')),
      keys.operationNonce('op', 0, 'hp', utf8('')),
    ]) {
      expect(other).not.toEqual(nonce);
    }
    const elsewhere = deriveKeys(dek, 'XC20P', bindingContext('t'));
    expect(elsewhere.operationTag('op', 0)).not.toBe(keys.operationTag('op', 0));
  });

  it('are refused once they were wiped, which can be repeated', () => {
    const keys = deriveKeys(dek, 'XC20P', bindingContext('s'));
    const { aead } = keys;
    const sealed = aead.seal(new Uint8Array(24), utf8('x'), new Uint8Array(0));
    keys.wipe();
    keys.wipe();
    for (const use of [
      () => keys.aead,
      () => keys.operationTag('op', 0),
      () => keys.operationNonce('op', 0, 'h', utf8('p')),
    ]) {
      expect(use).toThrow('A data key was used after it was zeroed. Report this as a bug of strongroom.');
    }
    // Who kept the cipher itself has one of zeros.
    expect(aead.open(sealed, new Uint8Array(0))).toBeUndefined();
  });

  it('refuse a header segment that no header of 1,024 bytes has', () => {
    const keys = deriveKeys(dek, 'XC20P', bindingContext('s'));
    expect(() => keys.associatedData('A'.repeat(1_367))).toThrow('A header segment is too long.');
  });
});
