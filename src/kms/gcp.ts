import type { KeyManagementServiceClient } from '@google-cloud/kms';
import { utf8 } from '../crypto/encoding.ts';
import { StrongroomError } from '../errors.ts';
import type { KeyProvider } from '../keys/provider.ts';
import { invalidOption } from '../options.ts';
import { checkKmsOptions, type KmsOptions } from './attempts.ts';
import { crc32c } from './crc32c.ts';
import { kmsProvider, type Verdict } from './kms-provider.ts';
import { isNetworkError, networkVerdict } from './network-error.ts';

export type { KmsOptions } from './attempts.ts';

/** Options of {@link gcpKms}. */
export interface GcpKmsOptions extends KmsOptions {
  /** The official client, with your credentials. Its own repetitions are switched off for these calls. */
  readonly client: KeyManagementServiceClient;
  /**
   * The resource name of a key with the purpose `ENCRYPT_DECRYPT`, without a version: Cloud KMS encrypts with the
   * primary version and finds the version of a ciphertext itself. The default of `kid`, if it has at most 128
   * characters.
   */
  readonly keyName: string;
}

const NAME = /^projects\/[^/\s]+\/locations\/[^/\s]+\/keyRings\/[^/\s]+\/cryptoKeys\/[^/\s]+$/;

/**
 * A symmetric key of Google Cloud KMS as key-encryption key. Each new data key costs one `Encrypt`, each one that is
 * opened and not cached one `Decrypt`. The hash of session and context is the additional authenticated data. Requests
 * and answers carry CRC-32C checksums, as Google asks for: an answer whose checksum is wrong, or that does not
 * confirm those of the request, is discarded and asked for again.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`
 * @example
 * ```ts
 * import { KeyManagementServiceClient } from '@google-cloud/kms';
 * import { encrypt, keyring } from 'strongroom';
 * import { gcpKms } from 'strongroom/kms/gcp';
 *
 * const keyName = 'projects/clinic/locations/europe-west3/keyRings/agents/cryptoKeys/conversations';
 * const current = gcpKms({ client: new KeyManagementServiceClient(), keyName });
 * const layer = encrypt({ keys: keyring({ current }) });
 * ```
 */
export function gcpKms(options: GcpKmsOptions): KeyProvider {
  const limits = checkKmsOptions('gcpKms', options, ['client', 'keyName']);
  const { client, keyName } = options;
  const { encrypt, decrypt } = (client ?? {}) as Partial<KeyManagementServiceClient>;
  if (typeof encrypt !== 'function' || typeof decrypt !== 'function') {
    invalidOption('gcpKms', 'client', 'a KeyManagementServiceClient of @google-cloud/kms', client);
  }
  if (typeof keyName !== 'string' || !NAME.test(keyName)) {
    invalidOption(
      'gcpKms',
      'keyName',
      'projects/…/locations/…/keyRings/…/cryptoKeys/…, without a version',
      keyName,
    );
  }

  return kmsProvider(
    'gcpKms',
    options.kid ?? keyName,
    {
      id: 'gcp',
      name: 'Cloud KMS',
      async encrypt(contentKey, contextHash, signal) {
        const request = {
          name: keyName,
          ...checksummed('plaintext', contentKey),
          ...checksummed('additionalAuthenticatedData', utf8(contextHash)),
        };
        const [answer] = await cancelled(client.encrypt(request, ONCE), signal);
        checkName(answer.name, keyName);
        if (
          answer.verifiedPlaintextCrc32c !== true ||
          answer.verifiedAdditionalAuthenticatedDataCrc32c !== true
        ) {
          throw new Damaged();
        }
        return verified(answer.ciphertext, answer.ciphertextCrc32c);
      },
      async decrypt(ciphertext, contextHash, signal) {
        const request = {
          name: keyName,
          ...checksummed('ciphertext', ciphertext),
          ...checksummed('additionalAuthenticatedData', utf8(contextHash)),
        };
        const [answer] = await cancelled(client.decrypt(request, ONCE), signal);
        return verified(answer.plaintext, answer.plaintextCrc32c);
      },
      judge,
    },
    limits,
  );
}

/** {@link kmsProvider} repeats, so that both repetitions do not multiply. */
const ONCE = { retry: null };

/** What was sent, or came, is not what arrived. */
class Damaged extends Error {}

function checksummed<N extends string>(
  name: N,
  bytes: Uint8Array,
): Record<N, Uint8Array> & Record<`${N}Crc32c`, { value: number }> {
  return { [name]: bytes, [`${name}Crc32c`]: { value: crc32c(bytes) } } as never;
}

/** The bytes as a copy of our own: the client may keep the answer. */
function verified(
  data: Uint8Array | string | null | undefined,
  checksum: { readonly value?: unknown } | null | undefined,
): Uint8Array {
  if (!(data instanceof Uint8Array) || data.length === 0) throw new Damaged();
  // A `Long`, a number or a text.
  if (String(checksum?.value) !== String(crc32c(data))) throw new Damaged();
  return data.slice();
}

function checkName(answered: unknown, keyName: string): void {
  if (typeof answered === 'string' && answered.startsWith(`${keyName}/cryptoKeyVersions/`)) return;
  throw new StrongroomError(
    'ERR_AUTHENTICATION',
    'the answer names a different key than the configured one. Check the endpoint of the client and which service answers there.',
  );
}

/** A call of the client has `cancel()`, and takes no signal. */
async function cancelled<T>(call: Promise<T>, signal: AbortSignal): Promise<T> {
  const cancel = (): void => (call as { cancel?(): void }).cancel?.();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await call;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** Codes of gRPC (google.rpc.Code). */
const CODES: Readonly<Record<number, string>> = {
  1: 'CANCELLED',
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  9: 'FAILED_PRECONDITION',
  10: 'ABORTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
};

/** The errors of `Encrypt` and `Decrypt`, as the documentation of Cloud KMS describes them. */
function judge(error: unknown): Verdict {
  if (error instanceof Damaged) {
    return unavailable(true, 'the request or the answer was damaged on its way (checksum). Repeat the call.');
  }
  const { code: number, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const code = typeof number === 'number' ? (CODES[number] ?? `code ${number}`) : undefined;
  // Only compared: it comes from the network.
  const text = typeof message === 'string' ? message : '';
  switch (code) {
    case 'RESOURCE_EXHAUSTED':
      return unavailable(
        true,
        'it is overloaded (RESOURCE_EXHAUSTED). Repeat the call later, or raise the quota.',
      );
    case 'CANCELLED':
    case 'DEADLINE_EXCEEDED':
    case 'ABORTED':
    case 'INTERNAL':
    case 'UNAVAILABLE':
      return unavailable(
        true,
        `it fails or does not answer (${code}). Nothing was removed; repeat the call later.`,
      );
    case 'PERMISSION_DENIED':
    case 'UNAUTHENTICATED':
      return unavailable(
        false,
        `it refuses the caller (${code}). Check the credentials, and that they have roles/cloudkms.cryptoKeyEncrypterDecrypter on the key.`,
      );
    case 'NOT_FOUND':
      return disabled('the key does not exist: its name is wrong, or the client uses another project.');
    case 'FAILED_PRECONDITION':
      return /DISABLED|DESTROY/i.test(text)
        ? disabled('the version of the key is disabled or destroyed. Enable or restore it in Cloud KMS.')
        : unavailable(false, 'the key cannot be used in its present state. See the key in Cloud KMS.');
    case 'INVALID_ARGUMENT':
      if (/checksum|crc32c/i.test(text))
        return unavailable(true, 'the request was damaged on its way (checksum). Repeat the call.');
      return /decryption failed/i.test(text)
        ? {
            code: 'ERR_AUTHENTICATION',
            transient: false,
            reason:
              'it was changed, moved, or wrapped by another key (INVALID_ARGUMENT). Restore the record from a backup.',
          }
        : {
            code: 'ERR_INVALID_OPTION',
            transient: false,
            reason:
              'the request does not fit the key (INVALID_ARGUMENT). Its purpose must be ENCRYPT_DECRYPT.',
          };
    default:
      if (isNetworkError(error)) return networkVerdict(error);
      return unavailable(false, `an unknown error${code === undefined ? '' : ` (${code})`}. See its cause.`);
  }
}

function unavailable(transient: boolean, reason: string): Verdict {
  return { code: 'ERR_KEY_UNAVAILABLE', transient, reason };
}

function disabled(reason: string): Verdict {
  return { code: 'ERR_KEY_DISABLED', transient: false, reason };
}
