import { HEDGE_BYTES } from '../crypto/hedged.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { KeyBinding, KeyProvider, WrapOptions } from './provider.ts';

/** Under this symbol a provider of ours wraps without a promise. It is not shared: no other object has it. */
export const WRAP_NOW: unique symbol = Symbol('strongroom.wrap-now');

/** Bytes of a nonce of AES-GCM. */
export const NONCE_BYTES = 12;
/** Random bytes that a provider takes to wrap at once: those of a content key, and a nonce. */
export const WRAP_BYTES: number = HEDGE_BYTES + NONCE_BYTES;

/**
 * `KeyProvider.wrap`, without a promise.
 *
 * @param drawn {@link WRAP_BYTES} random bytes for this call alone. Drawn by default.
 */
type WrapAtOnce<R> = (dek: Uint8Array, binding: KeyBinding, options?: WrapOptions, drawn?: Uint8Array) => R;

export interface ProviderAtOnce extends KeyProvider {
  readonly [WRAP_NOW]?: WrapAtOnce<string>;
}

interface Wrapped {
  readonly wrapped: string;
  readonly kid: string;
}

/** The part of a keyring that wraps. */
interface Ring {
  readonly wrap: (dek: Uint8Array, binding: KeyBinding, options?: WrapOptions) => Promise<Wrapped>;
}

export type WrapNow = WrapAtOnce<MaybePromise<Wrapped>>;

const known = new WeakMap<Ring, Ring & { readonly now: WrapNow }>();

/** Says that a keyring wraps at once where its current key can. @param now Does the same as its method. */
export function wrapsNow<R extends Ring>(ring: R, { wrap }: Ring, now: WrapNow): R {
  known.set(ring, { wrap, now });
  return ring;
}

/**
 * Its `wrap`, without a promise where that is possible. A method that replaced it is called instead.
 *
 * @param drawn {@link WRAP_BYTES} random bytes for this call alone.
 */
export function wrapNow(
  ring: Ring,
  dek: Uint8Array,
  binding: KeyBinding,
  drawn: Uint8Array,
): MaybePromise<Wrapped> {
  const ours = known.get(ring);
  return ours?.wrap === ring.wrap ? ours.now(dek, binding, undefined, drawn) : ring.wrap(dek, binding);
}
