import type { AgentInputItem } from '@openai/agents';
import type { Entry, MaybePromise, SessionCall } from '../layer.ts';
import { after } from '../maybe-promise.ts';
import { mapInSlices, slices } from '../slices.ts';
import { encloseClear, matchesClear } from './clear-envelope.ts';
import type { Inner } from './inner.ts';
import { createOpening } from './opening.ts';
import type { Opened, Written } from './records.ts';
import type { Stack } from './stack.ts';
import { writeThrough } from './through.ts';
import { createWindow } from './window.ts';

/** Converts entries to records and records to entries. */
export interface Pipeline {
  /** Returns as many entries as it gets. */
  write(entries: readonly Entry[], call: SessionCall): MaybePromise<readonly Written[]>;
  /** The layers store what has to last as long as these entries, as before a write. */
  settle(entries: readonly Entry[], call: SessionCall): Promise<void>;
  /** Opens raw records through all layers. */
  open(records: readonly AgentInputItem[], call: SessionCall): Promise<readonly Opened[]>;
  /**
   * The records behind the last `limit` visible items (all when absent), oldest first: filter, then limit, by
   * doubling the window. `fresh` bypasses a caching layer. Items of a call with shared entries must be copied
   * before the caller gets them.
   */
  read(limit: number | undefined, call: SessionCall, fresh: boolean): MaybePromise<readonly Opened[]>;
  /** The index of the record in the operation, -1 when it is not of it. */
  matches(record: AgentInputItem, operationId: string, count: number, call: SessionCall): Promise<number>;
}

export function createPipeline(inner: Inner, stack: Stack): Pipeline {
  const { layers } = stack;
  const { above, codecs, below } = stack.places;
  const clear = stack.enveloped && !stack.sealed;
  const opening = createOpening(stack, clear);
  const window = createWindow(inner, stack, opening);

  const write: Pipeline['write'] = (entries, call) =>
    slices.isOver() ? slices.next().then(() => writeNow(entries, call)) : writeNow(entries, call);

  const writeNow: Pipeline['write'] = (entries, call) =>
    after(settledBy(writeThrough(above, entries, call), call), (plain) =>
      after(writeThrough(codecs, plain, call), (kept) =>
        after(
          after(writeThrough(below, kept, call), (sealed) => enclosed(sealed, call)),
          (stored) =>
            stored.map((entry, index) => ({
              item: (plain[index] as Entry).item,
              kept: (kept[index] as Entry).item,
              header: entry.header,
              stored: entry.stored ?? entry.item,
            })),
        ),
      ),
    );

  const settling = layers.filter((layer) => layer.settled !== undefined);

  function settledBy(
    writing: MaybePromise<readonly Entry[]>,
    call: SessionCall,
  ): MaybePromise<readonly Entry[]> {
    if (settling.length === 0) return writing;
    return after(writing, async (plain) => {
      await settle(plain, call);
      return plain;
    });
  }

  async function settle(entries: readonly Entry[], call: SessionCall): Promise<void> {
    for (const layer of settling) await layer.settled?.(entries, call);
  }

  /** Entries that layers stamped and none sealed become envelopes. */
  function enclosed(
    entries: readonly Entry[],
    { sessionId, operationId }: SessionCall,
  ): MaybePromise<readonly Entry[]> {
    if (!clear) return entries;
    return mapInSlices(entries, (entry, index) => encloseClear(entry, index, sessionId, operationId));
  }

  const inspectors = layers.filter((layer) => layer.inspect !== undefined);

  /** Checks the result as a whole, opened now or from a cache. */
  function inspected(opened: readonly Opened[], call: SessionCall): MaybePromise<readonly Opened[]> {
    if (inspectors.length === 0) return opened;
    const entries = opened.map(({ stored, bottom }) => bottom ?? { stored });
    const done = inspectors.reduce<MaybePromise<void>>(
      (before, layer) => after(before, () => layer.inspect?.(entries, call)),
      undefined,
    );
    return after(done, () => opened);
  }

  const open = async (records: readonly AgentInputItem[], call: SessionCall): Promise<readonly Opened[]> =>
    inspected(await opening.openUnseen(records, call), call);

  const read = (
    limit: number | undefined,
    call: SessionCall,
    fresh: boolean,
  ): MaybePromise<readonly Opened[]> =>
    after(window(limit, call, fresh), (opened) => inspected(opened, call));

  async function matches(
    record: AgentInputItem,
    operationId: string,
    count: number,
    call: SessionCall,
  ): Promise<number> {
    if (clear) return matchesClear(record, operationId, count);
    for (const layer of layers) {
      const index = await layer.matches?.(record, operationId, count, call);
      if (index !== undefined && index >= 0) return index;
    }
    return -1;
  }

  return { write, settle, open, read, matches };
}
