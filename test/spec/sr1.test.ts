import { MemorySession, type AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import { bindingContext, deriveKeys } from '../../src/crypto/derive.ts';
import {
  carrierOf,
  clearOperationTag,
  formatEnvelope,
  formatHeader,
  parseEnvelope,
} from '../../src/protocol/envelope.ts';
import {
  encrypt,
  expire,
  isStrongroomError,
  keyring,
  wrapSession,
  type ErrorCode,
  type KeyringOptions,
} from '../../src/index.ts';
import { decodeItem } from '../../src/protocol/item.ts';
import { memoryDekStore } from '../../src/operations/index.ts';
import { VECTORS, type SealedVector } from './vectors.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const [first] = VECTORS.sealed;
const inlineOf = ({ envelope, wrapped }: SealedVector): string => `${envelope}.${wrapped}`;
const allKeys: KeyringOptions = { current: VECTORS.keks[0], previous: [VECTORS.keks[1]] };

function sessionWith(
  records: readonly AgentInputItem[],
  vector: Pick<SealedVector, 'sessionId' | 'context'> = first,
  keys: KeyringOptions = allKeys,
): { getItems(): Promise<AgentInputItem[]> } {
  const inner = new MemorySession({ sessionId: vector.sessionId, initialItems: [...records] });
  return wrapSession(inner, [encrypt({ keys: keyring(keys), context: vector.context })]);
}

/** What reading a record comes to: the item's text, or the code of the error. */
async function outcome(envelope: string, ...rest: [typeof first?, KeyringOptions?]): Promise<string> {
  try {
    return JSON.stringify(await sessionWith([carrierOf(envelope)], ...rest).getItems());
  } catch (error) {
    if (isStrongroomError(error)) return error.code;
    return `untyped: ${String(error)}`;
  }
}

describe('the vectors of sr1', () => {
  it.each(VECTORS.sealed.map((vector) => [vector.name, vector] as const))(
    'opens: %s',
    async (_name, vector) => {
      expect(await sessionWith([carrierOf(inlineOf(vector))], vector).getItems()).toEqual([
        decodeItem(vector.json),
      ]);
    },
  );

  it.each(VECTORS.sealed.map((vector) => [vector.name, vector] as const))(
    'seals to the same bytes: %s',
    (_name, vector) => {
      const keys = deriveKeys(
        bytes(vector.dek),
        vector.header.s,
        bindingContext(vector.sessionId, vector.context),
      );
      expect(keys.did).toBe(vector.header.d);
      expect(keys.operationTag(vector.operationId, vector.index)).toBe(vector.header.o);
      const segment = formatHeader(vector.header);
      const plaintext = new TextEncoder().encode(vector.json);
      const nonce = keys.operationNonce(vector.operationId, vector.index, segment, plaintext);
      expect(Buffer.from(nonce).toString('hex')).toBe(vector.nonce);
      const body = keys.aead.seal(nonce, plaintext, keys.associatedData(segment));
      expect(formatEnvelope(segment, body)).toBe(vector.envelope);
    },
  );

  it('reads an unsealed envelope only in a stack without encrypt()', async () => {
    const { clear } = VECTORS;
    const { header, body } = parseEnvelope(clear.envelope);
    expect(header.o).toBe(clearOperationTag(clear.operationId, clear.index));
    expect(new TextDecoder().decode(body)).toBe(clear.json);
    const inner = new MemorySession({ initialItems: [carrierOf(clear.envelope)] });
    const session = wrapSession(inner, [expire({ after: '30d', clock: () => 1_700_000_000_001 })]);
    expect(await session.getItems()).toEqual([decodeItem(clear.json)]);
    expect(await outcome(clear.envelope)).toBe('ERR_NOT_SEALED');
  });
});

/** The header segment with another header's text in it. */
const withHeader = (text: string): string => {
  const [version, , ...rest] = inlineOf(first).split('.');
  return [version, Buffer.from(text).toString('base64url'), ...rest].join('.');
};
const headerText = Buffer.from(inlineOf(first).split('.')[1] as string, 'base64url').toString();
const withJweHeader = (change: object): string => {
  const [, , , head, ...rest] = inlineOf(first).split('.');
  const header = {
    ...(JSON.parse(Buffer.from(head as string, 'base64url').toString()) as object),
    ...change,
  };
  return [
    ...first.envelope.split('.'),
    Buffer.from(JSON.stringify(header)).toString('base64url'),
    ...rest,
  ].join('.');
};

const NEGATIVE: readonly (readonly [string, string, ErrorCode])[] = [
  ['text that is no envelope', 'hello', 'ERR_NOT_SEALED'],
  ['an unsealed envelope', VECTORS.clear.envelope, 'ERR_NOT_SEALED'],
  ['a space in the header', withHeader(headerText.replace(':', ': ')), 'ERR_MALFORMED'],
  [
    'another order of the header',
    withHeader(headerText.replace(/("s":"XC20P"),("d":"[^"]+")/, '$2,$1')),
    'ERR_MALFORMED',
  ],
  ['a field twice', withHeader(headerText.replace('{', '{"s":"XC20P",')), 'ERR_MALFORMED'],
  ['an escape in the header', withHeader(headerText.replace('XC20P', '\\u0058C20P')), 'ERR_MALFORMED'],
  ['another form of a number', withHeader(headerText.replace('1700000000000', '1.7e12')), 'ERR_MALFORMED'],
  [
    'a header of more than 1,024 bytes',
    withHeader(headerText.replace('}', `,"x-a":"${'a'.repeat(1_000)}"}`)),
    'ERR_MALFORMED',
  ],
  ['no time', withHeader(headerText.replace('"t":1700000000000,', '')), 'ERR_MALFORMED'],
  ['a short id of the data key', withHeader(headerText.replace(first.header.d, 'AAAA')), 'ERR_MALFORMED'],
  ['padding in base64url', `${first.envelope}=.${first.wrapped}`, 'ERR_MALFORMED'],
  ['two segments', first.envelope.split('.').slice(0, 2).join('.'), 'ERR_MALFORMED'],
  [
    'a wrapped key of four segments',
    `${first.envelope}.${first.wrapped.split('.').slice(0, 4).join('.')}`,
    'ERR_MALFORMED',
  ],
  [
    'a body without room for a tag',
    `${first.envelope.split('.').slice(0, 2).join('.')}.AAAA.${first.wrapped}`,
    'ERR_MALFORMED',
  ],
  ['an unknown suite', withHeader(headerText.replace('XC20P', 'A256CBC')), 'ERR_UNSUPPORTED'],
  ['an unknown critical field', withHeader(headerText.replace('}', ',"z":1}')), 'ERR_UNSUPPORTED'],
  ['a wrapped key of another type', withJweHeader({ typ: 'JWT' }), 'ERR_UNSUPPORTED'],
  ['a wrapped key under another content encryption', withJweHeader({ enc: 'A128GCM' }), 'ERR_UNSUPPORTED'],
  ['a compressed wrapped key', withJweHeader({ zip: 'DEF' }), 'ERR_UNSUPPORTED'],
  ['a key that the keyring does not hold', withJweHeader({ kid: 'other' }), 'ERR_KEY_UNKNOWN'],
  ['a wrapped key under the name of another one', withJweHeader({ kid: 'vector-2' }), 'ERR_AUTHENTICATION'],
  ['a wrapped key whose algorithm was changed', withJweHeader({ alg: 'A256GCMKW' }), 'ERR_AUTHENTICATION'],
  [
    'a changed expiry',
    withHeader(headerText.replace('"t":1700000000000', '"t":1700000000000,"e":1900000000000')),
    'ERR_AUTHENTICATION',
  ],
  ['an extension that was added', withHeader(headerText.replace('}', ',"x-a":1}')), 'ERR_AUTHENTICATION'],
  ['the other suite', withHeader(headerText.replace('XC20P', 'XAES-256-GCM')), 'ERR_COMMITMENT'],
  ['no data key', first.envelope, 'ERR_KEY_UNAVAILABLE'],
];

describe('inputs that sr1 refuses, by reason', () => {
  it.each(NEGATIVE)('%s', async (_name, envelope, code) => {
    expect(await outcome(envelope)).toBe(code);
  });

  it('another session or context', async () => {
    expect(await outcome(inlineOf(first), { ...first, sessionId: 'session-2' })).toBe('ERR_COMMITMENT');
    expect(await outcome(inlineOf(first), { ...first, context: { tenant: 'a' } })).toBe('ERR_COMMITMENT');
  });

  it('the data key of another vector', async () => {
    const other = VECTORS.sealed.find((vector) => vector.kek === 'vector-2' && vector.header.s === 'XC20P');
    expect(await outcome(`${first.envelope}.${other?.wrapped}`)).toBe('ERR_COMMITMENT');
  });

  it('a disabled key, and a key with only its public half', async () => {
    const keys: KeyringOptions = { current: VECTORS.keks[1], disabled: [VECTORS.keks[0]] };
    expect(await outcome(inlineOf(first), first, keys)).toBe('ERR_KEY_DISABLED');
  });

  it('a destroyed data key', async () => {
    const dekStore = memoryDekStore();
    await dekStore.put({
      sessionId: first.sessionId,
      did: first.header.d,
      kid: first.kek,
      wrapped: first.wrapped,
      createdAt: 1,
    });
    const inner = new MemorySession({
      sessionId: first.sessionId,
      initialItems: [carrierOf(first.envelope)],
    });
    const layer = encrypt({ keys: keyring(allKeys), dekStore, dataKeys: { cacheFor: 1 } });
    expect(await wrapSession(inner, [layer]).getItems()).toHaveLength(1);
    await dekStore.destroy(first.sessionId);
    const strict = encrypt({ keys: keyring(allKeys), dekStore, onUndecryptable: () => 'throw' });
    await expect(wrapSession(inner, [strict]).getItems()).rejects.toMatchObject({
      code: 'ERR_SHREDDED',
      message: /was destroyed on purpose/,
    });
  });

  it('every segment in the place of every other', async () => {
    const segments = inlineOf(first).split('.');
    for (let from = 0; from < segments.length; from++) {
      for (let to = 0; to < segments.length; to++) {
        if (from === to || segments[from] === segments[to]) continue;
        const swapped = [...segments];
        [swapped[from], swapped[to]] = [segments[to] as string, segments[from] as string];
        expect(await outcome(swapped.join('.'))).toMatch(/^ERR_/);
      }
    }
  });
});
