import { fromBase64, toBase64, utf8, fromUtf8 } from '../crypto/encoding.ts';
import { StrongroomError } from '../errors.ts';
import type { KeyProvider } from '../keys/provider.ts';
import type { MaybePromise } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { checkKmsOptions, type KmsOptions } from './attempts.ts';
import { kmsProvider, type Verdict } from './kms-provider.ts';
import { isNetworkError, networkVerdict } from './network-error.ts';

export type { KmsOptions } from './attempts.ts';

/** Options of {@link vaultTransit}. */
export interface VaultTransitOptions extends KmsOptions {
  /** Where Vault or OpenBao answers, without `/v1`. `https:`; `http:` only for this machine (an agent, a proxy). */
  readonly address: string;
  /** A token, or a function that returns the current one: it is called for each attempt. */
  readonly token: string | (() => MaybePromise<string>);
  /** Name of the transit key. Make it with `derived=true`. */
  readonly key: string;
  /** Path of the transit engine. @defaultValue `'transit'` */
  readonly mount?: string;
  /** Namespace, where the server has them. */
  readonly namespace?: string;
  /** Your own `fetch`, for a certificate authority or proxy of your own. @defaultValue the one of the runtime */
  readonly fetch?: typeof fetch;
}

const NAME = /^\w(?:[\w.-]*\w)?$/;
const MOUNT = /^\w(?:[\w.-]*\w)?(?:\/\w(?:[\w.-]*\w)?)*$/;
const NAMESPACE = /^[\w./-]{1,256}$/;
const TOKEN = /^[\x21-\x7e]+$/;
const CIPHERTEXT = /^vault:v[1-9]\d*:[A-Za-z0-9+/]+=*$/;

/**
 * A key of the transit engine of HashiCorp Vault or OpenBao as key-encryption key, over their HTTP API. Make the key
 * with `derived=true`: the hash of session and context is then the `context` of the key derivation. `associated_data`
 * is not used, because `rewrap` does not take it. The default `kid` is `<mount>/<key>`; give another one if keys of
 * two servers share a name.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`
 * @example
 * ```ts
 * import { encrypt, keyring } from 'strongroom';
 * import { vaultTransit } from 'strongroom/kms/vault';
 *
 * const token = (): string => process.env['VAULT_TOKEN'] ?? '';
 * const current = vaultTransit({ address: 'https://vault.example:8200', token, key: 'conversations' });
 * const layer = encrypt({ keys: keyring({ current }) });
 * ```
 */
export function vaultTransit(options: VaultTransitOptions): KeyProvider {
  const limits = checkKmsOptions('vaultTransit', options, [
    'address',
    'token',
    'key',
    'mount',
    'namespace',
    'fetch',
  ]);
  const { token, key, mount = 'transit', namespace } = options;
  const address = checkAddress(options.address);
  if (typeof token !== 'function') checkToken(token);
  if (typeof key !== 'string' || !NAME.test(key))
    invalidOption('vaultTransit', 'key', 'the name of a key', key);
  if (typeof mount !== 'string' || !MOUNT.test(mount)) {
    invalidOption('vaultTransit', 'mount', 'the path of a transit engine, without slashes around it', mount);
  }
  if (namespace !== undefined && !(typeof namespace === 'string' && NAMESPACE.test(namespace))) {
    invalidOption('vaultTransit', 'namespace', 'the path of a namespace', namespace);
  }
  const send = options.fetch ?? globalThis.fetch;
  if (typeof send !== 'function') invalidOption('vaultTransit', 'fetch', 'a function', send);

  async function post(
    operation: 'encrypt' | 'decrypt',
    body: Readonly<Record<string, string>>,
    field: string,
    signal: AbortSignal,
  ): Promise<string> {
    const response = await send(`${address}/v1/${mount}/${operation}/${key}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-vault-request': 'true',
        'x-vault-token': checkToken(typeof token === 'function' ? await token() : token),
        ...(namespace !== undefined && { 'x-vault-namespace': namespace }),
      },
      body: JSON.stringify(body),
      // A redirect would send the token to another host.
      redirect: 'manual',
      signal,
    });
    const answer = parse(await response.text());
    if (response.status !== 200) throw new VaultFault(response.status, messagesOf(answer['errors']));
    const data = answer['data'] as Record<string, unknown> | undefined;
    const value = data?.[field];
    if (typeof value !== 'string') incomplete();
    return value;
  }

  return kmsProvider(
    'vaultTransit',
    options.kid ?? `${mount}/${key}`,
    {
      id: 'vault',
      name: 'Vault',
      async encrypt(contentKey, contextHash, signal) {
        const body = { plaintext: toBase64(contentKey), context: toBase64(utf8(contextHash)) };
        const ciphertext = await post('encrypt', body, 'ciphertext', signal);
        if (!CIPHERTEXT.test(ciphertext)) incomplete();
        return utf8(ciphertext);
      },
      async decrypt(bytes, contextHash, signal) {
        const body = { ciphertext: ciphertextOf(bytes), context: toBase64(utf8(contextHash)) };
        return fromBase64(await post('decrypt', body, 'plaintext', signal)) ?? incomplete();
      },
      judge,
    },
    limits,
  );
}

function checkAddress(address: unknown): string {
  let url: URL | undefined;
  try {
    url = new URL(address as string);
  } catch {
    // The message of URL quotes its argument.
  }
  const local = url !== undefined && /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (
    url === undefined ||
    !(url.protocol === 'https:' || (url.protocol === 'http:' && local)) ||
    url.username !== '' ||
    url.password !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    invalidOption(
      'vaultTransit',
      'address',
      'an https: URL without user, query and fragment (http: only for this machine, because each request carries the token)',
      address,
    );
  }
  return url.href.replace(/\/+$/, '');
}

function checkToken(token: unknown): string {
  // The error of fetch for an invalid header quotes the token.
  if (typeof token !== 'string' || !TOKEN.test(token)) {
    invalidOption('vaultTransit', 'token', 'printable ASCII characters without spaces', token);
  }
  return token;
}

function ciphertextOf(bytes: Uint8Array): string {
  let text = '';
  try {
    text = fromUtf8(bytes);
  } catch {
    // Falls through to the check.
  }
  if (!CIPHERTEXT.test(text)) {
    throw new StrongroomError(
      'ERR_AUTHENTICATION',
      'its header does not contain a Vault ciphertext. Restore the record from a backup.',
    );
  }
  return text;
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // An error page of a proxy; its status decides. The parser's message would quote it.
    return {};
  }
}

function messagesOf(errors: unknown): readonly string[] {
  return Array.isArray(errors) ? errors.filter((error) => typeof error === 'string') : [];
}

function incomplete(): never {
  throw new StrongroomError(
    'ERR_KEY_UNAVAILABLE',
    'the answer does not come from a transit engine. Check the address.',
  );
}

/** An answer other than 200. */
class VaultFault extends Error {
  override readonly name: string = 'VaultFault';
  readonly status: number;
  readonly errors: readonly string[];

  constructor(status: number, errors: readonly string[]) {
    super(`HTTP ${status}`);
    this.status = status;
    this.errors = errors;
  }
}

/** The meaning of the status and of the documented messages of the transit engine. */
function judge(error: unknown): Verdict {
  if (!(error instanceof VaultFault)) {
    if (isNetworkError(error)) return networkVerdict(error);
    return verdict('ERR_KEY_UNAVAILABLE', 'the request failed. See its cause.');
  }
  const { status, errors } = error;
  const says = (text: string): boolean => errors.some((message) => message.includes(text));
  if (status === 412 || status === 429 || status >= 500) {
    return {
      code: 'ERR_KEY_UNAVAILABLE',
      transient: true,
      reason: `it is overloaded, sealed or failing (HTTP ${status}). Nothing was removed; repeat the call later.`,
    };
  }
  if (status === 401 || status === 403) {
    return verdict(
      'ERR_KEY_UNAVAILABLE',
      `it refuses the token (HTTP ${status}). Renew the token, and check that its policy allows update on this key.`,
    );
  }
  if (status === 404) {
    return verdict(
      'ERR_INVALID_OPTION',
      'no transit engine answers there (HTTP 404). Check mount and namespace.',
    );
  }
  if (status >= 300 && status < 400) {
    return verdict(
      'ERR_KEY_UNAVAILABLE',
      `it redirects (HTTP ${status}). The token is not sent to another address. Set the address of the active server.`,
    );
  }
  if (says('encryption key not found')) {
    return verdict(
      'ERR_KEY_DISABLED',
      'the key does not exist: it was deleted, or it has another name. Check the option key.',
    );
  }
  if (says('disallowed by policy (too old)')) {
    return verdict(
      'ERR_KEY_DISABLED',
      'its key version is below min_decryption_version. Lower min_decryption_version, or treat the records under it as erased.',
    );
  }
  if (says('invalid ciphertext') || says('message authentication failed')) {
    return verdict(
      'ERR_AUTHENTICATION',
      'it was changed, moved, or wrapped by another key. Restore the record from a backup.',
    );
  }
  if (says('derivation')) {
    return verdict(
      'ERR_INVALID_OPTION',
      'the key has the wrong type. Create it with derived=true and type=aes256-gcm96.',
    );
  }
  return verdict('ERR_KEY_UNAVAILABLE', `an unknown answer (HTTP ${status}). See its cause.`);
}

function verdict(code: Verdict['code'], reason: string): Verdict {
  return { code, transient: false, reason };
}
