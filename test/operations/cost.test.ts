import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { describe, expect, it, vi } from 'vitest';
import { toBase64url, utf8 } from '../../src/crypto/encoding.ts';
import { carrierOf, envelopeText } from '../../src/protocol/envelope.ts';
import {
  encrypt,
  generateKey,
  keyring,
  wrapSession,
  wrapStore,
  type EncryptOptions,
} from '../../src/index.ts';
import { memoryDekStore, reencrypt } from '../../src/operations/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { fakeKms } from '../../src/testing/fake-kms.ts';
import { coded, failure } from '../crypto/failure.ts';
import { rounds } from '../support/soak.ts';

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });

const textOf = (record: AgentInputItem | undefined): string =>
  envelopeText(record as AgentInputItem) as string;

/** The record with another protected header of its wrapped data key. */
function withJwe(
  record: AgentInputItem,
  change: (segments: string[], header: object) => string[],
): AgentInputItem {
  const parts = textOf(record).split('.');
  const header = JSON.parse(Buffer.from(parts[3] as string, 'base64url').toString()) as object;
  return carrierOf([...parts.slice(0, 3), ...change(parts.slice(3), header)].join('.'));
}

const withHeader = (record: AgentInputItem, fields: object): AgentInputItem =>
  withJwe(record, ([, ...rest], header) => [
    toBase64url(utf8(JSON.stringify({ ...header, ...fields }))),
    ...rest,
  ]);

describe('records of an attacker who can write to the database', () => {
  it('cost failing reads a few calls to a KMS in ten seconds, however many there are', async () => {
    const kms = fakeKms();
    const clock = fakeClock(1_000_000);
    const inner = new MemorySession({ sessionId: 's' });
    const stack = (): Session =>
      wrapSession(inner, [{ name: 'clock', clock }, encrypt({ keys: keyring({ current: kms }) })]);
    await stack().addItems([said('a')]);
    const [record] = await inner.getItems();
    const forged = Array.from({ length: 2_000 }, (_, number) =>
      withJwe(record as AgentInputItem, (segments) => [
        ...segments.slice(0, 4),
        toBase64url(utf8(String(number).padStart(16, '0'))),
      ]),
    );
    await inner.addItems(forged);
    const session = stack();
    const refused = coded('ERR_AUTHENTICATION', /^Record 2 of 2001 of session "s" does not open/);
    const before = kms.calls.decrypt;
    expect(await failure(() => session.getItems())).toEqual(refused);
    // The good one, and as many as are asked for at a time.
    expect(kms.calls.decrypt - before).toBeLessThanOrEqual(17);
    for (let read = 0; read < 3; read++) expect(await failure(() => session.getItems())).toEqual(refused);
    expect(kms.calls.decrypt - before).toBeLessThanOrEqual(17);
    clock.advance('10s');
    expect(await failure(() => session.getItems())).toEqual(refused);
    expect(kms.calls.decrypt - before).toBeLessThanOrEqual(2 * 17);
  });

  it('cost a reader that skips them one call to a KMS each, and the reads of the next ten seconds none', async () => {
    const kms = fakeKms();
    const clock = fakeClock(1_000_000);
    const inner = new MemorySession({ sessionId: 's' });
    const stack = (options: Partial<EncryptOptions> = {}): Session =>
      wrapSession(inner, [
        { name: 'clock', clock },
        encrypt({ keys: keyring({ current: kms }), onUndecryptable: () => 'skip', ...options }),
      ]);
    await stack().addItems([said('a')]);
    const [record] = await inner.getItems();
    const forged = Array.from({ length: 1_200 }, (_, number) =>
      withJwe(record as AgentInputItem, (segments) => [
        ...segments.slice(0, 4),
        toBase64url(utf8(String(number).padStart(16, '0'))),
      ]),
    );
    await inner.addItems(forged);
    const session = stack();
    let before = kms.calls.decrypt;
    expect(await session.getItems()).toEqual([said('a')]);
    expect(kms.calls.decrypt - before).toBe(1_201);
    before = kms.calls.decrypt;
    expect(await session.getItems()).toEqual([said('a')]);
    expect(await session.getItems()).toEqual([said('a')]);
    expect(kms.calls.decrypt).toBe(before);
    clock.advance('10s');
    expect(await session.getItems()).toEqual([said('a')]);
    expect(kms.calls.decrypt - before).toBe(1_200);
    // The bound of a read is the bound of what is remembered: fewer would be pushed out by the end of the same read.
    const few = stack({ dataKeys: { maxPerRead: 1_201 } });
    await few.getItems();
    before = kms.calls.decrypt;
    await few.getItems();
    expect(kms.calls.decrypt).toBe(before);
  });

  it('name no more data keys than one read may need', async () => {
    const kms = fakeKms();
    const keys = keyring({ current: kms });
    const inner = new MemorySession({ sessionId: 's' });
    const stack = (options: Partial<EncryptOptions> = {}): Session =>
      wrapSession(inner, [encrypt({ keys, ...options })]);
    for (let number = 0; number < 5; number++) await stack().addItems([said(String(number))]);
    const before = kms.calls.decrypt;
    const policy = { dataKeys: { maxPerRead: 4 }, onUndecryptable: () => 'skip' as const };
    expect(await failure(() => stack(policy).getItems())).toEqual(
      coded(
        'ERR_UNSUPPORTED',
        /^Reading session "s" takes 5 data keys, more than dataKeys\.maxPerRead \(4\)\. Read a part/,
      ),
    );
    expect(kms.calls.decrypt).toBe(before);
    expect(await stack(policy).getItems(4)).toHaveLength(4);
    await reencrypt(stack(), { grace: 0 });
    expect(await stack(policy).getItems()).toHaveLength(5);
  });

  it('do not control the cost of a password derivation', async () => {
    const password = { ...(await generateKey({ alg: 'A256KW' })), alg: 'PBES2-HS512+A256KW', kid: 'p' };
    const inner = new MemorySession({ sessionId: 's' });
    const keys = keyring({ current: password });
    await wrapSession(inner, [encrypt({ keys })]).addItems([said('a')]);
    const [record] = (await inner.getItems()) as [AgentInputItem];
    const derive = vi.spyOn(globalThis.crypto.subtle, 'deriveBits');
    for (const [fields, code, message] of [
      [
        { p2c: 10_000_000 },
        'ERR_UNSUPPORTED',
        /higher iteration count \(p2c: 10000000\) than the key "p" of the keyring \(210000\)/,
      ],
      [{ p2c: 210_001 }, 'ERR_UNSUPPORTED', /higher iteration count/],
      [{ p2s: 'A'.repeat(88) }, 'ERR_MALFORMED', /has no usable salt/],
      [{ apu: 'A'.repeat(4_000) }, 'ERR_UNSUPPORTED', /has apu or apv/],
      [{ more: 'A'.repeat(17_000) }, 'ERR_MALFORMED', /not a compact JWE/],
    ] as const) {
      const victim = new MemorySession({ sessionId: 's', initialItems: [withHeader(record, fields)] });
      const fresh = wrapSession(victim, [encrypt({ keys: keyring({ current: password }) })]);
      expect(await failure(() => fresh.getItems())).toEqual(coded(code, message));
    }
    expect(derive).not.toHaveBeenCalled();
    derive.mockRestore();
  });

  it.each<[string, object]>([
    ['of another curve', { kty: 'EC', crv: 'P-521', x: 'A'.repeat(88), y: 'A'.repeat(88) }],
    ['that is too long', { kty: 'EC', crv: 'P-256', x: 'A'.repeat(4_000), y: 'A'.repeat(43) }],
    ['with more in it', { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43), d: 'A'.repeat(43) }],
    ['that is none', {}],
  ])('have no ephemeral key %s', async (_, epk) => {
    const key = { ...(await generateKey({ alg: 'ECDH-ES+A256KW' })), kid: 'curve' };
    const inner = new MemorySession({ sessionId: 's' });
    await wrapSession(inner, [encrypt({ keys: keyring({ current: key }) })]).addItems([said('a')]);
    const [record] = (await inner.getItems()) as [AgentInputItem];
    const victim = new MemorySession({ sessionId: 's', initialItems: [withHeader(record, { epk })] });
    const session = wrapSession(victim, [encrypt({ keys: keyring({ current: key }) })]);
    expect(await failure(() => session.getItems())).toEqual(
      coded('ERR_AUTHENTICATION', /does not open with the key "curve"/),
    );
  });
});

describe('sessions that alternate in one process', () => {
  it.each([
    // As docs/kms.md says it; the other places show the same with fewer.
    ['in the table of the store', rounds(300, 5_000)],
    ['in a DEK store', rounds(300, 5_000)],
    ['in the envelopes', rounds(300, 5_000)],
  ] as const)('make one data key each %s with one call to a KMS: %j of them', async (where, count) => {
    const kms = fakeKms();
    const store = openSqlite(':memory:');
    const dekStore =
      where === 'in a DEK store' ? memoryDekStore() : where === 'in the envelopes' ? 'inline' : undefined;
    const layers = [
      encrypt({ keys: keyring({ current: kms }), ...(dekStore !== undefined && { dekStore }) }),
    ];
    const sessions = wrapStore(store, layers);
    for (let turn = 0; turn < 2; turn++) {
      for (let number = 0; number < count; number++)
        await sessions.session(`s${number}`).addItems([said('hi')]);
    }
    expect(kms.calls).toEqual({ encrypt: count, decrypt: 0 });
    await store.close();
  });
});
