import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  fromBase64,
  fromBase64url,
  fromUtf8,
  pae,
  scratch,
  toBase64,
  toBase64url,
  utf8,
  writeAscii,
} from '../../src/crypto/encoding.ts';
import { constantTimeEqual } from '../../src/crypto/equal.ts';

describe('base64', () => {
  it('returns the bytes in a new Uint8Array', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
        expect(new Uint8Array(fromBase64url(toBase64url(bytes)) ?? [])).toEqual(bytes);
      }),
    );
    expect(fromBase64('AQI=')?.constructor).toBe(Uint8Array);
  });

  it('reads the part of a buffer that a view shows', () => {
    const view = new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4);
    expect(toBase64(view)).toBe('AQID');
    expect(toBase64url(view)).toBe('AQID');
  });

  it.each(['AQI', 'AQ==\n', 'AQJ=', 'A', 'AQ_-', '=', 'AQ== '])('refuses %j as base64', (text) => {
    expect(fromBase64(text)).toBeUndefined();
  });

  it.each(['AQI=', 'AQJ', 'A', 'AQ+/', ' AQI', 'AQI '])('refuses %j as base64url', (text) => {
    expect(fromBase64url(text)).toBeUndefined();
  });
});

describe('text', () => {
  it('is UTF-8, a byte order mark included, and strict when read', () => {
    expect(Uint8Array.from(utf8('\uFEFFé'))).toEqual(new Uint8Array([0xef, 0xbb, 0xbf, 0xc3, 0xa9]));
    expect(fromUtf8(utf8('\uFEFFé'))).toBe('\uFEFFé');
    expect(() => fromUtf8(Uint8Array.of(0xff))).toThrow(TypeError);
  });

  it('in ASCII is written at the given position', () => {
    const target = new Uint8Array(4);
    expect(writeAscii('abc', target)).toBe(3);
    expect(target).toEqual(new Uint8Array([97, 98, 99, 0]));
    expect(scratch(7)).toHaveLength(7);
  });
});

describe('PAE', () => {
  it('takes bytes and text alike', () => {
    expect(pae(utf8('ab'), 'c')).toEqual(pae('ab', utf8('c')));
    expect(pae()).toEqual(new Uint8Array(8));
    expect(pae('x'.repeat(300)).subarray(8, 16)).toEqual(new Uint8Array([44, 1, 0, 0, 0, 0, 0, 0]));
  });
});

describe('comparison in constant time', () => {
  it('detects a difference at every position', () => {
    expect(constantTimeEqual('abc', 'abc')).toBe(true);
    expect(constantTimeEqual('', '')).toBe(true);
    for (const other of ['abd', 'bbc', 'abcd', 'ab', '']) {
      expect(constantTimeEqual('abc', other)).toBe(false);
      expect(constantTimeEqual(other, 'abc')).toBe(false);
    }
  });
});
