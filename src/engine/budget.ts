/**
 * Most bytes that all wrappers of this process remember together: sealed transactions, tool calls, and the stamps of a
 * last full read. What was used least recently is forgotten first. `cache()` has bounds of its own.
 */
export const MAX_REMEMBERED_BYTES = 33_554_432;

/** A part of what is remembered, with one owner. */
export interface Share {
  /** Says how many bytes the owner remembers now; the newest one to say so is the last to be asked to forget. */
  use(bytes: number): void;
}

interface Held {
  readonly share: WeakRef<Share & { readonly forget: () => void }>;
  readonly bytes: number;
}

/** Least recently used first. Weak, so that a wrapper that nobody uses any more takes what it remembers with it. */
const held = new Map<number, Held>();
let total = 0;
let lastId = 0;
/** The one that said so last. */
let newest = 0;
const collected = new FinalizationRegistry<number>(drop);

function drop(id: number): void {
  total -= held.get(id)?.bytes ?? 0;
  held.delete(id);
}

/** Bytes that the wrappers of this process remember now. */
export function rememberedBytes(): number {
  return total;
}

/** @param forget Called when others need the room; must not call `use`. */
export function createShare(forget: () => void): Share {
  const id = ++lastId;
  const share = {
    forget,
    use(bytes: number): void {
      // The newest one already, with the same bytes: nothing to put anywhere else.
      if (id === newest && held.get(id)?.bytes === bytes) return;
      drop(id);
      if (bytes === 0) return;
      held.set(id, { share: reference, bytes });
      newest = id;
      total += bytes;
      // Where nothing has to go the oldest is not looked for: a Map steps over all that it lost to give it.
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
