import { boundedMap } from '../bounded-map.ts';

/**
 * Most bytes of state of all wrappers of this process together: sealed transactions, tool calls, and the stamps of
 * a last full read. The least recently used state is evicted first. `cache()` has its own bounds.
 */
export const MAX_REMEMBERED_BYTES = 33_554_432;

/** The state of one owner. */
export interface Share {
  /** Reports how many bytes the owner holds now; the owner with the newest report is evicted last. */
  use(bytes: number): void;
}

interface Held {
  readonly share: WeakRef<Share & { readonly forget: () => void }>;
  readonly bytes: number;
}

/** Weak, so that the state of an unreferenced wrapper is released with it. */
const held = boundedMap<Held, number>(Infinity, ({ bytes }) => {
  total -= bytes;
});
let total = 0;
let lastId = 0;
const collected = new FinalizationRegistry<number>(held.delete);

/** Bytes of state that the wrappers of this process hold now. */
export function rememberedBytes(): number {
  return total;
}

/** @param forget Called when others need the space; must not call `use`. */
export function createShare(forget: () => void): Share {
  const id = ++lastId;
  const share = {
    forget,
    use(bytes: number): void {
      if (held.get(id)?.bytes === bytes) return;
      held.delete(id);
      if (bytes === 0) return;
      held.set(id, { share: reference, bytes });
      total += bytes;
      held.deleteWhile(({ share: oldest }) => {
        if (total <= MAX_REMEMBERED_BYTES) return false;
        oldest.deref()?.forget();
        return true;
      });
    },
  };
  const reference = new WeakRef(share);
  collected.register(share, id);
  return share;
}
