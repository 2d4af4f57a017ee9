import type { AgentInputItem } from '@openai/agents';
import type { Entry, HiddenEntry, MaybePromise, SessionCall } from '../layer.ts';
import { after } from '../maybe-promise.ts';
import { plainRecord, takesParts } from '../protocol/sealed-record.ts';
import { isShared } from '../protocol/shared-entries.ts';
import { mapInSlices, slices } from '../slices.ts';
import { discloseClear } from './clear-envelope.ts';
import type { Opened } from './records.ts';
import type { Stack } from './stack.ts';
import { openThrough, readThrough, shownOf } from './through.ts';

/** Opens records to entries, in two steps; a cache keeps the result of the first. */
export interface Opening {
  /** Opens records through the layers below; a cache keeps the result. */
  openKept(records: readonly AgentInputItem[], call: SessionCall): Promise<(Entry | HiddenEntry)[]>;
  /** Undoes the codecs, and applies the views. */
  show(kept: readonly (Entry | HiddenEntry)[], call: SessionCall): MaybePromise<readonly Opened[]>;
  /** Both. The layers that inspect have not seen the result yet. */
  openUnseen(records: readonly AgentInputItem[], call: SessionCall): Promise<readonly Opened[]>;
}

export function createOpening(stack: Stack, clear: boolean): Opening {
  const { loading, unstamped, places } = stack;
  const { above, codecs, below } = places;
  /** The layers that open records, below the cache if there is one. */
  const opening = loading === undefined ? below : below.slice(1);

  async function openKept(
    records: readonly AgentInputItem[],
    call: SessionCall,
  ): Promise<(Entry | HiddenEntry)[]> {
    if (slices.isOver()) await slices.next();
    const entries = await mapInSlices(records, (stored) =>
      clear ? discloseClear(stored, call.sessionId, unstamped) : { item: stored, header: {}, stored },
    );
    return openThrough(opening, entries, call);
  }

  const show = (kept: readonly (Entry | HiddenEntry)[], call: SessionCall): MaybePromise<readonly Opened[]> =>
    after(codecs.length === 0 ? kept : openThrough(codecs, kept, call), (entries) => {
      const asParts = takesParts(call);
      // Nothing to make where a cache keeps the entries and no layer changes one.
      const shared = asParts && entries.every(isShared);
      const bottoms = shared ? entries : entries.map(shownOf);
      return after(readThrough(above, bottoms, call), (visible): readonly Opened[] => {
        if (shared && (visible === entries || visible.every((shown, index) => shown === entries[index]))) {
          return entries;
        }
        return entries.map((entry, index) => {
          const record = entry.stored as AgentInputItem;
          // A cache may have kept it from a call that takes parts.
          const stored = asParts ? record : plainRecord(record);
          const skipped = 'skipped' in entry ? entry.skipped : undefined;
          return { stored, bottom: bottoms[index], visible: visible[index], skipped };
        });
      });
    });

  const openUnseen = async (
    records: readonly AgentInputItem[],
    call: SessionCall,
  ): Promise<readonly Opened[]> => show(await openKept(records, call), call);

  return { openKept, show, openUnseen };
}
