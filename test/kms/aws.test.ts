import { createHash } from 'node:crypto';
import { KMSClient } from '@aws-sdk/client-kms';
import { MemorySession } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyring } from '../../src/keys/keyring.ts';
import type { KeyProvider } from '../../src/keys/provider.ts';
import { awsKms, type AwsKmsOptions } from '../../src/kms/aws.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { coded, failure } from '../crypto/failure.ts';
import {
  awsKmsServer,
  CREDENTIALS,
  KEY_ARN,
  OTHER_ARN,
  REGION,
  type AwsFault,
  type AwsKmsServer,
} from '../support/aws-kms-server.ts';
import { kmsSuite } from './kms-suite.ts';
import { PATIENCE, unanswered } from './unanswered.ts';

// The official client of Amazon, against a local server built from the API model in its package. Not AWS itself.

const KEY_ID = KEY_ARN.slice(KEY_ARN.indexOf('/') + 1);
const BINDING = { contextHash: createHash('sha256').update('session').digest('base64url') };
const DEK = new Uint8Array(32).fill(9);

const servers: AwsKmsServer[] = [];
const clients: KMSClient[] = [];

async function start(): Promise<AwsKmsServer> {
  const server = await awsKmsServer();
  servers.push(server);
  return server;
}

function clientOf(server: { endpoint: string }, credentials: typeof CREDENTIALS = CREDENTIALS): KMSClient {
  const client = new KMSClient({ endpoint: server.endpoint, region: REGION, credentials, maxAttempts: 1 });
  clients.push(client);
  return client;
}

function provider(server: { endpoint: string }, options: Partial<AwsKmsOptions> = {}): KeyProvider {
  return awsKms({ client: clientOf(server), keyId: KEY_ARN, backoff: 0.01, ...options });
}

afterAll(async () => {
  for (const client of clients) client.destroy();
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
});

kmsSuite('awsKms', async () => {
  const server = await start();
  return {
    provider: () => provider(server),
    calls: () => server.calls.length,
    down: () => void (server.fault = 'reset'),
    up: () => void (server.fault = undefined),
    disable: () => server.disable(KEY_ARN),
  };
});

describe('awsKms', () => {
  let server: AwsKmsServer;
  let wrapped: string;

  beforeAll(async () => {
    server = await start();
    ({ wrapped } = await keyring({ current: provider(server) }).wrap(DEK, BINDING));
  });

  async function unwrapWith(
    fault: AwsFault,
    options: Partial<AwsKmsOptions> = {},
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

  test('AWS gets a hash in the encryption context and the key it must use, and nothing of the session', async () => {
    const own = await start();
    const session = wrapSession(new MemorySession({ sessionId: 'patient-4711' }), [
      encrypt({ keys: keyring({ current: provider(own) }), context: { tenant: 'clinic-north' } }),
    ]);
    await session.addItems([{ role: 'user', content: 'hello' }]);
    await wrapSession(session, []).getItems();
    expect(own.calls).toEqual([
      {
        operation: 'Encrypt',
        body: {
          KeyId: KEY_ARN,
          Plaintext: expect.any(String) as string,
          EncryptionContext: { 'strongroom:context': expect.stringMatching(/^[\w-]{43}$/) as string },
        },
      },
    ]);
    expect(JSON.stringify(own.calls)).not.toMatch(/patient-4711|clinic-north/);
  });

  test("a key id instead of an ARN works, and both unwrap each other's data keys", async () => {
    const keys = keyring({ current: provider(server, { keyId: KEY_ID, kid: KEY_ARN }) });
    expect(Array.from((await keys.unwrap(wrapped, BINDING)).dek)).toEqual(Array.from(DEK));
  });

  test.each([
    'ThrottlingException',
    'KMSInternalException',
    'DependencyTimeoutException',
    'KeyUnavailableException',
  ])('%s is repeated up to the limit and then ERR_KEY_UNAVAILABLE', async (error) => {
    const status = error === 'ThrottlingException' ? 400 : 500;
    const [thrown, calls] = await unwrapWith({ error, status });
    expect(thrown).toEqual(coded('ERR_KEY_UNAVAILABLE', new RegExp(`^AWS KMS did not unwrap .*${error}`)));
    expect(calls).toBe(3);
  });

  test('a transient error is repeated and not reported', async () => {
    server.faults.push({ error: 'ThrottlingException' }, 'reset');
    const { dek } = await keyring({ current: provider(server) }).unwrap(wrapped, BINDING);
    expect(Array.from(dek)).toEqual(Array.from(DEK));
  });

  test.each([
    ['AccessDeniedException', 'ERR_KEY_UNAVAILABLE', /refuses the caller .*kms:Decrypt/],
    ['DisabledException', 'ERR_KEY_DISABLED', /the key is disabled/],
    ['NotFoundException', 'ERR_KEY_DISABLED', /does not exist: it was deleted, or .*region or account/],
    ['InvalidCiphertextException', 'ERR_AUTHENTICATION', /was changed, moved, or wrapped by another key/],
    ['IncorrectKeyException', 'ERR_AUTHENTICATION', /wrapped by another key/],
    ['InvalidKeyUsageException', 'ERR_INVALID_OPTION', /does not fit the key/],
    ['BrandNewException', 'ERR_KEY_UNAVAILABLE', /an unknown error \(BrandNewException\)/],
  ] as const)('%s is %s, at once', async (error, code, message) => {
    const [thrown, calls] = await unwrapWith({ error });
    expect(thrown).toEqual(coded(code, message));
    expect(calls).toBe(1);
  });

  test('a key that waits for its deletion is disabled; one whose key store is disconnected is unavailable', async () => {
    const pending = { error: 'KMSInvalidStateException', message: `${KEY_ARN} is pending deletion.` };
    expect((await unwrapWith(pending))[0]).toEqual(coded('ERR_KEY_DISABLED', /is pending deletion/));
    const store = { error: 'KMSInvalidStateException', message: 'The custom key store is not connected.' };
    expect((await unwrapWith(store))[0]).toEqual(coded('ERR_KEY_UNAVAILABLE', /in its present state/));
  });

  test('an answer in the name of another key is refused, to wrap and to unwrap', async () => {
    const [thrown] = await unwrapWith('another key');
    expect(thrown).toEqual(coded('ERR_AUTHENTICATION', /names a different key than the configured one/));
    server.faults.push('another key');
    expect(await failure(() => keyring({ current: provider(server) }).wrap(DEK, BINDING))).toEqual(
      coded('ERR_AUTHENTICATION', /did not wrap .* names a different key/),
    );
  });

  test('a wrapped key under the kid of another key is refused by AWS, and the client always names the key', async () => {
    const other = keyring({ current: provider(server, { keyId: OTHER_ARN, kid: KEY_ARN }) });
    expect(await failure(() => other.unwrap(wrapped, BINDING))).toEqual(
      coded('ERR_AUTHENTICATION', /IncorrectKeyException/),
    );
    expect(server.calls.at(-1)?.body['KeyId']).toBe(OTHER_ARN);
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

  test('an incomplete answer is ERR_KEY_UNAVAILABLE', async () => {
    expect((await unwrapWith('incomplete'))[0]).toEqual(
      coded('ERR_KEY_UNAVAILABLE', /the answer is incomplete/),
    );
  });

  test('a refused connection is ERR_KEY_UNAVAILABLE', async () => {
    const gone = await awsKmsServer();
    await gone[Symbol.asyncDispose]();
    expect(await failure(() => keyring({ current: provider(gone) }).unwrap(wrapped, BINDING))).toEqual(
      coded('ERR_KEY_UNAVAILABLE', /does not answer \(ECONNREFUSED\)/),
    );
  });

  test('wrong credentials are refused by their signature, and no error shows them', async () => {
    const secretAccessKey = 'another-secret-entirely';
    const client = clientOf(server, { ...CREDENTIALS, secretAccessKey });
    const error = await failure(() =>
      keyring({ current: provider(server, { client }) }).unwrap(wrapped, BINDING),
    );
    expect(error).toEqual(coded('ERR_KEY_UNAVAILABLE', /refuses the caller \(InvalidSignatureException\)/));
    expect(JSON.stringify([error, String((error as Error).cause), (error as Error).stack])).not.toContain(
      secretAccessKey,
    );
  });

  test('the local server is strict: unknown and missing parameters are refused', async () => {
    const client = clientOf(server);
    const { EncryptCommand, DecryptCommand } = await import('@aws-sdk/client-kms');
    const partial = new EncryptCommand({ KeyId: KEY_ARN, Plaintext: undefined });
    expect(await failure(() => client.send(partial))).toMatchObject({ name: 'ValidationException' });
    const unknown = new DecryptCommand({ CiphertextBlob: DEK });
    unknown.middlewareStack.add(
      (next) => (args) => {
        const body = '{"Surprise":1,"CiphertextBlob":"AAAA"}';
        const request = args.request as { body: string; headers: Record<string, string> };
        request.body = body;
        request.headers['content-length'] = String(body.length);
        return next(args);
      },
      { step: 'build', priority: 'low' },
    );
    expect(await failure(() => client.send(unknown))).toMatchObject({ name: 'SerializationException' });
  });

  test('an alias, a malformed key id, a missing client and an unknown option are refused at once', async () => {
    for (const keyId of ['alias/app', KEY_ARN.replace('key/', 'alias/'), '', 'x', undefined]) {
      expect(await failure(() => provider(server, { keyId: keyId as string }))).toEqual(
        coded('ERR_INVALID_OPTION', /^awsKms: keyId must be the ARN or id of a key, not an alias/),
      );
    }
    expect(await failure(() => awsKms({ keyId: KEY_ARN } as AwsKmsOptions))).toEqual(
      coded('ERR_INVALID_OPTION', /^awsKms: client must be a KMSClient/),
    );
    expect(await failure(() => provider(server, { region: 'x' } as object))).toEqual(
      coded('ERR_INVALID_OPTION', /unknown option "region"/),
    );
    expect(provider(server, { keyId: 'mrk-1234abcd12ab34cd56ef1234567890ab' }).kid).toMatch(/^mrk-/);
  });
});
