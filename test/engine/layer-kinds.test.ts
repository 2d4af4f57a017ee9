import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { afterEach, describe, expect, test } from 'vitest';
import {
  encrypt,
  expire,
  isStrongroomError,
  redact,
  wrapSession,
  type Entry,
  type Header,
  type SessionLayer,
} from '../../src/index.ts';
import { migrate } from '../../src/operations/index.ts';
import { carrierOf, formatEnvelope, formatHeader } from '../../src/protocol/envelope.ts';
import { fakeClock, fixedKeyring } from '../../src/testing/index.ts';
import { compress, compressLong, headersTo, label } from '../support/custom-layers.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { plainSession } from '../support/plain-session.ts';

const message = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const toolCall = (name = 'search'): AgentInputItem & { type: 'function_call' } => ({
  type: 'function_call',
  callId: 'c1',
  name,
  arguments: '{}',
  status: 'completed',
});
const toolResult: AgentInputItem = {
  type: 'function_call_result',
  callId: 'c1',
  name: 'search',
  status: 'completed',
  output: { type: 'text', text: 'found' },
};

let opened: ReturnType<typeof openSqlite>[] = [];
afterEach(async () => {
  await Promise.all(opened.map((store) => store.close()));
  opened = [];
});

/** A session with every member that one of the SDK can have for its history. */
function whole() {
  const store = openSqlite(':memory:');
  opened.push(store);
  return store.session('s');
}

async function refusal(attempt: () => unknown): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    if (isStrongroomError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

/** A codec above, below and between the other layers; with and without a seal. */
const keys = fixedKeyring();
const CODECS = [
  ['a codec', compress],
  ['a codec that marks what it packed', () => compressLong(0)],
] as const;

describe.each(CODECS)('%s', (_, codec) => {
  test.each([
    ['above expire()', (layer: SessionLayer) => [codec(), layer]],
    ['below expire()', (layer: SessionLayer) => [layer, codec()]],
    ['above expire() and encrypt()', (layer: SessionLayer) => [codec(), layer, encrypt({ keys })]],
  ])('%s leaves calls and results together', async (_where, stackOf) => {
    const clock = fakeClock();
    const inner = new MemorySession();
    const open = (): Session => wrapSession(inner, stackOf(expire({ after: '10d', clock })));
    await open().addItems([toolCall()]);
    clock.advance('6d');
    await open().addItems([toolResult, message('young')]);
    clock.advance('6d');
    expect(await open().getItems()).toEqual([message('young')]);
  });

  test.each([
    ['alone', () => [codec()]],
    ['above expire()', () => [codec(), expire({ after: '1d' })]],
    ['below what redacts on read', () => [redact({ when: 'read' }), codec()]],
    ['above what redacts on read', () => [codec(), redact({ when: 'read' })]],
    ['above encrypt()', () => [codec(), encrypt({ keys })]],
  ])('%s lets a mutation take effect', async (_where, layers) => {
    const session = wrapSession(new MemorySession(), layers());
    await session.addItems([message('one'), toolCall(), toolResult]);
    await session.applyHistoryMutations?.({
      mutations: [{ type: 'replace_function_call', callId: 'c1', replacement: toolCall('look') }],
    });
    expect(await session.getItems()).toEqual([message('one'), toolCall('look'), toolResult]);
  });

  test('is undone before its items are written again: by a compaction, a rollback, a suffix', async () => {
    const inner = whole();
    const session = wrapSession(inner, [redact({ when: 'read' }), codec()]);
    const items = [message('card 4111 1111 1111 1111'), message('two'), message('three')];
    await session.addItems(items);
    const seen = await session.getItems();
    expect(JSON.stringify(seen)).not.toContain('4111');
    await session.replaceHistoryWithCompaction(seen);
    const texts = (): Promise<AgentInputItem[]> => wrapSession(inner, [codec()]).getItems();
    expect(await texts()).toEqual(items);
    const again = await session.getItems();
    await session.clearSession();
    await session.addItems(again);
    expect(await texts()).toEqual(items);
    await session.applyHistoryTransaction({
      operationId: 'op',
      transaction: {
        type: 'replace_suffix',
        expectedSuffix: again,
        replacement: [message('new'), ...again],
      },
    });
    expect(await texts()).toEqual([message('new'), ...items]);
  });

  test.each([
    ['above', () => [codec(), redact()]],
    ['below', () => [redact(), codec()]],
  ])('%s redact() stores nothing that is to be redacted', async (_where, layers) => {
    const inner = new MemorySession();
    await wrapSession(inner, layers()).addItems([message('write to jane@example.org')]);
    expect(JSON.stringify(await wrapSession(inner, [codec()]).getItems())).toContain('<EMAIL_ADDRESS>');
  });

  test('is applied by migrate() to the items that it seals', async () => {
    const inner = new MemorySession({ initialItems: [message('jane@example.org'), toolCall(), toolResult] });
    const clock = fakeClock();
    const until = new Date(clock() + 1_000);
    const session = wrapSession(inner, [
      codec(),
      redact(),
      expire({ after: '1d', clock }),
      encrypt({ keys, unsafeAllowPlaintext: { until } }),
    ]);
    await migrate(session);
    clock.advance(2_000);
    expect(await session.getItems()).toEqual([message('<EMAIL_ADDRESS>'), toolCall(), toolResult]);
  });

  test('that cannot read a record makes the session read-only, like a seal that cannot', async () => {
    const inner = new MemorySession();
    const skipping = (): SessionLayer => ({
      ...codec(),
      read(entries, call) {
        call.skipped();
        return entries.map(() => undefined);
      },
    });
    await wrapSession(inner, [codec()]).addItems([message('one')]);
    const session = wrapSession(inner, [skipping()]);
    expect(await session.getItems()).toEqual([]);
    expect(await refusal(() => session.popItem())).toContain('ERR_READ_ONLY popItem');
    expect(await refusal(() => wrapSession(inner, [skipping()]).popItem())).toContain('ERR_READ_ONLY');
    expect(await inner.getItems()).toHaveLength(1);
  });
});

describe('header fields of a layer', () => {
  /** A layer that writes another value at each write, so that a field that was written anew shows. */
  function open<S extends Session>(inner: S, layers: readonly SessionLayer[] = []) {
    let seen: readonly Header[] = [];
    const session = wrapSession(inner, [
      headersTo((headers) => {
        seen = headers;
      }),
      ...layers,
    ]);
    return {
      session,
      labels: async (): Promise<unknown[]> => {
        await session.getItems();
        return seen.map((header) => header['x-by']);
      },
    };
  }
  const STACKS: readonly (readonly [string, (by: string) => SessionLayer[]])[] = [
    ['alone', (by) => [label(by)]],
    ['above a codec', (by) => [label(by), compress()]],
    ['below a codec', (by) => [compressLong(0), label(by)]],
    ['with expire()', (by) => [label(by), expire({ after: '1d' })]],
    ['with encrypt()', (by) => [label(by), encrypt({ keys })]],
    ['with what redacts on read', (by) => [redact({ when: 'read' }), label(by)]],
  ];

  describe.each(STACKS)('%s', (_, layers) => {
    const items = ['one jane@example.org', 'two', 'three'].map(message);

    test.each([true, false])('stay on items that a compaction keeps, read before: %s', async (reads) => {
      const inner = whole();
      await open(inner, layers('first')).session.addItems(items);
      const { session, labels } = open(inner, layers('second'));
      const seen = reads ? await session.getItems() : await open(inner, layers('x')).session.getItems();
      await session.replaceHistoryWithCompaction([message('summary'), ...seen.slice(1)]);
      expect(await labels()).toEqual(['second', 'first', 'first']);
    });

    test('stay on items that are cleared and written back', async () => {
      const inner = plainSession();
      await open(inner, layers('first')).session.addItems(items);
      const { session, labels } = open(inner, layers('second'));
      const seen = await session.getItems();
      await session.clearSession();
      await session.addItems([...seen, message('four')]);
      expect(await labels()).toEqual(['first', 'first', 'first', 'second']);
    });

    test('stay on items that a transaction moves', async () => {
      const inner = new MemorySession();
      await open(inner, layers('first')).session.addItems(items);
      const { session, labels } = open(inner, layers('second'));
      const seen = await session.getItems();
      await session.applyHistoryTransaction({
        operationId: 'op',
        transaction: {
          type: 'replace_suffix',
          expectedSuffix: seen.slice(1),
          replacement: [message('between'), ...seen.slice(1)],
        },
      });
      expect(await labels()).toEqual(['first', 'second', 'first', 'first']);
    });
  });

  test('with a number are dropped when a stack without numbers writes the record again', async () => {
    const inner = whole();
    const items = ['one', 'two', 'three'].map(message);
    await wrapSession(inner, [label(), encrypt({ keys, integrity: 'sequence' })]).addItems(items);
    const session = wrapSession(inner, [label(), encrypt({ keys })]);
    await session.replaceHistoryWithCompaction([...(await session.getItems())].reverse());
    const numbering = wrapSession(inner, [label(), encrypt({ keys, integrity: 'sequence' })]);
    expect(await numbering.getItems()).toEqual(items.toReversed());
  });

  const adds = (entry: Entry): Entry => ({ ...entry, header: { ...entry.header, 'x-by': 'mine' } });
  const drops = ({ item }: Entry): Entry => ({ item, header: {} });
  const loses = ({ item }: Entry): Entry => ({ item }) as Entry;
  const WITHOUT: readonly (readonly [string, () => SessionLayer[]])[] = [
    ['alone', () => []],
    ['above expire()', () => [expire({ after: '1d' })]],
    ['above encrypt()', () => [encrypt({ keys })]],
  ];

  test.each(WITHOUT)('are refused from a layer that does not set stamps, %s', async (_, below) => {
    const inner = whole();
    const session = wrapSession(inner, [{ name: 'mine', write: (entries) => entries.map(adds) }, ...below()]);
    for (const write of [
      () => session.addItems([message('one')]),
      () => session.replaceHistoryWithCompaction([message('one')]),
      () =>
        session.applyHistoryTransaction({
          operationId: 'op',
          transaction: { type: 'append_items', items: [message('one')] },
        }),
    ]) {
      expect(await refusal(write)).toBe(
        'ERR_INVALID_OPTION The layer "mine" writes header fields and does not say so, which would lose them. Give it stamps: true, or leave the header as it is.',
      );
    }
    expect(await inner.getItems()).toEqual([]);
  });

  test('cannot be removed by a layer that does not set stamps, by write or read', async () => {
    const inner = new MemorySession();
    const below = (layer: SessionLayer): Session => wrapSession(inner, [expire({ after: '1d' }), layer]);
    expect(
      await refusal(() =>
        below({ name: 'mine', write: (entries) => entries.map(drops) }).addItems([message('one')]),
      ),
    ).toContain('The layer "mine" writes header fields and does not say so');
    await wrapSession(inner, [expire({ after: '1d' })]).addItems([message('one')]);
    expect(
      await refusal(() =>
        wrapSession(inner, [
          expire({ after: '1d', unstamped: 'keep' }),
          { name: 'mine', read: (entries) => entries.map(drops) },
        ]).getItems(),
      ),
    ).toBe(
      'ERR_INVALID_OPTION The layer "mine" changes header fields in read and does not say that it writes any. Give it stamps: true, or leave the header as it is.',
    );
    expect(
      await refusal(() =>
        below({ name: 'mine', write: (entries) => entries.map(loses) }).addItems([message('one')]),
      ),
    ).toBe(
      'ERR_INVALID_OPTION The layer "mine" returned an entry without a header from write. Return { ...entry, item }.',
    );
  });

  test('that are times cannot be changed by a layer', async () => {
    const session = wrapSession(new MemorySession(), [
      expire({ after: '1d' }),
      {
        name: 'mine',
        stamps: true,
        write: (entries) => entries.map(({ item }) => ({ item, header: { 'x-by': 'mine' } })),
      },
    ]);
    expect(await refusal(() => session.addItems([message('one')]))).toBe(
      'ERR_INVALID_OPTION The layer "mine" took away times that are in the header of an entry, in write. Return { ...entry.header, … } with fields of its own.',
    );
  });

  test('of a layer that changes items and has read are refused unless it sets reads', async () => {
    const { reads: _reads, ...undeclared } = compressLong(0);
    const session = wrapSession(new MemorySession(), [undeclared]);
    expect(await refusal(() => session.addItems([message('one')]))).toBe(
      `ERR_INVALID_OPTION The layer "compressLong" changes items in write and has read. Say what that is: reads: 'inverse' if it undoes write, reads: 'view' if it does not.`,
    );
  });
});

describe('records that have no stamp', () => {
  const old = message('old');
  /** What a user pasted before there was a layer that stamps. */
  const pasted = carrierOf(formatEnvelope(formatHeader({ s: 'none' }), Buffer.from('"anything"')));
  const stamping = (unstamped?: SessionLayer['unstamped']): SessionLayer => ({
    ...label(),
    name: 'mine',
    ...(unstamped !== undefined && { unstamped }),
  });
  const read = (...layers: SessionLayer[]): Promise<AgentInputItem[]> =>
    wrapSession(new MemorySession({ initialItems: [old, pasted] }), layers).getItems();

  test.each([
    ['above', (one: SessionLayer, other: SessionLayer) => read(one, other)],
    ['below', (one: SessionLayer, other: SessionLayer) => read(other, one)],
  ])('are taken as one layer says, when one %s it says nothing', async (_, readBoth) => {
    expect(await readBoth(stamping(), expire({ after: '1d', unstamped: 'keep' }))).toEqual([old, pasted]);
    expect(await readBoth(stamping(), stamping('keep'))).toEqual([old, pasted]);
    expect(await refusal(() => readBoth(stamping(), expire({ after: '1d' })))).toContain('ERR_');
    expect(await refusal(() => readBoth(stamping(), stamping()))).toContain('ERR_MALFORMED');
  });

  test.each([
    ['refuse', 'keep', 'ERR_MALFORMED'],
    ['hide', 'keep', 'ERR_MALFORMED'],
    ['refuse', 'envelopes', 'ERR_MALFORMED'],
    ['keep', 'envelopes', 'accepted'],
    ['keep', 'keep', 'accepted'],
  ] as const)('are taken as the stricter of two says: %s before %s', async (strict, mild, outcome) => {
    expect(await refusal(() => read(stamping(strict), stamping(mild)))).toContain(outcome);
    expect(await refusal(() => read(stamping(mild), stamping(strict)))).toContain(outcome);
  });
});
