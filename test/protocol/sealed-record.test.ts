import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encrypt,
  expire,
  cache,
  generateKey,
  keyring,
  wrapSession,
  type SessionLayer,
} from '../../src/index.ts';
import { envelopeText, parseEnvelope, recordKey } from '../../src/protocol/envelope.ts';
import { partsOf, plainRecord, recordLength, sealedRecord } from '../../src/protocol/sealed-record.ts';
import { createDecoder, decodeRecord, encodeRecord } from '../../src/stores/record.ts';
import type { StoredRecord } from '../../src/stores/driver.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';

const hello: AgentInputItem = { type: 'message', role: 'user', content: 'Hello' };
const isPlain = (record: unknown): boolean => Object.getPrototypeOf(record) === Object.prototype;
/** With its bytes as hexadecimal: a `Buffer` and a `Uint8Array` of the same bytes are equal. */
const bytesIn = ({ body, ...rest }: { readonly body: string | Uint8Array }): object => ({
  ...rest,
  body: typeof body === 'string' ? body : Buffer.from(body).toString('hex'),
});
const outcome = (action: () => unknown): unknown => {
  try {
    return action();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
};

describe('a sealed record without the text of its envelope', () => {
  const did = 'A'.repeat(43);
  const jwe = 'a.b.c.d.e';
  const time = fc.constantFrom(0, 1_700_000_000_000, -1, 1.5);
  const stored: fc.Arbitrary<StoredRecord> = fc.record({
    head: fc.constantFrom(
      null,
      'XC20P',
      'XAES-256-GCM',
      'none',
      'XYZ',
      '',
      '{"s":"XC20P","o":"AAAAAAAAAAAAAAAAAAAAAA"}',
      '{"s":"XC20P","x-a":"1","x-b":null}',
      '{"s":"XC20P","y":1}',
      '{"s":"XC20P","t":null}',
      '{"s"',
    ),
    did: fc.constantFrom(null, did, did, 'short'),
    body: fc.oneof(
      fc.uint8Array({ minLength: 38, maxLength: 60 }),
      fc.constant('{"type":"message","role":"user","content":"x"}'),
    ),
    wrapped: fc.constantFrom(null, null, jwe, 'no.jwe', '', 'a'.repeat(17_000)),
    writtenAt: time,
    expiresAt: fc.option(time),
    bornAt: fc.option(time),
  });

  it('equals the carrier of the same row, or fails with the same error', () => {
    fc.assert(
      fc.property(fc.array(stored, { maxLength: 6 }), (rows) => {
        const decode = createDecoder('s');
        for (const row of rows) {
          const expected = outcome(() => decodeRecord(row, 's'));
          const record = outcome(() => decode(row)) as AgentInputItem;
          expect(plainRecord(record)).toEqual(expected);
          const parts = partsOf(record);
          // What cannot be the parts of a sealed envelope is left to whoever parses the text.
          const text = envelopeText(expected as AgentInputItem);
          const parsed = text === undefined ? undefined : outcome(() => parseEnvelope(text));
          const isSealed = parsed !== undefined && !('code' in (parsed as object)) && row.head !== 'none';
          expect(parts !== undefined).toBe(isSealed);
          if (parts === undefined) continue;
          expect(bytesIn(parts)).toEqual(bytesIn(parsed as typeof parts));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('has the members and length of the carrier, and is stored as the same row', () => {
    fc.assert(
      fc.property(stored, (row) => {
        let record: AgentInputItem;
        try {
          record = createDecoder('s')(row);
        } catch {
          return;
        }
        const plain = plainRecord(record);
        expect(isPlain(plain)).toBe(true);
        expect(JSON.stringify(record)).toBe(JSON.stringify(plain));
        expect(recordKey(record)).toBe(recordKey(plain));
        expect(recordLength(record)).toBe(recordKey(plain).length);
        expect(bytesIn(encodeRecord(record, 5))).toEqual(bytesIn(encodeRecord(plain, 5)));
      }),
      { numRuns: 2_000 },
    );
  });

  it("does not keep the driver's packet in memory that contains its body", () => {
    const packet = new Uint8Array(4_096).fill(1);
    const row = { did, head: 'XC20P', wrapped: null, writtenAt: 1, expiresAt: null, bornAt: null };
    const record = createDecoder('s')({ ...row, body: packet.subarray(10, 90) });
    const body = partsOf(record)?.body as Uint8Array;
    expect(body).toEqual(packet.subarray(10, 90));
    expect(body.buffer.byteLength).toBe(80);
  });
});

describe('records of a store of ours', () => {
  const layersFor = async (): Promise<SessionLayer[]> => [
    expire({ after: '30d' }),
    cache({ maxItems: 1_000 }),
    encrypt({ keys: keyring({ current: await generateKey() }) }),
  ];

  /** How many texts as long as an envelope are made in base64url while `work` runs. */
  async function textsMade(work: () => Promise<unknown>): Promise<number> {
    const { prototype } = Buffer;
    const { toString } = prototype;
    let count = 0;
    prototype.toString = function (this: Buffer, ...args: Parameters<typeof toString>) {
      if (args[0] === 'base64url' && this.length > 1_000) count++;
      return toString.apply(this, args);
    };
    try {
      await work();
    } finally {
      prototype.toString = toString;
    }
    return count;
  }

  it('have no text between the store and encrypt(), and have text between another session and encrypt()', async () => {
    const long: AgentInputItem = { type: 'message', role: 'user', content: 'x'.repeat(1_200) };
    await using store = openSqlite(':memory:');
    for (const [inner, texts] of [
      [store.session('s'), [0, 0, 0]],
      // Each is made once, and once more to see that it is canonical.
      [new MemorySession(), [3, 0, 3]],
    ] as const) {
      const layers = await layersFor();
      const session = wrapSession(inner, layers);
      const cold = wrapSession(inner, [...layers]);
      await session.getItems();
      expect([
        await textsMade(() => session.addItems([long, long, long])),
        await textsMade(() => session.getItems()),
        await textsMade(() => wrapSession(inner, [layers[0], layers[2]] as SessionLayer[]).getItems()),
      ]).toEqual(texts);
      expect(await cold.getItems()).toEqual([long, long, long]);
    }
  });

  it('are plain carriers for readers of the bare session, before and after a read through the stack', async () => {
    await using store = openSqlite(':memory:');
    const inner = store.session('s');
    const session = wrapSession(inner, await layersFor());
    await session.addItems([hello, hello]);
    for (let read = 0; read < 2; read++) {
      const records = await inner.getItems();
      expect(records.map(isPlain)).toEqual([true, true]);
      expect(records.map((record) => Object.keys(record))).toEqual([
        ['type', 'role', 'content'],
        ['type', 'role', 'content'],
      ]);
      await session.getItems();
    }
  });

  it.each(['inherits', 'copies', 'stands before'])(
    'are carriers for a session that %s the members of one of ours, and it is not passed by',
    async (how) => {
      await using store = openSqlite(':memory:');
      const inner = store.session('s');
      const calls: string[] = [];
      const own = {
        async getItems(limit?: number) {
          calls.push('getItems');
          return inner.getItems(limit);
        },
        async addItems(items: AgentInputItem[]) {
          calls.push('addItems');
          expect(items.map(isPlain)).toEqual([true]);
          return inner.addItems(items);
        },
      };
      const outer: Session =
        how === 'inherits'
          ? Object.assign(Object.create(inner) as Session, own)
          : how === 'copies'
            ? { ...inner, ...own }
            : new Proxy(inner, {
                get: (target, name) =>
                  Object.hasOwn(own, name) ? own[name as 'addItems'] : Reflect.get(target, name),
              });
      const layers = await layersFor();
      await wrapSession(outer, layers).addItems([hello]);
      expect(await wrapSession(outer, layers).getItems()).toEqual([hello]);
      expect(calls).toContain('getItems');
      expect(calls).toContain('addItems');
    },
  );

  it('are carriers for replaced members of our sessions, which are not bypassed', async () => {
    await using store = openSqlite(':memory:');
    const inner = store.session('s');
    const [stamps, , seals] = (await layersFor()) as [SessionLayer, SessionLayer, SessionLayer];
    const session = wrapSession(inner, [stamps, seals]);
    await session.addItems([hello]);
    const getItems = inner.getItems.bind(inner);
    const addItems = inner.addItems.bind(inner);
    const calls: string[] = [];
    inner.getItems = async (limit) => {
      calls.push('getItems');
      return getItems(limit);
    };
    inner.addItems = async (items) => {
      calls.push('addItems');
      expect(items.map(isPlain)).toEqual([true]);
      return addItems(items);
    };
    inner.getSessionId = async () => {
      calls.push('getSessionId');
      return 's';
    };
    await session.addItems([hello]);
    expect(calls).toEqual(['getSessionId', 'addItems']);
    calls.length = 0;
    expect(await session.getItems(2)).toEqual([hello, hello]);
    expect(calls).toEqual(['getSessionId', 'getItems']);
  });

  it('are carriers for a layer of another package that gets entries with their records', async () => {
    await using store = openSqlite(':memory:');
    const inner = store.session('s');
    const [stamps, keeps, seals] = (await layersFor()) as [SessionLayer, SessionLayer, SessionLayer];
    const seen: unknown[] = [];
    const look = (entries: readonly { readonly stored?: AgentInputItem }[] | undefined): void => {
      for (const { stored } of entries ?? []) if (stored !== undefined) seen.push(stored);
    };
    const hooks: Record<string, Partial<SessionLayer>> = {
      read: { read: (entries) => (look(entries), [...entries]) },
      inspect: { inspect: (entries) => look(entries) },
      mutation: { mutation: () => ({ done: (appended) => look(appended) }) },
    };
    for (const [name, hook] of Object.entries(hooks)) {
      seen.length = 0;
      const session = wrapSession(inner, [{ name, ...hook }, stamps, keeps, seals]);
      await session.getItems();
      await session.addItems([hello]);
      await session.getItems();
      expect(seen.length).toBeGreaterThan(0);
      expect(seen.every(isPlain)).toBe(true);
    }
    // A copy of a layer of ours may do something else, and so may one that was changed.
    const read = stamps.read?.bind(stamps);
    const looking: Pick<SessionLayer, 'read'> = {
      read: async (entries, call) => (look(entries), (await read?.(entries, call)) ?? []),
    };
    for (const changed of [{ ...stamps, ...looking }, Object.assign(stamps, looking)]) {
      seen.length = 0;
      await wrapSession(inner, [changed, seals]).getItems();
      expect(seen.length).toBeGreaterThan(0);
      expect(seen.every(isPlain)).toBe(true);
    }
  });

  it('can be replaced and removed after they were read into a cache', async () => {
    await using store = openSqlite(':memory:');
    const session = wrapSession(store.session('s'), await layersFor());
    const items = ['one', 'two', 'three'].map((content): AgentInputItem => ({ ...hello, content }));
    await session.addItems(items);
    const { historyDigest } = await import('../../src/stores/sqlite.ts');
    expect(await session.getItems()).toEqual(items);
    await session.replacePrefix({
      count: 1,
      digest: historyDigest(items.slice(0, 1)),
      replacement: [hello],
      operationId: 'replace',
    });
    expect(await session.getItems()).toEqual([hello, ...items.slice(1)]);
    expect(await session.popItem()).toEqual(items[2]);
    await session.applyHistoryTransaction({
      operationId: 'suffix',
      transaction: { type: 'replace_suffix', expectedSuffix: [items[1] as AgentInputItem], replacement: [] },
    });
    expect(await session.getItems()).toEqual([hello]);
  });
});

it('only this package treats a record of parts as a sealed record', () => {
  const record = sealedRecord({
    header: { s: 'XC20P' },
    headerSegment: 'e30',
    body: new Uint8Array(3),
  });
  expect(partsOf({ ...record })).toBeUndefined();
  expect(partsOf(structuredClone(plainRecord(record)))).toBeUndefined();
});
