import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemorySession, type AgentInputItem } from '@openai/agents';
import type { JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { carrierOf, envelopeText, parseEnvelope } from '../../src/protocol/envelope.ts';
import { encrypt, expire, generateKey, keyring, wrapSession, type SuiteName } from '../../src/index.ts';

// SPEC.md is normative: a program that knows only it must read and write our rows.
const PYTHON = '/usr/bin/python3';
const SCRIPT = new URL('second_implementation.py', import.meta.url).pathname;

function available(what: string, command: string, args: readonly string[]): boolean {
  if (spawnSync(command, args).status === 0) return true;
  const message = `${what} is not installed: the second implementation of sr1 cannot run.`;
  if (process.env['CI'] !== undefined) throw new Error(message);
  console.warn(`SKIPPED: ${message}`);
  return false;
}

const hasPython = available('python3-cryptography', PYTHON, ['-c', 'import cryptography']);
const hasJose = available('the jose tool', 'jose', ['alg']);

interface Answer {
  readonly header?: Record<string, unknown>;
  readonly json?: string;
  readonly envelope?: string;
  readonly error?: string;
}

function python(requests: readonly object[]): Answer[] {
  const input = requests.map((request) => JSON.stringify(request)).join('\n');
  const { stdout, stderr, status } = spawnSync(PYTHON, [SCRIPT], { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Answer);
}

const ITEMS: readonly AgentInputItem[] = [
  { type: 'message', role: 'user', content: 'plain' },
  { type: 'message', role: 'user', content: 'Grüße, 世界 🗝 \u0000 \u2028 "quoted"' },
  { type: 'function_call', callId: 'c', name: 'f', arguments: '{"n": 1e400}', status: 'completed' },
  { role: 'user', content: 'bytes', providerData: { data: new Uint8Array([0, 255]), $bytes: 'mine' } },
];
const SUITES: readonly SuiteName[] = ['XC20P', 'XAES-256-GCM'];
const CONTEXT = { tenant: 'acme', Ä: 'b', z: '' };

const sessionOf = (kek: JWK, inner: MemorySession, suite: SuiteName) =>
  wrapSession(inner, [
    expire({ after: '1d', clock: () => 1_000_000 }),
    encrypt({ keys: keyring({ current: kek }), suite, context: CONTEXT }),
  ]);

describe.skipIf(!hasPython)('a second implementation of sr1, in Python (needs python3-cryptography)', () => {
  it.each(SUITES)('reads what strongroom writes with %s', async (suite) => {
    const kek = await generateKey();
    const inner = new MemorySession({ sessionId: 'sëssion' });
    const session = sessionOf(kek, inner, suite);
    await session.addItems([...ITEMS]);
    const envelopes = (await inner.getItems()).map((record) => envelopeText(record) as string);
    const answers = python(
      envelopes.map((envelope) => ({ do: 'open', kek, sessionId: 'sëssion', context: CONTEXT, envelope })),
    );
    expect(answers.map((answer) => answer.error)).toEqual(ITEMS.map(() => undefined));
    expect(answers[0]?.header).toMatchObject({ s: suite, t: 1_000_000, e: 87_400_000 });
    expect(answers.slice(0, 3).map((answer) => JSON.parse(answer.json as string))).toEqual(ITEMS.slice(0, 3));
    expect(JSON.parse(answers[3]?.json as string)).toMatchObject({
      providerData: { data: { $bytes: 'AP8=' }, $$bytes: 'mine' },
    });
  });

  it.each(SUITES)('writes what strongroom reads with %s', async (suite) => {
    const kek = await generateKey();
    const answers = python(
      ITEMS.slice(0, 3).map((item) => ({
        do: 'seal',
        kek,
        sessionId: 'sëssion',
        context: CONTEXT,
        suite,
        t: 1_000_000,
        json: `${JSON.stringify(item)}   `,
      })),
    );
    const records = answers.map((answer) => carrierOf(answer.envelope as string));
    const inner = new MemorySession({ sessionId: 'sëssion', initialItems: records });
    expect(await sessionOf(kek, inner, suite).getItems()).toEqual(ITEMS.slice(0, 3));
  });

  it('opens nothing in another session or context, or with another key', async () => {
    const kek = await generateKey();
    const inner = new MemorySession({ sessionId: 'a' });
    await sessionOf(kek, inner, 'XC20P').addItems([ITEMS[0] as AgentInputItem]);
    const envelope = envelopeText((await inner.getItems())[0] as AgentInputItem);
    const request = { do: 'open', kek, sessionId: 'a', context: CONTEXT, envelope };
    const other = { ...(await generateKey()), kid: kek.kid };
    const errors = python([
      { ...request, sessionId: 'b' },
      { ...request, context: { ...CONTEXT, tenant: 'other' } },
      { ...request, kek: other },
    ]).map((answer) => answer.error);
    expect(errors).toEqual(['AssertionError: commitment', 'AssertionError: commitment', 'InvalidUnwrap: ']);
  });
});

describe.skipIf(!hasJose)("Debian's jose tool (needs jose)", () => {
  // As Debian 12 builds it, the tool has no RSA-OAEP-256 (`jose alg -k wrap`), and refuses PBES2 with 210,000 rounds.
  it.each(['A256KW', 'A256GCMKW', 'ECDH-ES+A256KW'] as const)(
    'opens a data key that was wrapped with %s',
    async (alg) => {
      const kek = await generateKey({ alg });
      const inner = new MemorySession({ sessionId: 'a' });
      const session = wrapSession(inner, [encrypt({ keys: keyring({ current: kek }) })]);
      await session.addItems([ITEMS[0] as AgentInputItem]);
      const { wrapped } = parseEnvelope(
        envelopeText((await inner.getItems())[0] as AgentInputItem) as string,
      );
      const folder = mkdtempSync(join(tmpdir(), 'strongroom-jose-'));
      try {
        writeFileSync(join(folder, 'key.jwk'), JSON.stringify(kek), { mode: 0o600 });
        writeFileSync(join(folder, 'dek.jwe'), wrapped as string);
        const { stdout, stderr } = spawnSync('jose', ['jwe', 'dec', '-i', 'dek.jwe', '-k', 'key.jwk'], {
          cwd: folder,
        });
        expect(stderr.toString()).toBe('');
        expect(stdout).toHaveLength(32);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});
