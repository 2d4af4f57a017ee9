import type * as clientKms from '@aws-sdk/client-kms';
import type { KMSClient } from '@aws-sdk/client-kms';
import { StrongroomError } from '../errors.ts';
import type { KeyProvider } from '../keys/provider.ts';
import { invalidOption } from '../options.ts';
import { loadModule } from '../load-module.ts';
import { checkKmsOptions, type KmsOptions } from './attempts.ts';
import { kmsProvider, type Verdict } from './kms-provider.ts';
import { isNetworkError, networkVerdict } from './network-error.ts';

export type { KmsOptions } from './attempts.ts';

/** Options of {@link awsKms}. */
export interface AwsKmsOptions extends KmsOptions {
  /**
   * The official client, with your region and credentials. Create it with `maxAttempts: 1`, or its own repetitions
   * multiply with those of `attempts`.
   */
  readonly client: KMSClient;
  /**
   * ARN or id of a symmetric key (`SYMMETRIC_DEFAULT`). An alias is refused: it can be pointed at another key,
   * which would not unwrap the data keys of the first one. The default of `kid`.
   */
  readonly keyId: string;
}

/** The only entry of the encryption context. Its value is a hash: CloudTrail logs the context in clear. */
const CONTEXT_KEY = 'strongroom:context';
const ARN = /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/;
const KEY_ID = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/;

/**
 * A symmetric key of AWS KMS as key-encryption key. Each new data key costs one `Encrypt`, each one that is opened and
 * not cached one `Decrypt`; the key of the answer must be the configured one. Session ids reach AWS as a hash only.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`
 * @example
 * ```ts
 * import { KMSClient } from '@aws-sdk/client-kms';
 * import { encrypt, keyring } from 'strongroom';
 * import { awsKms } from 'strongroom/kms/aws';
 *
 * const client = new KMSClient({ region: 'eu-central-1', maxAttempts: 1 });
 * const keyId = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
 * const layer = encrypt({ keys: keyring({ current: awsKms({ client, keyId }) }) });
 * ```
 */
export function awsKms(options: AwsKmsOptions): KeyProvider {
  const limits = checkKmsOptions('awsKms', options, ['client', 'keyId']);
  const { client, keyId } = options;
  if (typeof (client as KMSClient | undefined)?.send !== 'function') {
    invalidOption('awsKms', 'client', 'a KMSClient of @aws-sdk/client-kms', client);
  }
  if (typeof keyId !== 'string' || !(ARN.test(keyId) || KEY_ID.test(keyId))) {
    invalidOption('awsKms', 'keyId', 'the ARN or id of a key, not an alias', keyId);
  }

  const check = (answered: string | undefined): void => {
    if (answered === keyId || (ARN.test(answered ?? '') && answered?.endsWith(`:key/${keyId}`))) return;
    throw new StrongroomError(
      'ERR_AUTHENTICATION',
      'the answer names a different key than the configured one. Check the endpoint of the client and which service answers there.',
    );
  };

  return kmsProvider(
    'awsKms',
    options.kid ?? keyId,
    {
      id: 'aws',
      name: 'AWS KMS',
      async encrypt(contentKey, contextHash, abortSignal) {
        const { EncryptCommand } = await load();
        const command = new EncryptCommand({
          KeyId: keyId,
          Plaintext: contentKey,
          EncryptionContext: { [CONTEXT_KEY]: contextHash },
        });
        const answer = await client.send(command, { abortSignal });
        check(answer.KeyId);
        return answer.CiphertextBlob ?? incomplete();
      },
      async decrypt(ciphertext, contextHash, abortSignal) {
        const { DecryptCommand } = await load();
        const command = new DecryptCommand({
          KeyId: keyId,
          CiphertextBlob: ciphertext,
          EncryptionContext: { [CONTEXT_KEY]: contextHash },
        });
        const answer = await client.send(command, { abortSignal });
        check(answer.KeyId);
        return answer.Plaintext ?? incomplete();
      },
      judge,
    },
    limits,
  );
}

function incomplete(): never {
  throw new StrongroomError('ERR_KEY_UNAVAILABLE', 'the answer is incomplete. Repeat the call.');
}

function load(): Promise<typeof clientKms> {
  return loadModule(
    '@aws-sdk/client-kms',
    () => import('@aws-sdk/client-kms'),
    'the package @aws-sdk/client-kms is not installed. Install it beside strongroom.',
    'ERR_INVALID_OPTION',
  );
}

const OVERLOAD = new Set([
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
  'RequestThrottled',
  'LimitExceededException',
]);
const OUTAGE = new Set(['KMSInternalException', 'DependencyTimeoutException', 'KeyUnavailableException']);
const CREDENTIALS = new Set([
  'AccessDeniedException',
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'ExpiredTokenException',
  'InvalidSignatureException',
  'IncompleteSignature',
  'MissingAuthenticationTokenException',
  'CredentialsProviderError',
  'OptInRequired',
]);
const WRONG_USE = new Set([
  'InvalidKeyUsageException',
  'InvalidGrantTokenException',
  'ValidationException',
  'InvalidArnException',
  'UnsupportedOperationException',
]);

/** The errors of `Encrypt` and `Decrypt` and the common ones, as the API reference of AWS KMS describes them. */
function judge(error: unknown): Verdict {
  const { name, message, status } = describe(error);
  if (OVERLOAD.has(name) || status === 429) {
    return unavailable(true, `it is overloaded (${name}). Repeat the call later, or raise the quota.`);
  }
  if (OUTAGE.has(name) || status >= 500) {
    return unavailable(true, `it fails (${name}). Nothing was removed; repeat the call later.`);
  }
  if (CREDENTIALS.has(name)) {
    return unavailable(
      false,
      `it refuses the caller (${name}). Check the credentials, and that they may call kms:Encrypt and kms:Decrypt.`,
    );
  }
  if (name === 'DisabledException') return disabled('the key is disabled. Enable it in AWS KMS.');
  if (name === 'KMSInvalidStateException') {
    // Also thrown for a disconnected custom key store, which is temporary; only the message contains the state.
    return /pending deletion|disabled/i.test(message)
      ? disabled('the key is pending deletion. Cancel the deletion, or treat the records under it as erased.')
      : unavailable(
          false,
          'the key or its key store cannot be used in its present state. See the key in AWS KMS.',
        );
  }
  if (name === 'NotFoundException') {
    return disabled('the key does not exist: it was deleted, or the client uses another region or account.');
  }
  if (name === 'InvalidCiphertextException' || name === 'IncorrectKeyException') {
    return {
      code: 'ERR_AUTHENTICATION',
      transient: false,
      reason: `it was changed, moved, or wrapped by another key (${name}). Restore the record from a backup.`,
    };
  }
  if (WRONG_USE.has(name)) {
    return {
      code: 'ERR_INVALID_OPTION',
      transient: false,
      reason: `the request does not fit the key (${name}). It must be symmetric, for encryption and decryption.`,
    };
  }
  if (isNetworkError(error)) return networkVerdict(error);
  return unavailable(false, `an unknown error (${name}). See its cause.`);
}

function describe(error: unknown): { name: string; message: string; status: number } {
  const { name, message, $metadata } = (error ?? {}) as {
    name?: unknown;
    message?: unknown;
    $metadata?: { httpStatusCode?: unknown };
  };
  const status = $metadata?.httpStatusCode;
  return {
    // The name comes from the network: a message includes it only if it has the form of a name.
    name: typeof name === 'string' && /^\w{1,64}$/.test(name) ? name : 'unknown',
    message: typeof message === 'string' ? message : '',
    status: typeof status === 'number' ? status : 0,
  };
}

function unavailable(transient: boolean, reason: string): Verdict {
  return { code: 'ERR_KEY_UNAVAILABLE', transient, reason };
}

function disabled(reason: string): Verdict {
  return { code: 'ERR_KEY_DISABLED', transient: false, reason };
}
