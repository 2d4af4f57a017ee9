import { MemorySession, type AgentInputItem } from '@openai/agents';
import type { JWK } from 'jose';
import * as fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { counters } from '../../src/crypto/counters.ts';
import { toBase64url, utf8 } from '../../src/crypto/encoding.ts';
import {
  carrierOf,
  envelopeText,
  formatEnvelope,
  formatHeader,
  parseEnvelope,
  sealClear,
} from '../../src/protocol/envelope.ts';
import { StrongroomError } from '../../src/errors.ts';
import { encodeItem } from '../../src/protocol/item.ts';
import type { DekRecord, DekStore, DekTombstone } from '../../src/keys/dek-store.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import type { Entry, SessionCall, SessionLayer } from '../../src/layer.ts';
import { encrypt, type EncryptOptions, type UndecryptableReason } from '../../src/layers/encrypt.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { coded, failure } from '../crypto/failure.ts';
import { entryOf, handMadeCall, userMessage } from './hand-made-call.ts';

const KEY = { ...(await generateKey()), kid: 'kek' };
const OTHER_KEY = { ...(await generateKey()), kid: 'other' };
const DAY = 86_400_000;

let now = 1_000_000;
beforeEach(() => {
  now = 1_000_000;
});

function call(overrides: Partial<SessionCall> = {}): SessionCall {
  return handMadeCall({ sealed: true, now: () => now, ...overrides });
}

function layerOf(options: Partial<EncryptOptions> = {}, current: JWK = KEY): SessionLayer {
  return encrypt({ keys: keyring({ current }), ...options });
}

/** Seals items and gives the records. */
async function seal(
  layer: SessionLayer,
  items: readonly AgentInputItem[],
  overrides: Partial<SessionCall> = {},
): Promise<AgentInputItem[]> {
  const written = await layer.write?.(
    items.map((item) => entryOf(item)),
    call({ kind: 'addItems', ...overrides }),
  );
  return (written ?? []).map((entry) => entry.item);
}

async function open(
  layer: SessionLayer,
  records: readonly AgentInputItem[],
  overrides: Partial<SessionCall> = {},
): Promise<readonly (Entry | undefined)[]> {
  const entries = records.map((record) => ({ item: record, header: {}, stored: record }));
  return (await layer.read?.(entries, call(overrides))) ?? [];
}

function items(opened: readonly (Entry | undefined)[]): (AgentInputItem | undefined)[] {
  return opened.map((entry) => entry?.item);
}

function textOf(record: AgentInputItem | undefined): string {
  return envelopeText(record as AgentInputItem) as string;
}

/** A DEK store in memory that counts and can be told what to answer. */
function testStore(): DekStore & { records: Map<string, DekRecord | DekTombstone>; gets: number } {
  const records = new Map<string, DekRecord | DekTombstone>();
  return {
    records,
    gets: 0,
    async put(record) {
      if (records.has(record.did)) return false;
      records.set(record.did, record);
      return true;
    },
    async get(sessionId, did) {
      this.gets++;
      const found = records.get(did);
      return found?.sessionId === sessionId ? found : undefined;
    },
    async *list() {
      for (const record of records.values()) if ('wrapped' in record) yield record;
    },
    async replaceWrapped() {
      return false;
    },
    async destroy(sessionId, did) {
      const gone = [...records.values()].filter(
        (record) => record.sessionId === sessionId && (did === undefined || record.did === did),
      );
      const tombstones = gone.map((record) => ({ sessionId, did: record.did, destroyedAt: now }));
      for (const tombstone of tombstones) records.set(tombstone.did, tombstone);
      return tombstones;
    },
  };
}

describe('sealing and opening', () => {
  it('gives back what was written, bytes included', async () => {
    const layer = layerOf();
    const written: AgentInputItem[] = [
      userMessage('hello'),
      { type: 'function_call', callId: 'c', name: 'n', arguments: '{"a":1}', status: 'completed' },
      userMessage('sr1.pasted'),
      {
        type: 'function_call_result',
        callId: 'c',
        name: 'n',
        status: 'completed',
        output: { type: 'image', image: { data: new Uint8Array([1, 2, 3]) } } as never,
      },
    ];
    const records = await seal(layer, written);
    expect(JSON.stringify(records)).not.toContain('hello');
    expect(items(await open(layer, records))).toEqual(written);
  });

  it.each(['XC20P', 'XAES-256-GCM'] as const)(
    'names the suite %s in the header, and reads both',
    async (suite) => {
      const keys = keyring({ current: KEY });
      const records = await seal(encrypt({ keys, suite }), [userMessage('a')]);
      expect(parseEnvelope(textOf(records[0])).header.s).toBe(suite);
      for (const reader of [encrypt({ keys }), encrypt({ keys, suite: 'XAES-256-GCM' })]) {
        expect(items(await open(reader, records))).toEqual([userMessage('a')]);
      }
    },
  );

  it('stamps the time of the stack, unless a layer above did, and keeps every stamp', async () => {
    const layer = layerOf();
    const entries = [
      entryOf(userMessage('a')),
      entryOf(userMessage('b'), { t: 5, e: 9, g: 4, 'x-note': 'n' }),
    ];
    const written = (await layer.write?.(entries, call())) ?? [];
    expect(written[0]?.header).toMatchObject({ s: 'XC20P', t: 1_000_000 });
    expect(written[1]?.header).toMatchObject({ s: 'XC20P', t: 5, e: 9, g: 4, 'x-note': 'n' });
    const opened = await open(
      layer,
      written.map((entry) => entry.item),
    );
    expect(opened.map((entry) => entry?.header)).toEqual(written.map((entry) => entry.header));
    expect(opened[0]?.stored).toBe(written[0]?.item);
  });

  it('never gives two records the same bytes without an operation', async () => {
    const layer = layerOf();
    const records = await seal(layer, [userMessage('a'), userMessage('a')]);
    expect(textOf(records[0])).not.toBe(textOf(records[1]));
    expect(parseEnvelope(textOf(records[0])).header.o).toBeUndefined();
  });

  it('gives the same bytes for the same operation, index, time and content only', async () => {
    const layer = layerOf();
    const operation = { operationId: 'op-1' };
    const [first] = await seal(layer, [userMessage('a')], operation);
    const [again] = await seal(layer, [userMessage('a')], operation);
    expect(textOf(again)).toBe(textOf(first));
    const nonces = new Set(
      [textOf(first)].map((text) => toBase64url(parseEnvelope(text).body.subarray(0, 24))),
    );
    for (const [item, change] of [
      [userMessage('b'), operation],
      [userMessage('a'), { operationId: 'op-2' }],
      [userMessage('a'), { operationId: 'op-1', now: () => 7 }],
    ] as const) {
      const [other] = await seal(layer, [item], change);
      nonces.add(toBase64url(parseEnvelope(textOf(other)).body.subarray(0, 24)));
    }
    expect(nonces.size).toBe(4);
  });

  it('finds the records of an operation by their tags, and no others', async () => {
    const layer = layerOf();
    const records = await seal(layer, [userMessage('a'), userMessage('b'), userMessage('c')], {
      operationId: 'op',
    });
    const indexes = await Promise.all(
      records.map(async (record) => layer.matches?.(record, 'op', 3, call())),
    );
    expect(indexes).toEqual([0, 1, 2]);
    expect(await layer.matches?.(records[2] as AgentInputItem, 'op', 2, call())).toBe(-1);
    expect(await layer.matches?.(records[0] as AgentInputItem, 'other', 3, call())).toBe(-1);
    expect(await layer.matches?.(userMessage('a'), 'op', 3, call())).toBe(-1);
    const [untagged] = await seal(layer, [userMessage('a')]);
    expect(await layer.matches?.(untagged as AgentInputItem, 'op', 3, call())).toBe(-1);
    const forged = carrierOf(sealClear({ o: parseEnvelope(textOf(records[0])).header.o as string }, '{}'));
    expect(await layer.matches?.(forged, 'op', 3, call())).toBe(-1);
  });

  it('works through the whole stack, and stores nothing readable', async () => {
    const inner = new MemorySession();
    const session = wrapSession(inner, [layerOf()]);
    await session.addItems([userMessage('one'), userMessage('sr1.two')]);
    expect(await session.getItems()).toEqual([userMessage('one'), userMessage('sr1.two')]);
    expect(JSON.stringify(await inner.getItems())).not.toContain('one');
    expect(await session.popItem()).toEqual(userMessage('sr1.two'));
    expect(await inner.getItems()).toHaveLength(1);
  });
});

describe('data keys', () => {
  it('are one for a session and epoch, made once also when first writers run at the same time', async () => {
    const layer = layerOf();
    const before = { ...counters };
    const batches = await Promise.all(
      Array.from({ length: 10 }, () => seal(layer, [userMessage('a'), userMessage('b')])),
    );
    const dids = new Set(batches.flat().map((record) => parseEnvelope(textOf(record)).header.d));
    expect(dids.size).toBe(1);
    expect(counters.wraps - before.wraps).toBe(1);
    expect(counters.seals - before.seals).toBe(20);
    const other = await seal(layer, [userMessage('a')], { sessionId: 'session-2' });
    expect(parseEnvelope(textOf(other[0])).header.d).not.toBe([...dids][0]);
  });

  it('are unwrapped once for many records, also when readers run at the same time', async () => {
    const keys = keyring({ current: KEY });
    const records = await seal(
      encrypt({ keys }),
      Array.from({ length: 50 }, () => userMessage('a')),
    );
    const reader = encrypt({ keys });
    const before = { ...counters };
    await Promise.all([open(reader, records), open(reader, records), open(reader, records)]);
    expect(counters.unwraps - before.unwraps).toBe(1);
    expect(counters.opens - before.opens).toBe(150);
  });

  it.each<[string, object, () => void]>([
    ['the time is over', { maxAge: DAY }, () => void (now += DAY)],
    ['enough entries were sealed', { maxMessages: 1 }, () => undefined],
    ['enough bytes were sealed', { maxBytes: 10 }, () => undefined],
  ])('are replaced when %s', async (_, dataKeys, change) => {
    const layer = layerOf({ dataKeys: { cacheFor: '52w', ...dataKeys } });
    const [first] = await seal(layer, [userMessage('a')]);
    change();
    const [second] = await seal(layer, [userMessage('a')]);
    expect(parseEnvelope(textOf(first)).header.d).not.toBe(parseEnvelope(textOf(second)).header.d);
    expect(items(await open(layer, [first, second] as AgentInputItem[]))).toEqual([
      userMessage('a'),
      userMessage('a'),
    ]);
  });

  it('are replaced when another key was promoted', async () => {
    const keys = keyring({ current: KEY, previous: [OTHER_KEY] });
    const layer = encrypt({ keys });
    const [first] = await seal(layer, [userMessage('a')]);
    keys.promote('other');
    const [second] = await seal(layer, [userMessage('b')]);
    expect(parseEnvelope(textOf(second)).header.d).not.toBe(parseEnvelope(textOf(first)).header.d);
    expect(items(await open(layer, [first, second] as AgentInputItem[]))).toEqual([
      userMessage('a'),
      userMessage('b'),
    ]);
  });

  it('are made by each process for itself, even after it read others', async () => {
    const keys = keyring({ current: KEY });
    const records = await seal(encrypt({ keys }), [userMessage('a')]);
    const next = encrypt({ keys });
    await open(next, records);
    const before = counters.wraps;
    const own = [...(await seal(next, [userMessage('b')])), ...(await seal(next, [userMessage('c')]))];
    expect(counters.wraps).toBe(before + 1);
    const dids = [...records, ...own].map((record) => parseEnvelope(textOf(record)).header.d);
    expect(dids[1]).not.toBe(dids[0]);
    expect(dids[2]).toBe(dids[1]);
  });

  it('are never reused when anybody could have wrapped them with a public key', async () => {
    const curve = { ...(await generateKey({ alg: 'ECDH-ES+A256KW' })), kid: 'curve' };
    const keys = keyring({ current: curve });
    const records = await seal(encrypt({ keys }), [userMessage('from a stranger')]);
    const victim = encrypt({ keys });
    await open(victim, records);
    const [own] = await seal(victim, [userMessage('secret')]);
    expect(parseEnvelope(textOf(own)).header.d).not.toBe(parseEnvelope(textOf(records[0])).header.d);
  });

  it('can be wrapped with a public key by a process that cannot read', async () => {
    const curve = { ...(await generateKey({ alg: 'ECDH-ES+A256KW' })), kid: 'curve' };
    const { d: _d, ...publicHalf } = curve;
    const writer = layerOf({}, publicHalf);
    const records = await seal(writer, [userMessage('a')]);
    now += DAY / 2;
    records.push(...(await seal(writer, [userMessage('b')])));
    expect(items(await open(layerOf({}, curve), records))).toEqual([userMessage('a'), userMessage('b')]);
    expect(await failure(() => open(layerOf({}, publicHalf), records))).toEqual(
      coded('ERR_KEY_UNAVAILABLE', /Record 1 of 2 of session "session-1" does not open: .*public half/),
    );
  });

  it('are evicted from a small cache without an effect on their users', async () => {
    const layer = layerOf({ dataKeys: { maxCached: 1 } });
    const written = await Promise.all(
      ['1', '2', '3', '4'].map(async (sessionId) => ({
        sessionId,
        records: await seal(layer, [userMessage(sessionId)], { sessionId }),
      })),
    );
    const opened = await Promise.all(
      written.map(async ({ sessionId, records }) => items(await open(layer, records, { sessionId }))),
    );
    expect(opened).toEqual(['1', '2', '3', '4'].map((text) => [userMessage(text)]));
    const many = await Promise.all(
      [1, 2, 3].map(async () => (await seal(layerOf(), [userMessage('x')]))[0] as AgentInputItem),
    );
    expect(items(await open(layer, many))).toEqual([userMessage('x'), userMessage('x'), userMessage('x')]);
  });

  it('stop at once for a key that was disabled in this process', async () => {
    const keys = keyring({ current: KEY, previous: [OTHER_KEY] });
    const layer = encrypt({ keys });
    const records = await seal(layer, [userMessage('a')]);
    keys.promote('other');
    keys.disable('kek');
    expect(await failure(() => open(layer, records))).toEqual(coded('ERR_KEY_DISABLED', /"kek" is disabled/));
    keys.enable('kek');
    expect(items(await open(layer, records))).toEqual([userMessage('a')]);
  });
});

describe('where the wrapped data key lives', () => {
  it('is the store of the session, and nothing of it is in the envelopes', async () => {
    const dekStore = testStore();
    const layer = layerOf();
    const records = await seal(layer, [userMessage('a')], { dekStore });
    const { header, wrapped } = parseEnvelope(textOf(records[0]));
    expect(wrapped).toBeUndefined();
    expect([...dekStore.records.values()]).toEqual([
      {
        sessionId: 'session-1',
        did: header.d,
        kid: 'kek',
        wrapped: expect.stringMatching(/^ey/) as string,
        createdAt: 1_000_000,
      },
    ]);
    expect(items(await open(layerOf(), records, { dekStore }))).toEqual([userMessage('a')]);
  });

  it('is durable before anything is sealed with it', async () => {
    const broken = {
      ...testStore(),
      put: vi.fn<DekStore['put']>().mockRejectedValue(new Error('disk full')),
    };
    const layer = layerOf({ dekStore: broken });
    expect(await failure(() => seal(layer, [userMessage('a')]))).toEqual(
      coded('ERR_STORE', /DEK store failed/),
    );
    broken.put.mockResolvedValue(false);
    expect(await failure(() => seal(layer, [userMessage('a')]))).toEqual(
      coded('ERR_STORE', /just generated/),
    );
    broken.put.mockResolvedValue(true);
    expect(await seal(layer, [userMessage('a')])).toHaveLength(1);
  });

  it("is the store of the option, before the session's own store", async () => {
    const own = testStore();
    const elsewhere = testStore();
    const records = await seal(layerOf({ dekStore: elsewhere }), [userMessage('a')], { dekStore: own });
    expect([own.records.size, elsewhere.records.size]).toEqual([0, 1]);
    const inline = await seal(layerOf({ dekStore: 'inline' }), [userMessage('b')], { dekStore: own });
    expect(parseEnvelope(textOf(inline[0])).wrapped).toBeDefined();
    expect(own.records.size).toBe(0);
    const reader = layerOf({ dekStore: elsewhere });
    expect(items(await open(reader, [...records, ...inline], { dekStore: own }))).toEqual([
      userMessage('a'),
      userMessage('b'),
    ]);
  });

  it('must be known to the reader', async () => {
    const records = await seal(layerOf({ dekStore: testStore() }), [userMessage('a')]);
    expect(await failure(() => open(layerOf(), records))).toEqual(
      coded('ERR_KEY_UNAVAILABLE', /this stack has no DEK store\./),
    );
    expect(await failure(() => open(layerOf({ dekStore: testStore() }), records))).toEqual(
      coded('ERR_KEY_UNKNOWN', /DEK store holds no data key/),
    );
  });

  it('is queried again after a while, so that a key destroyed elsewhere is dropped', async () => {
    const dekStore = testStore();
    const layer = layerOf({ dekStore, dataKeys: { cacheFor: 1_000 } });
    const records = await seal(layer, [userMessage('a')]);
    await dekStore.destroy('session-1');
    expect(items(await open(layer, records))).toEqual([userMessage('a')]);
    now += 1_000;
    expect(items(await open(layer, records))).toEqual([undefined]);
    const [fresh] = await seal(layer, [userMessage('b')]);
    expect(parseEnvelope(textOf(fresh)).header.d).not.toBe(parseEnvelope(textOf(records[0])).header.d);
    expect(items(await open(layer, [...records, fresh as AgentInputItem]))).toEqual([
      undefined,
      userMessage('b'),
    ]);
  });

  it('drops its key at once when the store refuses it as shredded', async () => {
    const dekStore = testStore();
    const layer = layerOf({ dekStore });
    const [first] = await seal(layer, [userMessage('a')]);
    await dekStore.destroy('session-1');
    expect(layer.refused?.(new StrongroomError('ERR_STORE', 'x'), call())).toBe(false);
    expect(layer.refused?.(new StrongroomError('ERR_SHREDDED', 'x'), call())).toBe(true);
    const [second] = await seal(layer, [userMessage('a')]);
    expect(parseEnvelope(textOf(second)).header.d).not.toBe(parseEnvelope(textOf(first)).header.d);
  });

  it('cannot undo a shredding by a copy of the wrapped key in the envelope', async () => {
    const dekStore = testStore();
    const [record] = await seal(layerOf({ dekStore }), [userMessage('a')]);
    const [backup] = [...dekStore.records.values()] as DekRecord[];
    await dekStore.destroy('session-1');
    const revived = carrierOf(`${textOf(record)}.${backup?.wrapped}`);
    expect(items(await open(layerOf({ dekStore }), [revived]))).toEqual([undefined]);
  });
});

describe('a record that does not open', () => {
  async function sealedRecord(options: Partial<EncryptOptions> = {}): Promise<AgentInputItem> {
    const [record] = await seal(layerOf(options), [userMessage('secret text')]);
    return record as AgentInputItem;
  }

  function rewrite(record: AgentInputItem, change: (parts: string[]) => void): AgentInputItem {
    const parts = textOf(record).split('.');
    change(parts);
    return carrierOf(parts.join('.'));
  }

  const cases: [UndecryptableReason, string, RegExp, () => Promise<AgentInputItem>][] = [
    [
      'NOT_SEALED',
      'a plaintext row',
      /plain text where a sealed record/,
      async () => userMessage('injected'),
    ],
    [
      'NOT_SEALED',
      'an unsealed envelope',
      /not sealed/,
      async () => carrierOf(sealClear({ t: 1 }, encodeItem(userMessage('injected')))),
    ],
    ['MALFORMED', 'a broken envelope', /not a valid sr1 envelope/, async () => carrierOf('sr1.x')],
    [
      'UNSUPPORTED',
      'an envelope of an unknown suite',
      /does not know the suite/,
      async () => {
        const record = await sealedRecord();
        return rewrite(record, (parts) => {
          const header = Buffer.from(parts[1] as string, 'base64url')
            .toString()
            .replace('XC20P', 'XC21P');
          parts[1] = toBase64url(utf8(header));
        });
      },
    ],
    [
      'KEY_UNKNOWN',
      'a record of another keyring',
      /no key with the kid "other"/,
      async () => (await seal(layerOf({}, OTHER_KEY), [userMessage('a')]))[0] as AgentInputItem,
    ],
    [
      'AUTHENTICATION',
      'a changed ciphertext',
      /changed after it was sealed/,
      async () => {
        const record = await sealedRecord();
        return rewrite(record, (parts) => {
          const body = new Uint8Array(Buffer.from(parts[2] as string, 'base64url'));
          body[30] = (body[30] as number) ^ 1;
          parts[2] = toBase64url(body);
        });
      },
    ],
    [
      'AUTHENTICATION',
      'a prolonged expiry',
      /changed after it was sealed/,
      async () => {
        const layer = layerOf();
        const written = await layer.write?.([entryOf(userMessage('a'), { e: 5 })], call());
        const { header, body, wrapped } = parseEnvelope(textOf(written?.[0]?.item));
        return carrierOf(formatEnvelope(formatHeader({ ...header, e: 9_999_999 }), body, wrapped));
      },
    ],
    [
      'COMMITMENT',
      'a downgraded suite',
      /sealed for a different session or context/,
      async () => {
        const { header, body, wrapped } = parseEnvelope(textOf(await sealedRecord()));
        return carrierOf(formatEnvelope(formatHeader({ ...header, s: 'XAES-256-GCM' }), body, wrapped));
      },
    ],
    [
      'COMMITMENT',
      'a record of another session',
      /sealed for a different session or context/,
      async () =>
        (await seal(layerOf(), [userMessage('a')], { sessionId: 'session-2' }))[0] as AgentInputItem,
    ],
    [
      'COMMITMENT',
      'a swapped data key',
      /was replaced/,
      async () => {
        const [one, other] = [await sealedRecord(), await sealedRecord()];
        return carrierOf(
          [...textOf(one).split('.').slice(0, 3), parseEnvelope(textOf(other)).wrapped].join('.'),
        );
      },
    ],
    [
      'COMMITMENT',
      'another tenant',
      /sealed for a different session or context/,
      async () => sealedRecord({ context: { tenant: 'b' } }),
    ],
  ];

  it.each(cases)('is %s for %s, thrown and never empty history', async (reason, _, message, make) => {
    const record = await make();
    const error = await failure(() => open(layerOf(), [record]));
    expect(error).toEqual(coded(`ERR_${reason}`, message));
    expect(error).toEqual(coded(`ERR_${reason}`, /^Record 1 of 1 of session "session-1" does not open: /));
    expect((error as Error).message).not.toContain('injected');
    expect((error as Error).message).not.toContain('secret text');
  });

  it.each(cases)(
    'is reported as %s for %s, and skipped when the handler says so',
    async (reason, _, __, make) => {
      const record = await make();
      const good = await sealedRecord();
      const seen: unknown[] = [];
      const skipped = vi.fn<() => void>();
      const layer = layerOf({
        onUndecryptable: (given, reference) => {
          seen.push({ given, reference });
          return 'skip';
        },
      });
      expect(items(await open(layer, [good, record], { skipped }))).toEqual([
        userMessage('secret text'),
        undefined,
      ]);
      expect(seen).toEqual([
        {
          given: reason,
          reference: expect.objectContaining({ sessionId: 'session-1', index: 1, count: 2 }) as unknown,
        },
      ]);
      expect(skipped).toHaveBeenCalledOnce();
    },
  );

  it('is not removed by popItem', async () => {
    const inner = new MemorySession();
    await wrapSession(inner, [layerOf({}, OTHER_KEY)]).addItems([userMessage('a')]);
    const session = wrapSession(inner, [layerOf()]);
    expect(await failure(() => session.popItem())).toEqual(coded('ERR_KEY_UNKNOWN', /"other"/));
    expect(await inner.getItems()).toHaveLength(1);
  });

  it('hides a shredded record without making the session read-only, unless told to throw', async () => {
    const dekStore = testStore();
    const records = await seal(layerOf({ dekStore }), [userMessage('a')]);
    await dekStore.destroy('session-1');
    const skipped = vi.fn<() => void>();
    expect(items(await open(layerOf({ dekStore }), records, { skipped }))).toEqual([undefined]);
    expect(skipped).not.toHaveBeenCalled();
    const strict = layerOf({ dekStore, onUndecryptable: () => 'throw' });
    expect(await failure(() => open(strict, records))).toEqual(
      coded('ERR_SHREDDED', /destroyed on purpose at 1970/),
    );
  });

  it('throws when its key is not available now, for every answer of the handler', async () => {
    const records = await seal(layerOf({ dekStore: testStore() }), [userMessage('a')]);
    const layer = layerOf({ onUndecryptable: () => 'skip' });
    expect(await failure(() => open(layer, records))).toEqual(coded('ERR_KEY_UNAVAILABLE', /no DEK store/));
  });

  it('treats every answer of the handler except skip as throw', async () => {
    const layer = layerOf({ onUndecryptable: (() => Promise.resolve('skip')) as never });
    expect(await failure(() => open(layer, [userMessage('x')]))).toEqual(
      coded('ERR_NOT_SEALED', /plain text/),
    );
  });

  it('passes on errors of a DEK store, and releases opened keys', async () => {
    const dekStore = { ...testStore(), get: async () => Promise.reject(new Error('timeout')) };
    const records = await seal(layerOf({ dekStore: testStore() }), [userMessage('a')]);
    expect(await failure(() => open(layerOf({ dekStore }), records))).toEqual(
      coded('ERR_STORE', /DEK store failed/),
    );
  });

  it('never opens after any bit of it was flipped', async () => {
    const record = await sealedRecord();
    const text = textOf(record);
    const layer = layerOf();
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length - 1), fc.nat(6), async (at, bit) => {
        const changed = carrierOf(
          text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << bit)) + text.slice(at + 1),
        );
        expect(await failure(() => open(layer, [changed]))).toBeInstanceOf(StrongroomError);
      }),
      { numRuns: 300 },
    );
  });
});

describe('unsafeAllowPlaintext', () => {
  const allowing = (more: object = {}): SessionLayer =>
    layerOf({ unsafeAllowPlaintext: { until: new Date(now + 1_000), ...more } });

  it('accepts plain records until its date, and counts them', async () => {
    const onPlaintext = vi.fn<(count: number, sessionId: string) => void>();
    const layer = allowing({ onPlaintext });
    const [sealed] = await seal(layer, [userMessage('new')]);
    const records = [userMessage('old'), sealed as AgentInputItem];
    expect(items(await open(layer, records))).toEqual([userMessage('old'), userMessage('new')]);
    expect(onPlaintext).toHaveBeenCalledExactlyOnceWith(1, 'session-1');
    now += 1_000;
    expect(await failure(() => open(layer, records))).toEqual(coded('ERR_NOT_SEALED', /Record 1 of 2/));
  });

  it('treats a pasted unsealed envelope, and text that begins like one, as text', async () => {
    const pasted = [
      carrierOf(sealClear({ t: 1 }, encodeItem(userMessage('inner')))),
      carrierOf('sr1.'),
      carrierOf('sr1.hello.world'),
    ];
    expect(items(await open(allowing(), pasted))).toEqual(pasted);
  });

  it('opens unsealed envelopes on request, and uses only an expiry of their header', async () => {
    const header = { t: 5, e: 9, g: 1, 'x-a': 1 };
    const record = carrierOf(sealClear(header, encodeItem(userMessage('inner'))));
    const plain = carrierOf(sealClear({ t: 5 }, encodeItem(userMessage('other'))));
    const broken = carrierOf(sealClear({ t: 5 }, 'no json'));
    const layer = allowing({ envelopes: true });
    expect(await open(layer, [record, plain])).toEqual([
      { item: userMessage('inner'), header: { e: 9 }, stored: record },
      { item: userMessage('other'), header: {}, stored: plain },
    ]);
    expect(await failure(() => open(layer, [broken]))).toEqual(
      coded('ERR_MALFORMED', /not the JSON of an item/),
    );
  });

  it('still refuses sealed records that do not open', async () => {
    const [record] = await seal(layerOf({}, OTHER_KEY), [userMessage('a')]);
    expect(await failure(() => open(allowing(), [record as AgentInputItem]))).toEqual(
      coded('ERR_KEY_UNKNOWN', /"other"/),
    );
  });
});

describe('a keyring per tenant', () => {
  it('is called for each call, and one tenant does not open the rows of another', async () => {
    const rings = { a: keyring({ current: KEY }), b: keyring({ current: OTHER_KEY }) };
    const layer = encrypt({
      keys: async ({ sessionId }) => rings[sessionId.startsWith('a') ? 'a' : 'b'],
      context: ({ sessionId }) => ({ tenant: sessionId.slice(0, 1) }),
    });
    const [record] = await seal(layer, [userMessage('x')], { sessionId: 'a1' });
    expect(items(await open(layer, [record as AgentInputItem], { sessionId: 'a1' }))).toEqual([
      userMessage('x'),
    ]);
    expect(await failure(() => open(layer, [record as AgentInputItem], { sessionId: 'b1' }))).toEqual(
      coded('ERR_KEY_UNKNOWN', /"kek"/),
    );
  });

  it('never shares an opened data key between keyrings', async () => {
    let ring = keyring({ current: KEY });
    const layer = encrypt({ keys: () => ring });
    const records = await seal(layer, [userMessage('x')]);
    ring = keyring({ current: OTHER_KEY });
    expect(await failure(() => open(layer, records))).toEqual(coded('ERR_KEY_UNKNOWN', /"kek"/));
    expect(parseEnvelope(textOf((await seal(layer, [userMessage('y')]))[0])).wrapped).not.toBe(
      parseEnvelope(textOf(records[0])).wrapped,
    );
  });
});

describe('the options of encrypt', () => {
  const keys = keyring({ current: KEY });
  it.each([
    ['no keys', {}, 'ERR_INVALID_OPTION', /keys must be a keyring/],
    ['a JWK as keys', { keys: KEY }, 'ERR_INVALID_OPTION', /keys must be a keyring/],
    [
      'an unknown suite',
      { keys, suite: 'AES' },
      'ERR_INVALID_OPTION',
      /suite must be one of XC20P, XAES-256-GCM/,
    ],
    [
      'a context that is no object of texts',
      { keys, context: { tenant: 1 } },
      'ERR_INVALID_OPTION',
      /context/,
    ],
    ['a DEK store without methods', { keys, dekStore: {} }, 'ERR_INVALID_OPTION', /dekStore must be/],
    ['a handler that is none', { keys, onUndecryptable: 'skip' }, 'ERR_INVALID_OPTION', /onUndecryptable/],
    [
      'plaintext without an end',
      { keys, unsafeAllowPlaintext: {} },
      'ERR_INVALID_OPTION',
      /until must be a date/,
    ],
    [
      'plaintext until nonsense',
      { keys, unsafeAllowPlaintext: { until: 'soon' } },
      'ERR_INVALID_OPTION',
      /date/,
    ],
    ['a limit of zero', { keys, dataKeys: { maxMessages: 0 } }, 'ERR_INVALID_OPTION', /maxMessages must be/],
    ['a limit of another name', { keys, dataKeys: { max: 1 } }, 'ERR_INVALID_OPTION', /unknown option "max"/],
    ['an unknown option', { keys, key: 1 }, 'ERR_INVALID_OPTION', /unknown option "key"/],
  ] as const)('refuse %s', async (_, options, code, message) => {
    expect(await failure(() => encrypt(options as never))).toEqual(coded(code, message));
  });

  it('are checked again where they are functions', async () => {
    const badKeys = encrypt({ keys: () => KEY as never });
    expect(await failure(() => seal(badKeys, [userMessage('a')]))).toEqual(
      coded('ERR_INVALID_OPTION', /keys/),
    );
    const badContext = encrypt({ keys, context: () => ({ tenant: 1 }) as never });
    expect(await failure(() => seal(badContext, [userMessage('a')]))).toEqual(
      coded('ERR_INVALID_OPTION', /context/),
    );
    expect(await failure(() => seal(layerOf(), [userMessage('a')], { now: () => Number.NaN }))).toEqual(
      coded('ERR_INVALID_OPTION', /field t is not a time in whole Unix milliseconds/),
    );
  });
});
