import type { JWK } from 'jose';
import { counters } from '../crypto/counters.ts';
import { StrongroomError } from '../errors.ts';
import { after } from '../maybe-promise.ts';
import { checkOptions, invalidOption } from '../options.ts';
import { askProvider } from './provider-error.ts';
import { jwkProvider } from './jwk-provider.ts';
import { checkJwk, isKid } from './jwk.ts';
import type { KeyBinding, KeyProvider, WrapOptions } from './provider.ts';
import { WRAP_NOW, wrapsNow, type ProviderAtOnce, type WrapNow } from './wrap-now.ts';
import { parseWrappedKey } from './wrapped-key.ts';

/** The use of a key in a keyring: `current` wraps and unwraps, `previous` only unwraps, the others do neither. */
export type KeyState = 'current' | 'previous' | 'disabled' | 'destroyed';

/** A key of a keyring, without its secret. */
export interface KeyInfo {
  readonly kid: string;
  readonly state: KeyState;
  /** The JWE algorithm; absent for a destroyed key. */
  readonly alg?: string;
}

/** Options of {@link keyring}. */
export interface KeyringOptions {
  /** The key that wraps new data keys: a JWK, or a key in a KMS. A public JWK can write and not read. */
  readonly current: JWK | KeyProvider;
  /** Keys that still unwrap their data keys. Add a new key here first, in every process, then make it current. */
  readonly previous?: readonly (JWK | KeyProvider)[];
  /** Keys that must not be used for now: reading items under their data keys is `ERR_KEY_DISABLED`. */
  readonly disabled?: readonly (JWK | KeyProvider)[];
  /** Ids of keys that were destroyed for good: reading items under their data keys is `ERR_KEY_DISABLED`. */
  readonly destroyed?: readonly string[];
}

/**
 * Key-encryption keys by their `kid`. One of them is current. A change by one of the methods affects every layer
 * that uses this keyring, from its next call on; other processes have their own keyrings.
 */
export interface Keyring {
  /** `kid` of the current key. */
  readonly current: string;
  /** Every key and its state, the current one first. */
  keys(): readonly KeyInfo[];
  /** The state of a key, `undefined` when this keyring does not know it. */
  state(kid: string): KeyState | undefined;
  /** Adds a key as `previous`: it can unwrap, and can be promoted later. */
  add(key: JWK | KeyProvider): void;
  /** Makes a `previous` key the current one; the former current key becomes `previous`. */
  promote(kid: string): void;
  /** Stops the use of a key that is not current. */
  disable(kid: string): void;
  /** Makes a disabled key `previous` again. */
  enable(kid: string): void;
  /**
   * Drops the key and keeps its id. Destroy the key at its source, too; then all data keys that it wrapped are
   * lost. `destroyKey` of `strongroom/keys` first checks that no data key needs it any more.
   */
  destroy(kid: string): void;
  /** Whether this keyring cannot unwrap the data keys that its current key wraps. */
  readonly writeOnly: boolean;
  /** Wraps a data key with the current key. */
  wrap(
    dek: Uint8Array,
    binding: KeyBinding,
    options?: WrapOptions,
  ): Promise<{ readonly wrapped: string; readonly kid: string }>;
  /**
   * Unwraps a data key with the key that its header names, and with no other.
   *
   * @throws `ERR_KEY_UNKNOWN` `ERR_KEY_DISABLED` `ERR_KEY_UNAVAILABLE` `ERR_AUTHENTICATION` `ERR_MALFORMED`
   * `ERR_UNSUPPORTED`
   */
  unwrap(wrapped: string, binding: KeyBinding): Promise<UnwrappedKey>;
  /** Throws what {@link Keyring.unwrap} would throw for a key of this id, without unwrapping. */
  checkOpens(kid: string): void;
}

/** An unwrapped data key. */
export interface UnwrappedKey {
  /** 32 bytes, to be wiped by the caller. */
  readonly dek: Uint8Array;
  readonly kid: string;
  /** Whether it must not seal new records. */
  readonly openOnly: boolean;
}

interface Slot {
  state: KeyState;
  provider?: ProviderAtOnce;
}

/**
 * A keyring of JWKs or KMS keys. Synchronous, and checks every key at once: an unusable key is refused at the start
 * and not with the first message. Keys are found by `kid` only, never by trial. Whether the two halves of a private JWK
 * belong to one key is tried by the first wrap (`ERR_INVALID_OPTION`), before anything is sealed. A key that only unwraps is not tried.
 *
 * JWKs need `kid` (1 to 128 printable ASCII characters) and `alg`: `A256KW` or `A256GCMKW` (`oct`, 32 bytes),
 * `ECDH-ES+A256KW` (EC or X25519), `RSA-OAEP-256` (2048 bits or more), or `PBES2-HS512+A256KW` (`k` is the password
 * in base64url, at least 15 characters; `p2c` at least 210,000, the default).
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`, naming the key by its position, never by its content.
 * @example
 * ```ts
 * import { generateKey, keyring } from 'strongroom';
 *
 * const old = await generateKey();
 * const keys = keyring({ current: await generateKey(), previous: [old] });
 * ```
 */
export function keyring(options: KeyringOptions): Keyring {
  checkOptions('keyring', options, ['current', 'previous', 'disabled', 'destroyed']);
  const slots = new Map<string, Slot>();

  const insert = (where: string, key: unknown, state: KeyState): string => {
    const provider = toProvider(where, key);
    if (slots.has(provider.kid)) duplicate(where, provider.kid);
    slots.set(provider.kid, { state, provider });
    return provider.kid;
  };
  let current = insert('keyring: current', options.current, 'current');
  for (const state of ['previous', 'disabled'] as const) {
    const given = options[state] ?? [];
    if (!Array.isArray(given)) invalidOption('keyring', state, 'an array of keys', given);
    given.forEach((key, index) => insert(`keyring: ${state}[${index}]`, key, state));
  }
  const destroyed: unknown = options.destroyed ?? [];
  if (!Array.isArray(destroyed) || !destroyed.every(isKid)) {
    invalidOption('keyring', 'destroyed', 'an array of kids', destroyed);
  }
  destroyed.forEach((kid, index) => {
    if (slots.has(kid)) duplicate(`keyring: destroyed[${index}]`, kid);
    slots.set(kid, { state: 'destroyed' });
  });

  const move = (method: string, kid: string, from: readonly KeyState[], to: KeyState): Slot => {
    const slot = slots.get(kid);
    if (slot === undefined) unknown(kid);
    if (!from.includes(slot.state)) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `keyring.${method}: the key ${quote(kid)} is ${slot.state}; it must be ${from.join(' or ')}.`,
      );
    }
    slot.state = to;
    return slot;
  };

  const opener = (kid: string): KeyProvider => {
    const slot = slots.get(kid);
    if (slot === undefined) unknown(kid);
    if (slot.provider === undefined || slot.state === 'disabled' || slot.state === 'destroyed') {
      throw new StrongroomError(
        'ERR_KEY_DISABLED',
        `The key ${quote(kid)} is ${slot.state} in the keyring. ` +
          (slot.state === 'disabled'
            ? 'Enable it again, or treat the records under it as erased.'
            : 'Treat the records under it as erased, unless you have a copy of the key: then start with it in `previous`. If new ' +
              'records name it, another process still wraps with it: promote its successor in that process.'),
      );
    }
    if (slot.provider.writeOnly) {
      throw new StrongroomError(
        'ERR_KEY_UNAVAILABLE',
        `The keyring holds only the public half of the key ${quote(kid)}, which seals but does not open. Put the ` +
          'private JWK in its place to read.',
        { retryable: false },
      );
    }
    return slot.provider;
  };

  const now: WrapNow = (dek, binding, options, drawn) => {
    const provider = slots.get(current)?.provider;
    if (provider === undefined) unknown(current);
    counters.wraps++;
    return wrapBy(provider, dek, binding, options, drawn);
  };
  const wrap: Keyring['wrap'] = async (dek, binding, options) => now(dek, binding, options);
  const ring: Keyring = {
    get current() {
      return current;
    },
    get writeOnly() {
      return slots.get(current)?.provider?.writeOnly === true;
    },
    keys() {
      const infos = [...slots].map(([kid, { state, provider }]): KeyInfo =>
        provider === undefined ? { kid, state } : { kid, state, alg: provider.alg },
      );
      return [...infos.filter(isCurrent), ...infos.filter((info) => !isCurrent(info))];
    },
    state: (kid) => slots.get(kid)?.state,
    add(key) {
      insert('keyring.add: the key', key, 'previous');
    },
    promote(kid) {
      if (kid === current) return;
      move('promote', kid, ['previous'], 'current');
      move('promote', current, ['current'], 'previous');
      current = kid;
    },
    disable(kid) {
      move('disable', kid, ['previous', 'disabled'], 'disabled');
    },
    enable(kid) {
      move('enable', kid, ['disabled', 'previous', 'current'], kid === current ? 'current' : 'previous');
    },
    destroy(kid) {
      delete move('destroy', kid, ['previous', 'disabled', 'destroyed'], 'destroyed').provider;
    },
    wrap,
    async unwrap(wrapped, binding) {
      const parsed = parseWrappedKey(wrapped);
      const provider = opener(parsed.kid);
      if (parsed.alg !== provider.alg) {
        throw new StrongroomError(
          'ERR_AUTHENTICATION',
          `A wrapped data key names a different algorithm than the key ${quote(provider.kid)}: it was changed, or ` +
            'the keyring holds another key under this kid. Check the keyring, then restore the record from a backup.',
        );
      }
      counters.unwraps++;
      const dek = await provider.unwrap(parsed, binding);
      return { dek, kid: provider.kid, openOnly: parsed.openOnly };
    },
    checkOpens(kid) {
      opener(kid);
    },
  };
  return wrapsNow(ring, { wrap }, now);
}

/** Without a promise where the provider is ours. */
function wrapBy(provider: ProviderAtOnce, ...given: Parameters<WrapNow>): ReturnType<WrapNow> {
  const [dek, binding, options] = given;
  const wrapping =
    provider[WRAP_NOW]?.(...given) ??
    askProvider(provider.kid, 'wrap', async () => provider.wrap(dek, binding, options));
  return after(wrapping, (wrapped) => ({ wrapped, kid: provider.kid }));
}

function isCurrent(info: KeyInfo): boolean {
  return info.state === 'current';
}

function toProvider(where: string, key: unknown): KeyProvider {
  if (typeof key === 'object' && key !== null && typeof (key as KeyProvider).unwrap === 'function') {
    const provider = key as KeyProvider;
    if (!isKid(provider.kid)) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `${where} needs a kid of 1 to 128 printable ASCII characters.`,
      );
    }
    if (typeof provider.wrap !== 'function') {
      throw new StrongroomError('ERR_INVALID_OPTION', `${where} is a provider without the function wrap.`);
    }
    return provider;
  }
  return jwkProvider(checkJwk(where, key));
}

function quote(kid: string): string {
  return JSON.stringify(kid);
}

function duplicate(where: string, kid: string): never {
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${where} has the kid ${quote(kid)}, which another key of the keyring already has. Give each key a kid of its own.`,
  );
}

function unknown(kid: string): never {
  throw new StrongroomError(
    'ERR_KEY_UNKNOWN',
    `The keyring holds no key with the kid ${quote(kid)}. Add that key to \`previous\`.`,
  );
}
