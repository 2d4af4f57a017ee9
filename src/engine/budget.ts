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

/** Least recently used first. Weak, so that the state of an unreferenced wrapper is released with it. */
const held = new Map<number, Held>();
let total = 0;
let lastId = 0;
/** The one with the newest report. */
let newest = 0;
const collected = new FinalizationRegistry<number>(drop);

function drop(id: number): void {
  total -= held.get(id)?.bytes ?? 0;
  held.delete(id);
}

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
      // It is the newest one already, with the same bytes.
      if (id === newest && held.get(id)?.bytes === bytes) return;
      drop(id);
      if (bytes === 0) return;
      held.set(id, { share: reference, bytes });
      newest = id;
      total += bytes;
      // The oldest is looked up only when something must be evicted: a Map steps over all deleted entries to find
      // it.
      if (total <= MAX_REMEMBERED_BYTES) return;
      for (const [oldest, { share: other }] of held) {
        if (total <= MAX_REMEMBERED_BYTES) return;
        drop(oldest);
        other.deref()?.forget();
      }
    },
  };
  const reference = new WeakRef(share);
  collected.register(share, id);
  return share;
}
