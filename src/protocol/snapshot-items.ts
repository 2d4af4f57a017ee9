import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { encodeItem, listed, snapshotItem } from './item.ts';

/** Copies the items of the caller, each property read once, so that later changes have no effect. */
export function snapshotItems(items: readonly AgentInputItem[], maxItemBytes: number): AgentInputItem[] {
  return listed(items).map((item, index, { length }) => {
    const snapshot = snapshotItem(item);
    if (sizeAtMost(snapshot) > maxItemBytes) {
      const bytes = new TextEncoder().encode(encodeItem(snapshot)).length;
      if (bytes > maxItemBytes) {
        throw new StrongroomError(
          'ERR_INVALID_ITEM',
          `Item ${index + 1} of ${length} has ${bytes} bytes of JSON, more than maxItemBytes (${maxItemBytes}). Store large content elsewhere and keep a reference, or raise maxItemBytes in wrapSession's options.`,
        );
      }
    }
    return snapshot;
  });
}

/** An upper bound of an item's JSON in bytes, without building it: six bytes is the longest a UTF-16 unit can get. */
function sizeAtMost(value: unknown): number {
  if (typeof value === 'string') return 6 * value.length + 2;
  if (typeof value !== 'object' || value === null) return 32;
  if (value instanceof Uint8Array) return 2 * value.length + 32;
  let size = 2;
  if (Array.isArray(value)) {
    for (const child of value) size += sizeAtMost(child) + 1;
    return size;
  }
  for (const key in value) size += 6 * key.length + 4 + sizeAtMost((value as Record<string, unknown>)[key]);
  return size;
}
