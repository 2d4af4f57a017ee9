import { StrongroomError } from '../errors.ts';
import type { KeyProvider } from '../keys/provider.ts';
import { invalidOption } from '../options.ts';
import { checkKmsOptions, type KmsOptions } from './attempts.ts';
import { kmsProvider, type Verdict } from './kms-provider.ts';
import { isNetworkError, networkVerdict } from './network-error.ts';

export type { KmsOptions } from './attempts.ts';

/** The part of the `CryptographyClient` of `@azure/keyvault-keys` that is used. */
export interface AzureCryptographyClient {
  readonly keyID: string | undefined;
  wrapKey(
    algorithm: AzureKeyWrap,
    key: Uint8Array,
    options: { abortSignal: AbortSignal },
  ): Promise<AzureResult>;
  unwrapKey(
    algorithm: AzureKeyWrap,
    encryptedKey: Uint8Array,
    options: { abortSignal: AbortSignal },
  ): Promise<AzureResult>;
}

/** How a key wraps another one. */
export type AzureKeyWrap = 'RSA-OAEP-256' | 'A256KW';

/** The answer of the client. */
export interface AzureResult {
  readonly result: Uint8Array;
  readonly keyID?: string | undefined;
}

/** Options of {@link azureKeyVault}. */
export interface AzureKeyVaultOptions extends KmsOptions {
  /**
   * The official client, made for the same version of the key. Create it with `retryOptions: { maxRetries: 0 }`, or its
   * own repetitions multiply with those of `attempts`.
   */
  readonly client: AzureCryptographyClient;
  /**
   * The identifier of one version of a key, `https://<vault>/keys/<name>/<version>`. Without a version it is refused:
   * the newest one would be used, which does not unwrap what an earlier one wrapped. The default of `kid`.
   */
  readonly keyId: string;
  /** `'RSA-OAEP-256'` (default) for RSA keys, `'A256KW'` for AES keys of a Managed HSM. */
  readonly algorithm?: AzureKeyWrap;
}

const KEY_ID = /^https:\/\/[A-Za-z0-9.-]+(?::\d+)?\/keys\/[A-Za-z0-9-]{1,127}\/[0-9a-f]{32}$/;
const ALGORITHMS: readonly unknown[] = ['RSA-OAEP-256', 'A256KW'];

/**
 * A key of Azure Key Vault or a Managed HSM as key-encryption key. Each new data key costs one `wrapKey`, each one that
 * is opened and not cached one `unwrapKey`; a client also reads the key once. The answer must name the configured
 * version. These algorithms bind no context, so the wrapped form alone binds a data key to its session.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`
 * @example
 * ```ts
 * import type { TokenCredential } from '@azure/core-auth';
 * import { CryptographyClient } from '@azure/keyvault-keys';
 * import { encrypt, keyring } from 'strongroom';
 * import { azureKeyVault } from 'strongroom/kms/azure';
 *
 * declare const credential: TokenCredential; // such as new DefaultAzureCredential() of @azure/identity
 * const keyId = 'https://clinic.vault.azure.net/keys/conversations/0123456789abcdef0123456789abcdef';
 * const client = new CryptographyClient(keyId, credential, { retryOptions: { maxRetries: 0 } });
 * const layer = encrypt({ keys: keyring({ current: azureKeyVault({ client, keyId }) }) });
 * ```
 */
export function azureKeyVault(options: AzureKeyVaultOptions): KeyProvider {
  const where = 'azureKeyVault';
  const limits = checkKmsOptions(where, options, ['client', 'keyId', 'algorithm']);
  const { client, keyId, algorithm = 'RSA-OAEP-256' } = options;
  const given = (client ?? {}) as Partial<AzureCryptographyClient>;
  if (typeof given.wrapKey !== 'function' || typeof given.unwrapKey !== 'function')
    invalidOption(where, 'client', 'a CryptographyClient of @azure/keyvault-keys', client);
  if (typeof keyId !== 'string' || !KEY_ID.test(keyId))
    invalidOption(where, 'keyId', 'https://<vault>/keys/<name>/<version>, with the version', keyId);
  if (given.keyID !== undefined && given.keyID !== keyId)
    invalidOption(where, 'client', 'made for the version of the key that keyId names', given.keyID);
  if (!ALGORITHMS.includes(algorithm))
    invalidOption(where, 'algorithm', "'RSA-OAEP-256' or 'A256KW'", algorithm);

  /** The bytes as a copy of our own. */
  const resultOf = (answer: AzureResult): Uint8Array => {
    if (answer.keyID !== keyId) {
      throw new StrongroomError(
        'ERR_AUTHENTICATION',
        'the answer names a different key or version than the configured one. Check the client and which service answers there.',
      );
    }
    if (answer.result instanceof Uint8Array && answer.result.length > 0) return answer.result.slice();
    throw new StrongroomError('ERR_KEY_UNAVAILABLE', 'the answer is incomplete. Repeat the call.');
  };

  return kmsProvider(
    where,
    options.kid ?? keyId,
    {
      id: 'azure',
      name: 'Azure Key Vault',
      encrypt: async (contentKey, _contextHash, abortSignal) =>
        resultOf(await client.wrapKey(algorithm, contentKey, { abortSignal })),
      decrypt: async (ciphertext, _contextHash, abortSignal) => {
        try {
          return resultOf(await client.unwrapKey(algorithm, ciphertext, { abortSignal }));
        } catch (error) {
          if (statusOf(error) !== 400) throw error;
          throw new StrongroomError(
            'ERR_AUTHENTICATION',
            'it was changed, moved, or wrapped by another key (HTTP 400). Restore the record from a backup.',
            { cause: error },
          );
        }
      },
      judge,
    },
    limits,
  );
}

function statusOf(error: unknown): number | undefined {
  const { statusCode } = (error ?? {}) as { readonly statusCode?: unknown };
  return typeof statusCode === 'number' ? statusCode : undefined;
}

/** Codes in the inner error of HTTP 403, of a key that exists and cannot be used. */
const DISABLED = /KeyDisabled|KeyExpired|KeyNotYetValid|is disabled|not allowed on a disabled key/i;

/** The errors of the REST API, as the documentation of Key Vault describes them. */
function judge(error: unknown): Verdict {
  const status = statusOf(error);
  const { name, message } = (error ?? {}) as { readonly name?: unknown; readonly message?: unknown };
  // Only compared: it comes from the network.
  const text = typeof message === 'string' ? message : '';
  if (status === 429) {
    return unavailable(
      true,
      'it is overloaded (HTTP 429). Repeat the call later, or spread the load over vaults.',
    );
  }
  if (status !== undefined && (status >= 500 || status === 408)) {
    return unavailable(true, `it fails (HTTP ${status}). Nothing was removed; repeat the call later.`);
  }
  if (status === 403 && DISABLED.test(text)) {
    return disabled(
      'the version of the key is disabled, expired or not valid yet. Change that in Key Vault.',
    );
  }
  if (status === 401 || status === 403) {
    return unavailable(
      false,
      `it refuses the caller (HTTP ${status}). Check the credentials, the network rules of the vault, and the role Key Vault Crypto Service Encryption User.`,
    );
  }
  if (status === 404) {
    return disabled(
      'the key, its version or the vault does not exist, or was deleted. Recover it, or correct keyId.',
    );
  }
  if (status === 400 || /is not supported by the key|does not support/i.test(text)) {
    return {
      code: 'ERR_INVALID_OPTION',
      transient: false,
      reason:
        'the request does not fit the key. It must allow wrapKey and unwrapKey with the algorithm of the adapter.',
    };
  }
  // The client checks the times of the key itself.
  if (/^Key .* (?:expired at|can't be used before)/.test(text)) {
    return disabled('the version of the key is expired or not valid yet. Change that in Key Vault.');
  }
  if (
    name === 'AuthenticationError' ||
    name === 'CredentialUnavailableError' ||
    name === 'AuthenticationRequiredError'
  ) {
    return unavailable(false, 'no token could be had for the caller. Check the credential of the client.');
  }
  if (isNetworkError(error)) return networkVerdict(error);
  return unavailable(
    false,
    `an unknown error${status === undefined ? '' : ` (HTTP ${status})`}. See its cause.`,
  );
}

function unavailable(transient: boolean, reason: string): Verdict {
  return { code: 'ERR_KEY_UNAVAILABLE', transient, reason };
}

function disabled(reason: string): Verdict {
  return { code: 'ERR_KEY_DISABLED', transient: false, reason };
}
