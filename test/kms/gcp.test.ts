import { createHash } from 'node:crypto';
import { KeyManagementServiceClient } from '@google-cloud/kms';
import { MemorySession } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { utf8 } from '../../src/crypto/encoding.ts';
import { keyring } from '../../src/keys/keyring.ts';
import type { KeyProvider } from '../../src/keys/provider.ts';
import { crc32c } from '../../src/kms/crc32c.ts';
import { gcpKms, type GcpKmsOptions } from '../../src/kms/gcp.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { coded, failure } from '../crypto/failure.ts';
import {
  gcpKmsServer,
  KEY_NAME,
  OTHER_NAME,
  TOKEN,
  type GcpFault,
  type GcpKmsServer,
} from '../support/gcp-kms-server.ts';
import { kmsSuite } from './kms-suite.ts';
import { PATIENCE, unanswered } from './unanswered.ts';

// The official client of Google in its REST form, against a local server of the published API. Not Google Cloud.

const BINDING = { contextHash: createHash('sha256').update('session').digest('base64url') };
const DEK = new Uint8Array(32).fill(9);
const servers: GcpKmsServer[] = [];
const clients: KeyManagementServiceClient[] = [];

async function start(): Promise<GcpKmsServer> {
  const server = await gcpKmsServer();
  servers.push(server);
  return server;
}

function clientOf({ port }: { port: number }, token: string = TOKEN): KeyManagementServiceClient {
  const auth = {
    getUniverseDomain: async () => 'googleapis.com',
    getRequestHeaders: async () => new Headers(),
    /** In place of Google's own authentication, which asks for tokens over the network. */
    async fetch(url: string, { headers, ...request }: RequestInit): Promise<Response> {
      const signed = new Headers(headers);
      signed.set('authorization', `Bearer ${token}`);
      return fetch(url, { ...request, headers: signed });
    },
  };
  const client = new KeyManagementServiceClient({
    fallback: true,
    protocol: 'http',
    apiEndpoint: '127.0.0.1',
    port,
    projectId: 'clinic',
    auth: auth as never,
  });
  clients.push(client);
  return client;
}

function provider(server: { port: number }, options: Partial<GcpKmsOptions> = {}): KeyProvider {
  return gcpKms({ client: clientOf(server), keyName: KEY_NAME, backoff: 0.01, ...options });
}

afterAll(async () => {
  for (const client of clients) await client.close();
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
});

kmsSuite('gcpKms', async () => {
  const server = await start();
  return {
    provider: () => provider(server),
    calls: () => server.calls.length,
    down: () => void (server.fault = 'reset'),
    up: () => void (server.fault = undefined),
    disable: () => server.disable(),
  };
});

describe('gcpKms', () => {
  let server: GcpKmsServer;
  let wrapped: string;

  beforeAll(async () => {
    server = await start();
    ({ wrapped } = await keyring({ current: provider(server) }).wrap(DEK, BINDING));
  });

  async function unwrapWith(
    fault: GcpFault,
    options: Partial<GcpKmsOptions> = {},
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

  test('the checksum is CRC-32C', () => {
    // The check value of the catalogue of CRC algorithms, and RFC 3720, B.4.
    expect(crc32c(utf8('123456789'))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
    expect(crc32c(new Uint8Array())).toBe(0);
  });

  test('Google gets checksums and a hash as authenticated data, and nothing of the session', async () => {
    const own = await start();
    const session = wrapSession(new MemorySession({ sessionId: 'patient-4711' }), [
      encrypt({ keys: keyring({ current: provider(own) }), context: { tenant: 'clinic-north' } }),
    ]);
    await session.addItems([{ role: 'user', content: 'hello' }]);
    expect(own.calls).toEqual([
      {
        operation: 'encrypt',
        name: KEY_NAME,
        body: {
          plaintext: expect.any(String) as string,
          plaintextCrc32c: expect.stringMatching(/^\d+$/) as string,
          additionalAuthenticatedData: expect.any(String) as string,
          additionalAuthenticatedDataCrc32c: expect.stringMatching(/^\d+$/) as string,
        },
      },
    ]);
    const aad = Buffer.from(String(own.calls[0]?.body['additionalAuthenticatedData']), 'base64').toString();
    expect(aad).toMatch(/^[\w-]{43}$/);
    expect(aad).not.toMatch(/patient|clinic/);
  });

  test('data keys of a former version open after a rotation', async () => {
    const own = await start();
    const keys = keyring({ current: provider(own) });
    const { wrapped: old } = await keys.wrap(DEK, BINDING);
    own.rotate();
    const { wrapped: fresh } = await keys.wrap(DEK, BINDING);
    for (const each of [old, fresh])
      expect(Array.from((await keys.unwrap(each, BINDING)).dek)).toEqual(Array.from(DEK));
  });

  test.each(['wrong checksum', 'incomplete'] as const)(
    'an answer with %s is asked for again, to wrap and to unwrap',
    async (fault) => {
      const damaged = coded('ERR_KEY_UNAVAILABLE', /damaged on its way \(checksum\)/);
      expect(await unwrapWith(fault)).toEqual([damaged, 3]);
      server.faults.push(fault, fault);
      const keys = keyring({ current: provider(server) });
      const opened = await keys.unwrap((await keys.wrap(DEK, BINDING)).wrapped, BINDING);
      expect(Array.from(opened.dek)).toEqual(Array.from(DEK));
      expect(server.faults).toEqual([]);
    },
  );

  test('a checksum that did not reach Google is sent again', async () => {
    const before = server.calls.length;
    server.faults.push('checksum not received');
    await keyring({ current: provider(server) }).wrap(DEK, BINDING);
    expect(server.calls.length - before).toBe(2);
  });

  test('an answer in the name of another key is refused', async () => {
    server.faults.push('another key');
    expect(await failure(() => keyring({ current: provider(server) }).wrap(DEK, BINDING))).toEqual(
      coded('ERR_AUTHENTICATION', /did not wrap .* names a different key/),
    );
  });

  test('a wrapped key under the kid of another key is refused by Google', async () => {
    const other = keyring({ current: provider(server, { keyName: OTHER_NAME, kid: KEY_NAME }) });
    expect(await failure(() => other.unwrap(wrapped, BINDING))).toEqual(
      coded('ERR_AUTHENTICATION', /changed, moved, or wrapped by another key/),
    );
    expect(server.calls.at(-1)?.name).toBe(OTHER_NAME);
  });

  test.each([
    [429, 'RESOURCE_EXHAUSTED', 'ERR_KEY_UNAVAILABLE', /overloaded/, 3],
    [500, 'INTERNAL', 'ERR_KEY_UNAVAILABLE', /fails or does not answer \(INTERNAL\)/, 3],
    [503, 'UNAVAILABLE', 'ERR_KEY_UNAVAILABLE', /fails or does not answer \(UNAVAILABLE\)/, 3],
    [403, 'PERMISSION_DENIED', 'ERR_KEY_UNAVAILABLE', /refuses the caller \(PERMISSION_DENIED\)/, 1],
    [404, 'NOT_FOUND', 'ERR_KEY_DISABLED', /does not exist/, 1],
    [400, 'FAILED_PRECONDITION', 'ERR_KEY_UNAVAILABLE', /present state/, 1],
    [400, 'INVALID_ARGUMENT', 'ERR_INVALID_OPTION', /purpose must be ENCRYPT_DECRYPT/, 1],
    [501, 'UNIMPLEMENTED', 'ERR_KEY_UNAVAILABLE', /an unknown error \(code 12\)/, 1],
  ] as const)('%i %s is %s', async (status, error, code, message, count) => {
    const [thrown, calls] = await unwrapWith({ status, error });
    expect(thrown).toEqual(coded(code, message));
    expect(calls).toBe(count);
    expect(String(thrown)).not.toContain('secret words');
  });

  test('a version that is waiting for its destruction is ERR_KEY_DISABLED', async () => {
    const message = 'version 1 is not enabled, current state is: DESTROY_SCHEDULED.';
    expect(await unwrapWith({ status: 400, error: 'FAILED_PRECONDITION', message })).toEqual([
      coded('ERR_KEY_DISABLED', /disabled or destroyed/),
      1,
    ]);
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
    const client = clientOf(server, 'ya29.another');
    const error = await failure(() =>
      keyring({ current: provider(server, { client }) }).unwrap(wrapped, BINDING),
    );
    expect(error).toEqual(coded('ERR_KEY_UNAVAILABLE', /refuses the caller \(UNAUTHENTICATED\)/));
    expect(JSON.stringify([error, (error as Error).message, (error as Error).stack])).not.toContain('ya29');
  });

  test('a version, a malformed name, a missing client and an unknown option are refused at once', async () => {
    for (const keyName of [`${KEY_NAME}/cryptoKeyVersions/1`, 'conversations', '', undefined]) {
      expect(await failure(() => provider(server, { keyName: keyName as string }))).toEqual(
        coded('ERR_INVALID_OPTION', /^gcpKms: keyName must be .* without a version/),
      );
    }
    expect(await failure(() => gcpKms({ keyName: KEY_NAME } as GcpKmsOptions))).toEqual(
      coded('ERR_INVALID_OPTION', /^gcpKms: client must be a KeyManagementServiceClient/),
    );
    expect(await failure(() => provider(server, { region: 'x' } as object))).toEqual(
      coded('ERR_INVALID_OPTION', /unknown option "region"/),
    );
  });
});
