import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { envelopeText, parseEnvelope } from '../../src/protocol/envelope.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { memoryDekStore } from '../../src/operations/index.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { encrypt, type EncryptOptions, type IntegrityFinding } from '../../src/layers/encrypt.ts';
import type { Entry, SessionLayer } from '../../src/layer.ts';
import { undoTurn } from '../../src/history/index.ts';
import { expire } from '../../src/layers/expire.ts';
import { sequenceFindings } from '../../src/layers/encrypt/sequence/findings.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { wrapSession, type Wrapped } from '../../src/wrap-session.ts';
import { coded, failure } from '../crypto/failure.ts';
import { functionCall, functionResult, userMessage, warningsOf } from './hand-made-call.ts';

const MINUTE = 60_000;
const keys = keyring({ current: { ...(await generateKey()), kid: 'kek' } });
const wrap = (inner: MemorySession, more: Partial<EncryptOptions> = {}): Wrapped<MemorySession> =>
  wrapSession(inner, [encrypt({ keys, integrity: 'sequence', ...more })]);

async function written(...texts: string[]): Promise<MemorySession> {
  const inner = new MemorySession({ sessionId: 's' });
  const session = wrap(inner);
  for (const text of texts) await session.addItems([userMessage(text)]);
  return inner;
}

/** The session with its records changed by somebody who can write to the database. */
async function tampered(
  inner: MemorySession,
  change: (records: AgentInputItem[]) => AgentInputItem[],
): Promise<MemorySession> {
  const copy = new MemorySession({ sessionId: 's' });
  await copy.addItems(change(await inner.getItems()));
  return copy;
}

type Step =
  | { readonly do: 'add'; readonly who?: number; readonly count: number }
  | {
      readonly do: 'replace';
      readonly who?: number;
      readonly last: number;
      readonly keep: number;
      readonly add: number;
    }
  | { readonly do: 'clear and add'; readonly who?: number }
  | { readonly do: 'pop'; readonly who?: number }
  | { readonly do: 'later'; readonly who?: number };

const ADD_TWO = { do: 'add', count: 2 } as const;
const APPEND_BY_REPLACEMENT = { do: 'replace', last: 2, keep: 2, add: 1 } as const;

/** Changes a history through the sessions of two writers, as the runner, compactions and the session tools do. */
async function replay(
  one: Wrapped<MemorySession>,
  other: Wrapped<MemorySession>,
  steps: readonly Step[],
  later: () => void = () => undefined,
): Promise<void> {
  let made = 0;
  const items = (count: number): AgentInputItem[] =>
    Array.from({ length: count }, () => userMessage(`item ${made++}`));
  for (const step of steps) {
    const session = step.who === 1 ? other : one;
    if (step.do === 'later') later();
    else if (step.do === 'pop') await session.popItem();
    else if (step.do === 'add') await session.addItems(items(step.count));
    else if (step.do === 'clear and add') {
      await session.getItems();
      await session.clearSession();
      // In between somebody else writes.
      await (session === one ? other : one).addItems(items(1));
      await session.addItems([{ type: 'compaction', encrypted_content: `${made++}` }, ...items(1)]);
    } else {
      const expectedSuffix = step.last === 0 ? [] : await session.getItems(step.last);
      await session.applyHistoryTransaction({
        operationId: `operation ${made++}`,
        transaction: {
          type: 'replace_suffix',
          expectedSuffix,
          replacement: [...expectedSuffix.slice(0, step.keep), ...items(step.add)],
        },
      });
    }
  }
}

const fieldOf = (record: AgentInputItem): unknown =>
  parseEnvelope(envelopeText(record) as string).header['x-q'];

describe("integrity: 'sequence'", () => {
  it('numbers the records of a writer, and accepts them in order', async () => {
    const inner = await written('a', 'b', 'c');
    const numbers = (await inner.getItems()).map(fieldOf) as string[];
    expect(new Set(numbers.map((number) => number.slice(0, 8))).size).toBe(1);
    expect(numbers.map((number) => number.slice(8))).toEqual(['.0', '.1', '.2']);
    expect(await wrap(inner).getItems()).toHaveLength(3);
  });

  it('refuses records that were put in another order', async () => {
    const inner = await tampered(await written('a', 'b', 'c'), ([a, b, c]) => [b, a, c] as AgentInputItem[]);
    expect(await failure(() => wrap(inner).getItems())).toEqual(
      coded('ERR_AUTHENTICATION', /Record 2 of 3 of session "s" is out of sequence \(reorder\)/),
    );
  });

  it('refuses a duplicate record', async () => {
    const inner = await tampered(await written('a', 'b'), ([a, b]) => [a, b, a] as AgentInputItem[]);
    expect(await failure(() => wrap(inner).getItems())).toEqual(
      coded('ERR_AUTHENTICATION', /Record 3 of 3 .* \(duplicate\): records were repeated/),
    );
  });

  it('warns of a missing record once, or throws on request', async () => {
    const inner = await tampered(await written('a', 'b', 'c'), ([a, , c]) => [a, c] as AgentInputItem[]);
    const session = wrap(inner);
    const warnings = await warningsOf(async () => {
      expect(await session.getItems()).toHaveLength(2);
      expect(await session.getItems()).toHaveLength(2);
    });
    expect(warnings).toEqual([
      {
        code: 'STRONGROOM_GAP',
        message: expect.stringMatching(/Record 2 of 2 .* before it is missing/) as string,
      },
    ]);
    const findings: IntegrityFinding[] = [];
    const strict = wrap(inner, {
      onIntegrity: (finding) => {
        findings.push(finding);
        return 'throw';
      },
    });
    expect(await failure(() => strict.getItems())).toEqual(
      coded('ERR_AUTHENTICATION', /\(gap\): records were removed/),
    );
    expect(findings).toEqual([{ kind: 'gap', sessionId: 's', index: 1 }]);
    expect(await wrap(inner, { onIntegrity: () => 'ignore' }).getItems()).toHaveLength(2);
  });

  it('never reports concurrent writers as tampering, for any appends and pops', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(2), fc.constantFrom('add', 'add two', 'pop', 'read')), { maxLength: 25 }),
        async (steps) => {
          const inner = new MemorySession({ sessionId: 's' });
          const strict = {
            onIntegrity: (finding: IntegrityFinding) => (finding.kind === 'gap' ? 'ignore' : 'throw'),
          } as const;
          const writers = [0, 1, 2].map(() => wrap(inner, strict));
          for (const [who, step] of steps) {
            const writer = writers[who] as Session;
            if (step === 'add') await writer.addItems([userMessage('x')]);
            else if (step === 'add two') await writer.addItems([userMessage('x'), userMessage('y')]);
            else if (step === 'pop') await writer.popItem();
            else await writer.getItems();
          }
          expect(await wrap(inner, strict).getItems()).toHaveLength((await inner.getItems()).length);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('never reports a writer that replaces the end of a history and keeps its beginning', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const), count: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ do: fc.constant('replace' as const), last: fc.nat(4), keep: fc.nat(4), add: fc.nat(2) }),
      fc.record({ do: fc.constant('clear and add' as const) }),
      fc.record({ do: fc.constant('pop' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
        const session = wrap(new MemorySession({ sessionId: 's' }), { onIntegrity: () => 'throw' });
        await replay(session, session, steps);
        await expect(session.getItems()).resolves.toBeDefined();
      }),
      { numRuns: 80, examples: [[[ADD_TWO, APPEND_BY_REPLACEMENT]]] },
    );
  });

  it('never reports two writers that replace, clear and compact while items expire as tampering', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const), who: fc.nat(1), count: fc.integer({ min: 1, max: 3 }) }),
      fc.record({
        do: fc.constant('replace' as const),
        who: fc.nat(1),
        last: fc.nat(4),
        keep: fc.nat(4),
        add: fc.nat(2),
      }),
      fc.record({ do: fc.constant('clear and add' as const), who: fc.nat(1) }),
      fc.record({ do: fc.constant('later' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 16 }), async (steps) => {
        const clock = fakeClock(1_000_000_000);
        const inner = new MemorySession({ sessionId: 's' });
        const open = (): Wrapped<MemorySession> =>
          wrapSession(inner, [
            expire({ after: '30m', clock }),
            encrypt({
              keys,
              integrity: 'sequence',
              onIntegrity: ({ kind }) => (kind === 'gap' ? 'ignore' : 'throw'),
            }),
          ]);
        const [one, other] = [open(), open()];
        await replay(one, other, steps, () => clock.advance('12m'));
        await expect(open().getItems()).resolves.toBeDefined();
      }),
      {
        numRuns: 120,
        examples: [
          [
            [
              { ...ADD_TWO, who: 1 },
              { do: 'clear and add', who: 0 },
            ],
          ],
          [[{ ...ADD_TWO, who: 0 }, { do: 'later' }, { ...APPEND_BY_REPLACEMENT, who: 1 }]],
        ],
      },
    );
  });

  it('sees no gap after pops, failed appends and replacements of its own', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrap(inner, { onIntegrity: () => 'throw' });
    await session.addItems([userMessage('a'), userMessage('b')]);
    await session.popItem();
    await session.addItems([userMessage('c')]);
    const original = inner.addItems.bind(inner);
    inner.addItems = async () => Promise.reject(new Error('offline'));
    expect(await failure(() => session.addItems([userMessage('lost')]))).toMatchObject({
      message: 'offline',
    });
    inner.addItems = original;
    await session.addItems([userMessage('d')]);
    await session.applyHistoryTransaction({
      operationId: 'op-1',
      transaction: { type: 'append_items', items: [userMessage('e')] },
    });
    await session.applyHistoryTransaction({
      operationId: 'op-2',
      transaction: {
        type: 'replace_suffix',
        expectedSuffix: [userMessage('d'), userMessage('e')],
        replacement: [userMessage('summary')],
      },
    });
    await session.addItems([userMessage('f')]);
    const texts = ['a', 'c', 'summary', 'f'];
    expect(await session.getItems()).toEqual(texts.map((text) => userMessage(text)));
    const numbers = (await inner.getItems()).map(fieldOf) as (string | undefined)[];
    // Each record that follows a removal says which numbers are gone; after the failed append nobody knows.
    expect(numbers.map((number) => number?.slice(8))).toEqual(['.0', '.2~.1', '.2~.0-1', '.3']);
    expect(new Set(numbers.map((number) => number?.slice(0, 8))).size).toBe(2);
  });

  it('reports no gap after a suffix was removed without a replacement, as by undoTurn()', async () => {
    const session = wrap(new MemorySession({ sessionId: 's' }), { onIntegrity: () => 'throw' });
    await session.addItems([userMessage('a'), userMessage('b'), userMessage('c')]);
    await undoTurn(session, 2);
    await session.addItems([userMessage('d')]);
    expect(await session.getItems()).toEqual([userMessage('a'), userMessage('d')]);
  });

  it('misses a late result only until it expires with its call', async () => {
    let now = 1_000_000_000;
    const clock = (): number => now;
    const stack = (): SessionLayer[] => [
      expire({ after: '1h', clock }),
      encrypt({ keys, integrity: 'sequence', onIntegrity: () => 'throw' }),
    ];
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrapSession(inner, stack());
    await session.addItems([functionCall('c')]);
    now += 30 * MINUTE;
    await session.addItems([userMessage('in between')]);
    await session.addItems([functionResult('c')]);
    await session.addItems([userMessage('after')]);
    expect((await inner.getItems()).every((record) => fieldOf(record) !== undefined)).toBe(true);
    const purged = await tampered(inner, ([, between, , after]) => [between, after] as AgentInputItem[]);
    expect(await failure(() => wrapSession(purged, stack()).getItems())).toEqual(
      coded('ERR_AUTHENTICATION', /Record 2 of 2 .* \(gap\)/),
    );
    now += 30 * MINUTE;
    expect(await wrapSession(purged, stack()).getItems()).toHaveLength(2);
  });

  it('counts a shredded record as present', async () => {
    const dekStore = memoryDekStore();
    const inner = new MemorySession({ sessionId: 's' });
    const limits = { dekStore, dataKeys: { maxMessages: 1, cacheFor: 1 } } as const;
    const session = wrap(inner, limits);
    for (const text of ['a', 'b', 'c']) await session.addItems([userMessage(text)]);
    const middle = (await inner.getItems())[1] as AgentInputItem;
    await dekStore.destroy('s', parseEnvelope(envelopeText(middle) as string).header.d ?? '');
    const reader = wrap(inner, { ...limits, onIntegrity: () => 'throw' });
    expect(await reader.getItems()).toEqual([userMessage('a'), userMessage('c')]);
  });

  it('cannot be stripped from a record, and is ignored by readers without the option', async () => {
    const inner = await tampered(await written('a', 'b'), ([a, b]) => [b, a] as AgentInputItem[]);
    expect(await wrapSession(inner, [encrypt({ keys })]).getItems()).toHaveLength(2);
    expect(await failure(() => encrypt({ keys, integrity: 'chain' as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /integrity must be/),
    );
    expect(await failure(() => encrypt({ keys, onIntegrity: 'throw' as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /onIntegrity/),
    );
  });
});

describe('sequenceFindings', () => {
  const finding = (...headers: Entry['header'][]): unknown =>
    sequenceFindings(
      headers.map((header) => ({ item: userMessage('x'), header })),
      's',
      1_000_000,
    );
  const found = (kind: string, index: number): unknown => ({
    findings: [{ kind, sessionId: 's', index }],
    cloned: false,
  });
  const nothing = { findings: [], cloned: false };

  it('treats two records of one number from different times as copies of one process, not as tampering', () => {
    const [zero, one, other] = [
      { 'x-q': 'AAAAAAAA.0', t: 1 },
      { 'x-q': 'AAAAAAAA.1', t: 2 },
      { 'x-q': 'AAAAAAAA.1', t: 3 },
    ];
    const clone = { findings: [], cloned: true };
    expect(finding(zero, one, { 'x-q': 'AAAAAAAA.2', t: 4 }, other)).toEqual(clone);
    expect(finding(zero, one, one)).toEqual(found('duplicate', 2));
    expect(finding(zero, one, other, one)).toEqual({
      findings: [{ kind: 'duplicate', sessionId: 's', index: 3 }],
      cloned: true,
    });
    // Before the numbers part they are judged as ever.
    expect(finding(one, other, zero)).toEqual(clone);
    expect(finding({ 'x-q': 'AAAAAAAA.0', t: 0 }, zero, one)).toEqual(clone);
    expect(
      finding(
        { 'x-q': 'AAAAAAAA.7', t: 9 },
        { 'x-q': 'AAAAAAAA.8', t: 9 },
        { 'x-q': 'AAAAAAAA.8', t: 10 },
        { 'x-q': 'AAAAAAAA.6', t: 8 },
      ),
    ).toEqual({
      findings: [{ kind: 'reorder', sessionId: 's', index: 3 }],
      cloned: true,
    });
  });

  it('uses the notes of a record on numbers before it, and on no others', () => {
    const [zero, one] = [{ 'x-q': 'AAAAAAAA.0' }, { 'x-q': 'AAAAAAAA.1' }];
    expect(finding(zero, { 'x-q': 'AAAAAAAA.3~.1-2' })).toEqual(nothing);
    expect(finding(zero, { 'x-q': 'AAAAAAAA.3~.2' })).toEqual(found('gap', 1));
    expect(finding(zero, one, { 'x-q': 'AAAAAAAA.3~.1-2' })).toEqual(found('replay', 2));
    expect(finding(zero, { 'x-q': 'AAAAAAAA.2~.1@900000' })).toEqual(nothing);
    expect(finding(zero, one, { 'x-q': 'AAAAAAAA.2~.1@900000' })).toEqual(nothing);
    expect(finding(zero, { 'x-q': 'AAAAAAAA.2~.1@1100000' })).toEqual(found('gap', 1));
    // What took the place of the oldest records of another writer.
    const summary = { 'x-q': 'BBBBBBBB.0~AAAAAAAA.0-1' };
    const two = { 'x-q': 'AAAAAAAA.2' };
    expect(finding(summary, two)).toEqual(nothing);
    expect(finding(two, summary)).toEqual(found('reorder', 1));
    expect(finding(one, summary, two)).toEqual(found('replay', 1));
    expect(finding(summary, two, one)).toEqual(found('reorder', 2));
  });

  it('recognizes a repeated record without a number by its text', () => {
    const stored = (text: string): Entry => ({
      item: userMessage('x'),
      header: {},
      stored: userMessage(text),
    });
    const one = stored('sr1.e30.AAAA');
    expect(sequenceFindings([one, stored('sr1.e30.BBBB'), one], 's', 0)).toEqual(found('duplicate', 2));
    expect(sequenceFindings([stored('plain'), stored('plain')], 's', 0)).toEqual(nothing);
  });

  it('ignores records without a number and fields of another form', () => {
    const entries = [
      { 'x-q': 'AAAAAAAA.0' },
      {},
      { 'x-q': 5 },
      { 'x-q': 'nonsense' },
      { 'x-q': 'AAAAAAAA.7~nonsense' },
      { 'x-q': 'AAAAAAAA.1' },
    ].map((header) => ({ item: userMessage('x'), header }));
    expect(sequenceFindings(entries, 's', 0)).toEqual({ findings: [], cloned: false });
  });
});
