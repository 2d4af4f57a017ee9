import { createHash } from 'node:crypto';
import { CryptographyClient } from '@azure/keyvault-keys';
import { MemorySession } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyring } from '../../src/keys/keyring.ts';
import type { KeyProvider } from '../../src/keys/provider.ts';
import { azureKeyVault, type AzureKeyVaultOptions } from '../../src/kms/azure.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { coded, failure } from '../crypto/failure.ts';
import {
  azureKeyVaultServer,
  TOKEN,
  type AzureFault,
  type AzureKeyVaultServer,
} from '../support/azure-key-vault-server.ts';
import { kmsSuite } from './kms-suite.ts';
import { PATIENCE, unanswered } from './unanswered.ts';

// The official client of Microsoft, against a local server of the published REST API. Not Azure.

const BINDING = { contextHash: createHash('sha256').update('session').digest('base64url') };
const DEK = new Uint8Array(32).fill(9);
const servers: AzureKeyVaultServer[] = [];

async function start(): Promise<AzureKeyVaultServer> {
  const server = await azureKeyVaultServer();
  servers.push(server);
  return server;
}

function clientOf(
  { ca, keyIds }: AzureKeyVaultServer,
  { token = TOKEN, keyId = keyIds[0] }: { readonly token?: string; readonly keyId?: string } = {},
): CryptographyClient {
  const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
  return new CryptographyClient(keyId, credential, {
    disableChallengeResourceVerification: true,
    retryOptions: { maxRetries: 0 },
    tlsOptions: { ca },
  });
}

function provider(server: AzureKeyVaultServer, options: Partial<AzureKeyVaultOptions> = {}): KeyProvider {
  const { keyId = server.keyIds[0] } = options;
  const client = options.client ?? clientOf(server, { keyId });
  return azureKeyVault({ keyId, backoff: 0.01, ...options, client });
}

afterAll(async () => {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
});

kmsSuite('azureKeyVault', async () => {
  const server = await start();
  return {
    provider: () => provider(server),
    calls: () => server.calls.length,
    down: () => void (server.fault = 'reset'),
    up: () => void (server.fault = undefined),
    disable: () => server.disable(),
  };
});

describe('azureKeyVault', () => {
  let server: AzureKeyVaultServer;
  let wrapped: string;

  beforeAll(async () => {
    server = await start();
    ({ wrapped } = await keyring({ current: provider(server) }).wrap(DEK, BINDING));
  });

  async function unwrapWith(
    fault: AzureFault,
    options: Partial<AzureKeyVaultOptions> = {},
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

  test('Azure gets a random key to wrap under one version, and nothing of the session', async () => {
    const own = await start();
    const session = wrapSession(new MemorySession({ sessionId: 'patient-4711' }), [
      encrypt({ keys: keyring({ current: provider(own) }), context: { tenant: 'clinic-north' } }),
    ]);
    await session.addItems([{ role: 'user', content: 'hello' }]);
    expect(own.calls).toEqual([
      {
        operation: 'wrapkey',
        keyId: own.keyIds[0],
        body: { alg: 'RSA-OAEP-256', value: expect.stringMatching(/^[\w-]{43}$/) as string },
      },
    ]);
  });

  test('a new version is a new key in the keyring; the old one opens what it wrapped', async () => {
    const [old, fresh] = server.keyIds;
    const keys = keyring({
      current: provider(server, { keyId: fresh }),
      previous: [provider(server, { keyId: old })],
    });
    expect(Array.from((await keys.unwrap(wrapped, BINDING)).dek)).toEqual(Array.from(DEK));
    expect((await keys.wrap(DEK, BINDING)).kid).toBe(fresh);
  });

  test('an answer in the name of another version is refused, to wrap and to unwrap', async () => {
    const [, other] = server.keyIds;
    const real = clientOf(server);
    // The official client of today puts the identifier that it was made for into its answers.
    const client = {
      wrapKey: async (...args: Parameters<CryptographyClient['wrapKey']>) => ({
        ...(await real.wrapKey(...args)),
        keyID: other,
      }),
      unwrapKey: async (...args: Parameters<CryptographyClient['unwrapKey']>) => ({
        ...(await real.unwrapKey(...args)),
        keyID: other,
      }),
    } as Partial<CryptographyClient> as CryptographyClient;
    const keys = keyring({ current: provider(server, { client }) });
    const named = /names a different key or version/;
    expect(await failure(() => keys.unwrap(wrapped, BINDING))).toEqual(coded('ERR_AUTHENTICATION', named));
    expect(await failure(() => keys.wrap(DEK, BINDING))).toEqual(coded('ERR_AUTHENTICATION', named));
  });

  test('a key that the client itself finds expired is ERR_KEY_DISABLED', async () => {
    const [keyId] = server.keyIds;
    const expired = async (): Promise<never> => {
      throw new Error(`Key ${keyId} expired at 2026-01-01T00:00:00.000Z`);
    };
    const client = {
      wrapKey: expired,
      unwrapKey: expired,
    } as Partial<CryptographyClient> as CryptographyClient;
    expect(
      await failure(() => keyring({ current: provider(server, { client }) }).unwrap(wrapped, BINDING)),
    ).toEqual(coded('ERR_KEY_DISABLED', /is expired or not valid yet/));
  });

  test('a wrapped key under the kid of another version does not open', async () => {
    const [old, fresh] = server.keyIds;
    const other = keyring({ current: provider(server, { keyId: fresh, kid: old }) });
    expect(await failure(() => other.unwrap(wrapped, BINDING))).toEqual(
      coded('ERR_AUTHENTICATION', /changed, moved, or wrapped by another key/),
    );
  });

  test.each([
    [429, 'Throttled', undefined, 'ERR_KEY_UNAVAILABLE', /overloaded \(HTTP 429\)/, 3],
    [500, 'Internal', undefined, 'ERR_KEY_UNAVAILABLE', /fails \(HTTP 500\)/, 3],
    [503, 'Unavailable', undefined, 'ERR_KEY_UNAVAILABLE', /fails \(HTTP 503\)/, 3],
    [403, 'Forbidden', undefined, 'ERR_KEY_UNAVAILABLE', /refuses the caller \(HTTP 403\)/, 1],
    [
      403,
      'Forbidden',
      'Operation unwrapKey is not allowed on a disabled key.',
      'ERR_KEY_DISABLED',
      /disabled/,
      1,
    ],
    [404, 'KeyNotFound', undefined, 'ERR_KEY_DISABLED', /does not exist, or was deleted/, 1],
    [400, 'BadParameter', undefined, 'ERR_AUTHENTICATION', /changed, moved/, 1],
    [418, 'New', undefined, 'ERR_KEY_UNAVAILABLE', /an unknown error \(HTTP 418\)/, 1],
  ] as const)('HTTP %i %s (%s) is %s', async (status, error, message, code, shown, count) => {
    const [thrown, calls] = await unwrapWith({
      status,
      code: error,
      ...(message !== undefined && { message }),
    });
    expect(thrown).toEqual(coded(code, shown));
    expect(calls).toBe(count);
    expect(String(thrown)).not.toContain('secret words');
  });

  test('no answer within the time limit, on each of the attempts, is ERR_KEY_UNAVAILABLE', async () => {
    const [thrown, calls] = await unanswered(
      2,
      () => server.calls.length,
      () => unwrapWith('silent', { timeout: PATIENCE, attempts: 2 }),
    );
    expect(thrown).toEqual(coded('ERR_KEY_UNAVAILABLE', /No answer within 600000 ms/));
    expect(calls).toBe(2);
  });

  test('wrong credentials are refused, and no error shows them', async () => {
    const client = clientOf(server, { token: 'eyJ0.another' });
    const error = await failure(() =>
      keyring({ current: provider(server, { client }) }).unwrap(wrapped, BINDING),
    );
    expect(error).toEqual(coded('ERR_KEY_UNAVAILABLE', /refuses the caller \(HTTP 401\)/));
    expect(JSON.stringify([error, (error as Error).message, (error as Error).stack])).not.toContain(
      'eyJ0.another',
    );
  });

  test('a key without its version, a client of another key, and unknown options are refused at once', async () => {
    const [keyId, other] = server.keyIds;
    const unversioned = keyId.slice(0, keyId.lastIndexOf('/'));
    for (const each of [unversioned, keyId.replace('https', 'http'), '', 'conversations']) {
      expect(await failure(() => provider(server, { client: clientOf(server), keyId: each }))).toEqual(
        coded('ERR_INVALID_OPTION', /^azureKeyVault: keyId must be .* with the version/),
      );
    }
    expect(await failure(() => provider(server, { client: clientOf(server), keyId: other }))).toEqual(
      coded('ERR_INVALID_OPTION', /client must be made for the version/),
    );
    expect(await failure(() => azureKeyVault({ keyId } as AzureKeyVaultOptions))).toEqual(
      coded('ERR_INVALID_OPTION', /client must be a CryptographyClient/),
    );
    expect(await failure(() => provider(server, { algorithm: 'RSA1_5' as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /algorithm must be/),
    );
    expect(await failure(() => provider(server, { region: 'x' } as object))).toEqual(
      coded('ERR_INVALID_OPTION', /unknown option "region"/),
    );
  });
});
