import type { MaybePromise } from '../maybe-promise.ts';
import type { Keyring } from './keyring.ts';
import type { KeyBinding, KeyProvider, WrapOptions } from './provider.ts';

/** Under this symbol a provider of ours wraps without a promise. It is not shared: no other object has it. */
export const WRAP_NOW: unique symbol = Symbol('strongroom.wrap-now');

export interface ProviderAtOnce extends KeyProvider {
  readonly [WRAP_NOW]?: (dek: Uint8Array, binding: KeyBinding, options?: WrapOptions) => string;
}

type Wrapped = Awaited<ReturnType<Keyring['wrap']>>;
type WrapNow = (dek: Uint8Array, binding: KeyBinding) => MaybePromise<Wrapped>;

const known = new WeakMap<Keyring, { readonly wrap: Keyring['wrap']; readonly now: WrapNow }>();

/** Says that a keyring wraps at once where its current key can. @param wrap Its method. @param now Does the same. */
export function wrapsNow(ring: Keyring, wrap: Keyring['wrap'], now: WrapNow): Keyring {
  known.set(ring, { wrap, now });
  return ring;
}

/** {@link Keyring.wrap}, without a promise where that is possible. A method that replaced it is called instead. */
export function wrapNow(ring: Keyring, dek: Uint8Array, binding: KeyBinding): MaybePromise<Wrapped> {
  const ours = known.get(ring);
  return ours?.wrap === ring.wrap ? ours.now(dek, binding) : ring.wrap(dek, binding);
}
