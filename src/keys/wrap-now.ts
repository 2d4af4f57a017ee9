import type { MaybePromise } from '../maybe-promise.ts';
import type { KeyBinding, KeyProvider, WrapOptions } from './provider.ts';

/** Under this symbol a provider of ours wraps without a promise. It is not shared: no other object has it. */
export const WRAP_NOW: unique symbol = Symbol('strongroom.wrap-now');

export interface ProviderAtOnce extends KeyProvider {
  readonly [WRAP_NOW]?: (dek: Uint8Array, binding: KeyBinding, options?: WrapOptions) => string;
}

interface Wrapped {
  readonly wrapped: string;
  readonly kid: string;
}

/** The part of a keyring that wraps. */
interface Ring {
  readonly wrap: (dek: Uint8Array, binding: KeyBinding, options?: WrapOptions) => Promise<Wrapped>;
}

export type WrapNow = (...args: Parameters<Ring['wrap']>) => MaybePromise<Wrapped>;

const known = new WeakMap<Ring, Ring & { readonly now: WrapNow }>();

/** Says that a keyring wraps at once where its current key can. @param now Does the same as its method. */
export function wrapsNow<R extends Ring>(ring: R, { wrap }: Ring, now: WrapNow): R {
  known.set(ring, { wrap, now });
  return ring;
}

/** Its `wrap`, without a promise where that is possible. A method that replaced it is called instead. */
export function wrapNow(ring: Ring, dek: Uint8Array, binding: KeyBinding): MaybePromise<Wrapped> {
  const ours = known.get(ring);
  return ours?.wrap === ring.wrap ? ours.now(dek, binding) : ring.wrap(dek, binding);
}
