import { createHash } from 'node:crypto';
import { MemorySession } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyring } from '../../src/keys/keyring.ts';
import type { KeyProvider } from '../../src/keys/provider.ts';
import { vaultTransit, type VaultTransitOptions } from '../../src/kms/vault.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { coded, failure } from '../crypto/failure.ts';
import { TOKEN, vaultServer, type VaultFault, type VaultServer } from '../support/vault-server.ts';
import { kmsSuite } from './kms-suite.ts';
import { PATIENCE, unanswered } from './unanswered.ts';

// Against a local server of the documented HTTP API. Not Vault, not OpenBao.

const BINDING = { contextHash: createHash('sha256').update('session').digest('base64url') };
const DEK = new Uint8Array(32).fill(9);
const servers: VaultServer[] = [];

async function start(): Promise<VaultServer> {
  const server = await vaultServer();
  servers.push(server);
  return server;
}

function provider(server: { address: string }, options: Partial<VaultTransitOptions> = {}): KeyProvider {
  return vaultTransit({
    address: server.address,
    token: TOKEN,
    key: 'conversations',
    backoff: 0.01,
    ...options,
  });
}

afterAll(async () => {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
});

kmsSuite('vaultTransit', async () => {
  const server = await start();
  return {
    provider: () => provider(server),
    calls: () => server.calls.length,
    down: () => void (server.fault = 'reset'),
    up: () => void (server.fault = undefined),
    disable: () => server.deleteKey(),
  };
});

describe('vaultTransit', () => {
  let server: VaultServer;
  let wrapped: string;

  beforeAll(async () => {
    server = await start();
    ({ wrapped } = await keyring({ current: provider(server) }).wrap(DEK, BINDING));
  });

  async function unwrapWith(
    fault: VaultFault | undefined,
    options: Partial<VaultTransitOptions> = {},
  ): Promise<[unknown, number]> {
    const before = server.calls.length;
    server.fault = fault;
    try {
      const error = await failure(() =>
        keyring({ current: provider(server, options) }).unwrap(wrapped, BINDING),
      );
      return [error, server.calls.length - before];
    } finally {
      server.fault = undefined;
    }
  }

  test('Vault gets a hash as context and nothing of the session', async () => {
    const own = await start();
    const session = wrapSession(new MemorySession({ sessionId: 'patient-4711' }), [
      encrypt({ keys: keyring({ current: provider(own) }), context: { tenant: 'clinic-north' } }),
    ]);
    await session.addItems([{ role: 'user', content: 'hello' }]);
    expect(own.calls).toEqual([
      {
        path: '/v1/transit/encrypt/conversations',
        body: { plaintext: expect.any(String) as string, context: expect.any(String) as string },
      },
    ]);
    const context = Buffer.from(String(own.calls[0]?.body['context']), 'base64').toString();
    expect(context).toMatch(/^[\w-]{43}$/);
    expect(context).not.toMatch(/patient|clinic/);
  });

  test('data keys of a former version of the transit key open after its rotation, until the version is forbidden', async () => {
    const own = await start();
    const keys = keyring({ current: provider(own) });
    const { wrapped: old } = await keys.wrap(DEK, BINDING);
    own.key.versions.push(Buffer.alloc(32, 3));
    expect(Array.from((await keys.unwrap(old, BINDING)).dek)).toEqual(Array.from(DEK));
    own.key.minDecryptionVersion = 2;
    expect(await failure(() => keys.unwrap(old, BINDING))).toEqual(
      coded('ERR_KEY_DISABLED', /below min_decryption_version/),
    );
  });

  test.each([412, 429, 500, 502, 503])(
    'status %i is repeated up to the limit and then ERR_KEY_UNAVAILABLE',
    async (status) => {
      const [thrown, calls] = await unwrapWith({ status, errors: ['Vault is sealed'] });
      expect(thrown).toEqual(
        coded('ERR_KEY_UNAVAILABLE', new RegExp(`overloaded, sealed or failing \\(HTTP ${status}\\)`)),
      );
      expect(calls).toBe(3);
    },
  );

  test('an error page of a proxy is ERR_KEY_UNAVAILABLE, and nothing of it is shown', async () => {
    const [thrown] = await unwrapWith('page of a proxy');
    expect(thrown).toEqual(coded('ERR_KEY_UNAVAILABLE', /HTTP 502/));
    expect(String(thrown)).not.toContain('Bad gateway');
  });

  test.each([
    [{ status: 403, errors: ['permission denied'] }, 'ERR_KEY_UNAVAILABLE', /refuses the token/],
    [
      { status: 404, errors: ['no handler for route'] },
      'ERR_INVALID_OPTION',
      /no transit engine answers there/,
    ],
    [{ status: 307 }, 'ERR_KEY_UNAVAILABLE', /redirects .* The token is not sent to another address/],
    [{ status: 400, errors: ['something new'] }, 'ERR_KEY_UNAVAILABLE', /an unknown answer \(HTTP 400\)/],
    [{ status: 400, errors: ["missing 'context' for key derivation"] }, 'ERR_INVALID_OPTION', /derived=true/],
    [
      { status: 400, errors: ['invalid ciphertext: unable to decrypt'] },
      'ERR_AUTHENTICATION',
      /was changed, moved/,
    ],
    ['incomplete', 'ERR_KEY_UNAVAILABLE', /the answer does not come from a transit engine/],
  ] as const)('%j is %s, at once', async (fault, code, message) => {
    const [thrown, calls] = await unwrapWith(fault);
    expect(thrown).toEqual(coded(code, message));
    expect(calls).toBe(1);
  });

  test('no answer within the time limit is ERR_KEY_UNAVAILABLE', async () => {
    const [thrown, calls] = await unanswered(
      2,
      () => server.calls.length,
      () => unwrapWith('silent', { timeout: PATIENCE, attempts: 2 }),
    );
    expect(thrown).toEqual(coded('ERR_KEY_UNAVAILABLE', /No answer within 600000 ms/));
    expect(calls).toBe(2);
  });

  test('a refused connection is ERR_KEY_UNAVAILABLE', async () => {
    const gone = await vaultServer();
    await gone[Symbol.asyncDispose]();
    expect(await failure(() => keyring({ current: provider(gone) }).unwrap(wrapped, BINDING))).toEqual(
      coded('ERR_KEY_UNAVAILABLE', /does not answer \(ECONNREFUSED\)/),
    );
  });

  test('a token function is called for each attempt, so that a renewed token is used', async () => {
    const tokens = ['hvs.expired', TOKEN];
    const token = (): string => tokens.shift() ?? TOKEN;
    const keys = keyring({ current: provider(server, { token }) });
    expect(await failure(() => keys.unwrap(wrapped, BINDING))).toEqual(
      coded('ERR_KEY_UNAVAILABLE', /HTTP 403/),
    );
    expect(Array.from((await keys.unwrap(wrapped, BINDING)).dek)).toEqual(Array.from(DEK));
  });

  test('a token that is no valid header value is refused without being shown', async () => {
    const secret = 'hvs.secret\nnewline';
    const fromFunction = await failure(() =>
      keyring({ current: provider(server, { token: () => secret }) }).unwrap(wrapped, BINDING),
    );
    for (const error of [fromFunction, await failure(() => provider(server, { token: secret }))]) {
      expect(error).toEqual(coded('ERR_INVALID_OPTION', /token must be printable ASCII/));
      expect(String(error) + String((error as Error).cause)).not.toContain('hvs.secret');
    }
  });

  test('a namespace is sent, and a missing one is an error', async () => {
    const own = await start();
    own.namespace = 'team/a';
    const keys = keyring({ current: provider(own, { namespace: 'team/a' }) });
    await keys.wrap(DEK, BINDING);
    expect(await failure(() => keyring({ current: provider(own) }).wrap(DEK, BINDING))).toEqual(
      coded('ERR_INVALID_OPTION', /Check mount and namespace/),
    );
  });

  test('a custom fetch is used', async () => {
    const asked: string[] = [];
    const own: typeof fetch = (input, init) => {
      asked.push(input as string);
      return fetch(input, init);
    };
    await keyring({ current: provider(server, { fetch: own }) }).unwrap(wrapped, BINDING);
    expect(asked).toEqual([`${server.address}/v1/transit/decrypt/conversations`]);
  });

  test('an address that would send the token in clear, and names that are paths, are refused at once', async () => {
    for (const address of [
      'http://vault.example:8200',
      'http://127.0.0.1.example',
      'https://user:secret@vault.example',
      'https://vault.example?x=1',
      'ftp://vault.example',
      'vault.example',
      undefined,
    ]) {
      const error = await failure(() => provider({ address: address as string }));
      expect(error).toEqual(coded('ERR_INVALID_OPTION', /^vaultTransit: address must be an https: URL/));
      expect(String(error)).not.toContain('secret@');
    }
    for (const address of ['https://vault.example:8200/', 'http://localhost:8200', 'http://[::1]:8200']) {
      expect(provider({ address }).kid).toBe('transit/conversations');
    }
    for (const key of ['../sys', 'a/b', '', '.', 7]) {
      expect(await failure(() => provider(server, { key: key as string }))).toEqual(
        coded('ERR_INVALID_OPTION', /key must be the name of a key/),
      );
    }
    for (const mount of ['/transit', 'a/../sys', 'transit/', '']) {
      expect(await failure(() => provider(server, { mount }))).toEqual(
        coded('ERR_INVALID_OPTION', /mount must be/),
      );
    }
    expect(await failure(() => provider(server, { namespace: 'a b' }))).toEqual(
      coded('ERR_INVALID_OPTION', /namespace must be/),
    );
  });
});
