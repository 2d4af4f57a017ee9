import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { beginSnapshots, encodeItem, listed, snapshotItem } from './item.ts';

/** Copies the items of the caller, each property read once, so that later changes have no effect. */
export function snapshotItems(items: readonly AgentInputItem[], maxItemBytes: number): AgentInputItem[] {
  return snapshotListed(listed(items), maxItemBytes);
}

/** The same for a list that {@link listed} made. */
export function snapshotListed(list: readonly AgentInputItem[], maxItemBytes: number): AgentInputItem[] {
  const at = beginSnapshots();
  return list.map((item, index, { length }) => {
    const snapshot = snapshotItem(item, at);
    if (at.size > maxItemBytes) {
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
