import type { AgentInputItem } from '@openai/agents';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toBase64url, utf8 } from '../../src/crypto/encoding.ts';
import {
  carrierOf,
  clearOperationTag,
  envelopeText,
  formatEnvelope,
  formatHeader,
  looksLikeEnvelope,
  openClear,
  parseEnvelope,
  readHeader,
  sealClear,
} from '../../src/protocol/envelope.ts';
import { isStrongroomError } from '../../src/errors.ts';
import type { Header } from '../../src/layer.ts';
import { coded, failure } from '../crypto/failure.ts';

const did = toBase64url(new Uint8Array(32).fill(7));
const tag = toBase64url(new Uint8Array(16).fill(9));
const header: Header = { s: 'XC20P', d: did, t: 1_700_000_000_000 };
const body = new Uint8Array(60).fill(1);
const wrapped = 'aGVhZGVy.a2V5.aXY.Y3Q.dGFn';

function withHeader(text: string): string {
  return formatEnvelope(toBase64url(utf8(text)), body);
}

/** What is written for what was read; the text itself when it is refused with an error of ours. */
function rewritten(text: string): string {
  try {
    const { header, body, wrapped } = parseEnvelope(text);
    return formatEnvelope(formatHeader(header), body, wrapped);
  } catch (error) {
    if (isStrongroomError(error)) return text;
    throw error;
  }
}

/** Code points of all kinds, lone surrogates among them. fast-check's own takes seconds to list them all first. */
function anyText(maxLength: number): fc.Arbitrary<string> {
  const point = fc.oneof(fc.nat(0x7f), fc.integer({ min: 0xd7f0, max: 0xe00f }), fc.nat(0x10_ffff));
  return fc.array(point, { maxLength }).map((points) => String.fromCodePoint(...points));
}

const headers: fc.Arbitrary<Header> = fc
  .record({
    s: fc.constantFrom('XC20P', 'XAES-256-GCM'),
    d: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toBase64url),
    t: fc.maxSafeNat(),
    e: fc.option(fc.maxSafeNat(), { nil: undefined }),
    g: fc.option(fc.maxSafeNat(), { nil: undefined }),
    o: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 }).map(toBase64url), { nil: undefined }),
    extensions: fc.dictionary(
      anyText(8).map((name) => `x-${name}`),
      fc.oneof(anyText(20), fc.integer(), fc.boolean(), fc.constant(null)),
      { maxKeys: 4 },
    ),
  })
  .map(({ extensions, ...fixed }) => {
    const present = Object.entries(fixed).filter(([, value]) => value !== undefined);
    return { ...Object.fromEntries(present), ...extensions } as Header;
  });

describe('the sr1 envelope', () => {
  it('parses to the header, the body and the wrapped key that it was made of', () => {
    fc.assert(
      fc.property(
        headers,
        fc.uint8Array({ minLength: 40, maxLength: 200 }),
        fc.boolean(),
        (header, body, inline) => {
          const segment = formatHeader(header);
          const text = formatEnvelope(segment, body, inline ? wrapped : undefined);
          const envelope = parseEnvelope(text);
          expect(envelope.header).toEqual(header);
          expect(envelope.headerSegment).toBe(segment);
          expect(Uint8Array.from(envelope.body)).toEqual(body);
          expect(envelope.wrapped).toBe(inline ? wrapped : undefined);
          expect(formatEnvelope(formatHeader(envelope.header), envelope.body, envelope.wrapped)).toBe(text);
        },
      ),
    );
  });

  it('writes the fields in the order of the format', () => {
    const mixed = { 'x-b': 1, o: tag, g: 3, 'x-a': 'é', e: 2, t: 1, d: did, s: 'XC20P' } as Header;
    const text = `{"s":"XC20P","d":"${did}","t":1,"e":2,"g":3,"o":"${tag}","x-a":"é","x-b":1}`;
    expect(formatHeader(mixed)).toBe(toBase64url(utf8(text)));
  });

  it.each([
    ['a space', `{"s":"XC20P", "d":"${did}","t":1}`],
    ['a trailing line break', `{"s":"XC20P","d":"${did}","t":1}\n`],
    ['another order', `{"d":"${did}","s":"XC20P","t":1}`],
    ['a duplicate', `{"s":"XC20P","d":"${did}","t":1,"t":1}`],
    ['a needless escape', `{"s":"XC20\\u0050","d":"${did}","t":1}`],
    ['a number variant', `{"s":"XC20P","d":"${did}","t":1.0}`],
    ['an exponent', `{"s":"XC20P","d":"${did}","t":1e3}`],
    ['a negative zero', `{"s":"XC20P","d":"${did}","t":-0}`],
    ['a negative time', `{"s":"XC20P","d":"${did}","t":-1}`],
    ['a time beyond safe integers', `{"s":"XC20P","d":"${did}","t":9007199254740992}`],
    ['a time as text', `{"s":"XC20P","d":"${did}","t":"1"}`],
    ['no time', `{"s":"XC20P","d":"${did}"}`],
    ['no data key id', `{"s":"XC20P","t":1}`],
    ['a short data key id', `{"s":"XC20P","d":"AAAA","t":1}`],
    ['a data key id with stray bits', `{"s":"XC20P","d":"${did.slice(0, -1)}d","t":1}`],
    ['a tag of the wrong size', `{"s":"XC20P","d":"${did}","t":1,"o":"AAAA"}`],
    ['extensions out of order', `{"s":"XC20P","d":"${did}","t":1,"x-b":1,"x-a":1}`],
    ['an extension with an object', `{"s":"XC20P","d":"${did}","t":1,"x-a":{}}`],
    ['a field set to null', `{"s":"XC20P","d":"${did}","t":1,"e":null}`],
    ['no suite', `{"d":"${did}","t":1}`],
    ['an array', '[]'],
    ['null', 'null'],
    ['no JSON', '{'],
    ['a byte order mark', `\uFEFF{"s":"XC20P","d":"${did}","t":1}`],
    ['a data key id in an unsealed envelope', `{"s":"none","d":"${did}","t":1}`],
  ])('refuses a header with %s', async (_, text) => {
    expect(await failure(() => parseEnvelope(withHeader(text)))).toEqual(
      coded('ERR_MALFORMED', /not valid|not a valid sr1 envelope/),
    );
  });

  it.each([
    ['an unknown suite', `{"s":"ROT13","d":"${did}","t":1}`, /does not know the suite/],
    ['an unknown critical field', `{"s":"XC20P","d":"${did}","t":1,"z":1}`, /critical field/],
    ['a prototype as field', `{"s":"XC20P","d":"${did}","t":1,"__proto__":{}}`, /critical field/],
  ])('reports %s as unsupported', async (_, text, message) => {
    expect(await failure(() => parseEnvelope(withHeader(text)))).toEqual(coded('ERR_UNSUPPORTED', message));
  });

  it('refuses a header that is not UTF-8', async () => {
    const invalid = formatEnvelope(toBase64url(Uint8Array.of(0x7b, 0xff, 0x7d)), body);
    expect(await failure(() => parseEnvelope(invalid))).toEqual(coded('ERR_MALFORMED', /not JSON in UTF-8/));
  });

  it('accepts a header of 1,024 bytes and refuses one more, on both ways', async () => {
    const empty = `{"s":"XC20P","d":"${did}","t":1,"x-a":""}`.length;
    const full: Header = { s: 'XC20P', d: did, t: 1, 'x-a': 'a'.repeat(1_024 - empty) };
    const segment = formatHeader(full);
    expect(parseEnvelope(formatEnvelope(segment, body)).header).toEqual(full);
    const over = { ...full, 'x-a': `${full['x-a']}a` };
    expect(await failure(() => formatHeader(over))).toEqual(
      coded('ERR_INVALID_OPTION', /1025 bytes, more than 1024/),
    );
    expect(await failure(() => parseEnvelope(withHeader(JSON.stringify(over))))).toEqual(
      coded('ERR_MALFORMED', /too long/),
    );
  });

  it.each([
    ['another prefix', `sr2.${formatHeader(header)}.${toBase64url(body)}`],
    ['no body', `sr1.${formatHeader(header)}`],
    ['a short body', formatEnvelope(formatHeader(header), body.subarray(0, 39))],
    ['a padded body', `${formatEnvelope(formatHeader(header), body.subarray(0, 40))}==`],
    ['a body with stray bits', `${formatEnvelope(formatHeader(header), body.subarray(0, 40)).slice(0, -1)}R`],
    ['an empty fourth segment', `${formatEnvelope(formatHeader(header), body)}.`],
    ['a fourth segment that is no JWE', formatEnvelope(formatHeader(header), body, 'a.b.c.d')],
    ['six JWE segments', formatEnvelope(formatHeader(header), body, 'a.b.c.d.e.f')],
    [
      'a fourth segment of enormous size',
      formatEnvelope(formatHeader(header), body, `${'a'.repeat(16_384)}....`),
    ],
    ['an unsealed body and a fourth segment', `${sealClear({ t: 1 }, '{}')}.${wrapped}`],
  ])('refuses an envelope with %s', async (_, text) => {
    expect(await failure(() => parseEnvelope(text))).toEqual(
      coded('ERR_MALFORMED', /not a valid sr1 envelope/),
    );
  });

  const sealedHeader = formatHeader(header);
  const of = (text: string): string => toBase64url(utf8(text));
  it.each([
    ['sr2.a.b', 'the envelope does not begin with "sr1."'],
    [`sr1.${sealedHeader}`, 'the envelope has fewer than three segments'],
    [`sr1.${sealedHeader}.*`, 'the body is not canonical base64url'],
    [`${sealClear({ t: 1 }, '{}')}.${wrapped}`, 'an unsealed envelope has more than three segments'],
    [`sr1.${sealedHeader}.AAAA`, 'the body is shorter than a nonce and a tag'],
    [formatEnvelope(sealedHeader, body, 'a.b'), 'the wrapped data key is not a compact JWE'],
    [`sr1.${of('[]')}.AAAA`, 'the header is not an object'],
    [`sr1.${of('null')}.AAAA`, 'the header is not an object'],
    [`sr1.${of('"s"')}.AAAA`, 'the header is not an object'],
    [`sr1.${of(`{"s":"none","t":1 }`)}.AAAA`, 'the header is not in its canonical form'],
  ])('says of %s what is wrong, and what to do', async (text, what) => {
    const message = `A stored record is not a valid sr1 envelope: ${what}. Restore the record, or handle it with onUndecryptable.`;
    expect(await failure(() => parseEnvelope(text))).toMatchObject({ code: 'ERR_MALFORMED', message });
  });

  it.each<[object, string]>([
    [{ s: 'none', d: did }, 'its field d is only for sealed entries'],
    [{ ...header, d: `A${did}` }, 'its field d is not 32 bytes in base64url'],
    [{ ...header, d: `${did}A` }, 'its field d is not 32 bytes in base64url'],
    [{ ...header, d: 1 }, 'its field d is not 32 bytes in base64url'],
    [{ ...header, o: `A${tag}` }, 'its field o is not 16 bytes in base64url'],
    [{ ...header, o: `${tag}A` }, 'its field o is not 16 bytes in base64url'],
    [{ ...header, o: [tag] }, 'its field o is not 16 bytes in base64url'],
    [{ ...header, t: undefined }, 'its field t is missing'],
    [{ ...header, g: -1 }, 'its field g is not a time in whole Unix milliseconds'],
    [{ ...header, 'x-a': {} }, 'an extension field is not a string, finite number, boolean or null'],
  ])('says of the header %j what is wrong', async (given, what) => {
    expect(await failure(() => formatHeader(given as Header))).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: `The header of an entry is not valid: ${what}.`,
    });
  });

  it('names the suites that it knows', async () => {
    expect(await failure(() => formatHeader({ s: 'ROT13' }))).toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message:
        'This version of strongroom does not know the suite of this envelope. Known: none, XC20P, XAES-256-GCM.',
    });
  });

  it('omits an extension without a value', () => {
    expect(formatHeader({ ...header, 'x-a': undefined } as never)).toBe(sealedHeader);
  });

  it('takes a wrapped key of 16,384 characters and no longer one', async () => {
    const longest = `${'a'.repeat(16_380)}....`;
    expect(parseEnvelope(formatEnvelope(sealedHeader, body, longest)).wrapped).toBe(longest);
    expect(await failure(() => parseEnvelope(formatEnvelope(sealedHeader, body, `a${longest}`)))).toEqual(
      coded('ERR_MALFORMED', /not a compact JWE/),
    );
  });

  it('gives its header without the rest, if it is valid', () => {
    expect(readHeader(`sr1.${sealedHeader}.`)).toEqual(header);
    for (const text of [
      `sr2.${sealedHeader}.`,
      `sr1.${sealedHeader}`,
      'sr1.e30.',
      `sr1.${sealedHeader}A.`,
      '',
    ]) {
      expect(readHeader(text)).toBeUndefined();
    }
  });

  it('never accepts a changed character as the same envelope', () => {
    const text = formatEnvelope(formatHeader(header), body, wrapped);
    fc.assert(
      fc.property(fc.nat(text.length - 1), anyText(2), (at, replacement) => {
        const changed = text.slice(0, at) + replacement + text.slice(at + 1);
        fc.pre(changed !== text);
        expect(rewritten(changed)).toBe(changed);
      }),
    );
  });

  it('refuses to write a header that it could not read', async () => {
    expect(await failure(() => formatHeader({ t: 1 }))).toEqual(coded('ERR_INVALID_OPTION', /field s/));
    expect(await failure(() => formatHeader({ ...header, e: 1.5 }))).toEqual(
      coded('ERR_INVALID_OPTION', /field e .* Unix milliseconds/),
    );
    expect(await failure(() => formatHeader({ ...header, z: 1 } as Header))).toEqual(
      coded('ERR_INVALID_OPTION', /begin with "x-"/),
    );
    expect(await failure(() => formatHeader({ ...header, 'x-a': Number.NaN }))).toEqual(
      coded('ERR_INVALID_OPTION', /extension/),
    );
  });
});

describe('the carrier', () => {
  it('carries an envelope in the text of a user message', () => {
    const text = formatEnvelope(formatHeader(header), body);
    const carrier = carrierOf(text);
    expect(carrier).toEqual({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] });
    expect(envelopeText(carrier)).toBe(text);
  });

  it('is recognized when a backend added an id, a status or provider data', () => {
    const record = { ...carrierOf('sr1.x'), id: 'msg_1', status: 'completed', providerData: { a: 1 } };
    expect(envelopeText(record as AgentInputItem)).toBe('sr1.x');
  });

  it.each([
    [
      'an assistant message',
      { type: 'message', role: 'assistant', content: [{ type: 'input_text', text: 'sr1.x' }] },
    ],
    [
      'two parts',
      {
        type: 'message',
        role: 'user',
        content: Array.from({ length: 2 }, () => ({ type: 'input_text', text: 'sr1.x' })),
      },
    ],
    ['text as content', { type: 'message', role: 'user', content: 'sr1.x' }],
    ['other text', { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'see sr1.x' }] }],
    ['another part', { type: 'message', role: 'user', content: [{ type: 'input_image', text: 'sr1.x' }] }],
    ['an empty part', { type: 'message', role: 'user', content: [null] }],
    ['a part that is text', { type: 'message', role: 'user', content: ['sr1.x'] }],
    ['a part without text', { type: 'message', role: 'user', content: [{ type: 'input_text' }] }],
    ['no message', { type: 'other', role: 'user', content: [{ type: 'input_text', text: 'sr1.x' }] }],
    ['without content', { type: 'message', role: 'user' }],
    ['without parts', { type: 'message', role: 'user', content: [] }],
    [
      'another item',
      { type: 'function_call_result', callId: 'c', name: 'n', status: 'completed', output: 'sr1.x' },
    ],
  ])('is not %s', (_, record) => {
    expect(envelopeText(record as AgentInputItem)).toBeUndefined();
  });
});

describe('an unsealed envelope', () => {
  it('holds the JSON and the header, and no seal', () => {
    const text = sealClear({ t: 5, e: 6 }, '{"a":"ü"}');
    expect(looksLikeEnvelope(text)).toBe(true);
    const envelope = parseEnvelope(text);
    expect(envelope.header).toEqual({ s: 'none', t: 5, e: 6 });
    expect(openClear(envelope)).toBe('{"a":"ü"}');
  });

  it('is malformed when its body is not UTF-8, and a sealed one is never opened as one', async () => {
    const invalid = formatEnvelope(formatHeader({ s: 'none' }), Uint8Array.of(0xff));
    expect(await failure(() => openClear(parseEnvelope(invalid)))).toEqual(
      coded('ERR_MALFORMED', /not UTF-8/),
    );
    const sealed = parseEnvelope(formatEnvelope(formatHeader(header), body));
    expect(await failure(() => openClear(sealed))).toEqual(
      coded('ERR_MALFORMED', /where an unsealed record is expected/),
    );
  });

  it('has an operation tag that differs where plain concatenation would collide', () => {
    expect(clearOperationTag('op-1', 11)).toHaveLength(22);
    expect(clearOperationTag('op-1', 11)).toBe(clearOperationTag('op-1', 11));
    expect(clearOperationTag('op-1', 11)).not.toBe(clearOperationTag('op-11', 1));
  });
});
