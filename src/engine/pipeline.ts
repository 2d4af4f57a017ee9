import type { AgentInputItem } from '@openai/agents';
import { mapInSlices, slices } from '../slices.ts';
import type { Entry, HiddenEntry, LayerIO, SessionCall, SessionLayer } from '../layer.ts';
import { discloseClear, encloseClear, matchesClear } from './clear-envelope.ts';
import type { Inner } from './inner.ts';
import { readWith, writeWith } from './layer-hooks.ts';
import type { Stack } from './stack.ts';
import { own } from '../protocol/item.ts';
import { recordKey } from '../protocol/envelope.ts';
import { isShared, share } from '../protocol/shared-entries.ts';
import { plainRecord, takesParts } from '../protocol/sealed-record.ts';

/** One record on its way up: what the inner session holds, what it opens to, and what the caller may see. */
export interface Opened {
  readonly stored: AgentInputItem;
  /**
   * Opened and with all codecs undone, before the layers that show: the item as it is written again. Absent when the
   * record could not or must not be opened.
   */
  readonly bottom?: Entry;
  /** What the caller sees; absent when hidden. */
  readonly visible?: Entry;
  /** Hidden because it could not be read. */
  readonly skipped?: true;
}

/** One item on its way down, in its forms. */
export interface Written extends Entry {
  /** Before any codec: what a later read opens it to. */
  readonly item: AgentInputItem;
  /** As the layers below the codecs got it: what a cache keeps. */
  readonly kept: AgentInputItem;
  /** The inner session's record. */
  readonly stored: AgentInputItem;
}

/** Entries down to records, records up to entries. */
export interface Pipeline {
  /** As many entries as came. */
  write(entries: readonly Entry[], call: SessionCall): Promise<readonly Written[]>;
  /** Opens raw records through all layers. */
  open(records: readonly AgentInputItem[], call: SessionCall): Promise<Opened[]>;
  /**
   * The records behind the last `limit` visible items (all when absent), oldest first: filter, then limit, by
   * doubling the window. `fresh` goes past a caching layer. Items of a list that {@link isShared} are not the caller's.
   */
  read(limit: number | undefined, call: SessionCall, fresh: boolean): Promise<Opened[]>;
  /** The index of the record in the operation, -1 when it is not of it. */
  matches(record: AgentInputItem, operationId: string, count: number, call: SessionCall): Promise<number>;
}

export function createPipeline(inner: Inner, stack: Stack): Pipeline {
  const { layers, loading, unstamped, places } = stack;
  const { above, codecs, below } = places;
  /** Those that open records, from what a cache keeps or from what is opened first. */
  const opening = loading === undefined ? below : below.slice(1);
  const clear = stack.enveloped && !stack.sealed;

  async function writeThrough(
    through: readonly SessionLayer[],
    entries: readonly Entry[],
    call: SessionCall,
  ): Promise<readonly Entry[]> {
    let current = entries;
    for (const layer of through) {
      if (layer.write !== undefined) current = await writeWith(layer, current, call);
    }
    return current;
  }

  async function write(entries: readonly Entry[], call: SessionCall): Promise<readonly Written[]> {
    if (slices.isOver()) await slices.next();
    const plain = await writeThrough(above, entries, call);
    const kept = await writeThrough(codecs, plain, call);
    let current = await writeThrough(below, kept, call);
    if (clear) {
      current = await mapInSlices(current, (entry, index) =>
        encloseClear(entry, index, call.sessionId, call.operationId),
      );
    }
    return current.map((entry, index) => ({
      item: (plain[index] as Entry).item,
      kept: (kept[index] as Entry).item,
      header: entry.header,
      stored: entry.stored ?? entry.item,
    }));
  }

  /** Records through the layers that open; what a cache keeps. */
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

  /** What these layers open; a record that one of them could not read is marked as skipped. */
  async function openThrough(
    through: readonly SessionLayer[],
    entries: readonly (Entry | HiddenEntry)[],
    call: SessionCall,
  ): Promise<(Entry | HiddenEntry)[]> {
    let skipped = false;
    const watching: SessionCall = {
      ...call,
      skipped() {
        skipped = true;
        call.skipped();
      },
    };
    const opened = await readThrough(through, entries.map(shownOf), watching);
    return entries.map((entry, index) => {
      if (entry.item === undefined) return entry;
      const stored = entry.stored as AgentInputItem;
      const found = opened[index];
      if (found !== undefined) return found.stored === stored ? found : { ...found, stored };
      return skipped ? { stored, skipped: true } : { stored };
    });
  }

  /** Applies the `read` hooks of these layers, the innermost first; each sees only what is still visible. */
  async function readThrough(
    through: readonly SessionLayer[],
    entries: readonly (Entry | undefined)[],
    call: SessionCall,
  ): Promise<readonly (Entry | undefined)[]> {
    let current = entries;
    for (let position = through.length - 1; position >= 0; position--) {
      const layer = through[position] as SessionLayer;
      if (layer.read === undefined) continue;
      if (slices.isOver()) await slices.next();
      const shown = current.includes(undefined) ? current.filter((entry) => entry !== undefined) : current;
      if (shown.length === 0) return current;
      const next = await readWith(layer, shown as readonly Entry[], call);
      let index = 0;
      // A list of the layer's own, which it may change later.
      current =
        shown === current
          ? next.slice()
          : current.map((entry) => (entry === undefined ? undefined : next[index++]));
    }
    return current;
  }

  const recordsFor = (limit: number | undefined, call: SessionCall): Promise<AgentInputItem[]> =>
    takesParts(call) && inner.getRecords !== undefined
      ? inner.getRecords(limit)
      : inner.getItems(limit, call.runContext);

  /** Undoes the codecs, and applies the layers that show. */
  async function show(kept: readonly (Entry | HiddenEntry)[], call: SessionCall): Promise<Opened[]> {
    const entries = codecs.length === 0 ? kept : await openThrough(codecs, kept, call);
    const bottoms = entries.map(shownOf);
    const visible = await readThrough(above, bottoms, call);
    const asParts = takesParts(call);
    return entries.map((entry, index) => {
      const bottom = bottoms[index];
      const seen = visible[index];
      const record = entry.stored as AgentInputItem;
      // A cache may have kept it from a call with parts.
      const stored = asParts ? record : plainRecord(record);
      if (bottom === undefined)
        return 'skipped' in entry && entry.skipped ? { stored, skipped: true } : { stored };
      return seen === undefined ? { stored, bottom } : { stored, bottom, visible: seen };
    });
  }

  const openUnseen = async (records: readonly AgentInputItem[], call: SessionCall): Promise<Opened[]> =>
    show(await openKept(records, call), call);

  const inspectors = layers.filter((layer) => layer.inspect !== undefined);

  /** What is returned is judged as a whole, wherever its parts came from. */
  async function inspected(opened: Opened[], call: SessionCall): Promise<Opened[]> {
    if (inspectors.length === 0) return opened;
    const entries = opened.map(({ stored, bottom }) => bottom ?? { stored });
    for (const layer of inspectors) await layer.inspect?.(entries, call);
    return opened;
  }

  const open = async (records: readonly AgentInputItem[], call: SessionCall): Promise<Opened[]> =>
    inspected(await openUnseen(records, call), call);

  async function load(count: number | undefined, call: SessionCall): Promise<Opened[]> {
    const io: LayerIO = {
      raw: (wanted) => recordsFor(wanted, call),
      open: (records) => openKept(records, call),
      ...(inner.version !== undefined && { version: inner.version }),
    };
    const { limit: _limit, ...unlimited } = call;
    const loaded = await loading?.load?.(count === undefined ? unlimited : { ...call, limit: count }, io);
    if (loaded === undefined) return [];
    const opened = await show(loaded, call);
    return isShared(loaded) ? share(opened) : opened;
  }

  async function read(limit: number | undefined, call: SessionCall, fresh: boolean): Promise<Opened[]> {
    return inspected(await window(limit, call, fresh), call);
  }

  async function window(limit: number | undefined, call: SessionCall, fresh: boolean): Promise<Opened[]> {
    const cached = loading !== undefined && !fresh;
    if (limit === undefined) {
      return cached ? load(undefined, call) : openUnseen(await recordsFor(undefined, call), call);
    }
    let known: readonly Opened[] = [];
    for (let size = limit; ; size *= 2) {
      let opened: Opened[];
      let exhausted: boolean;
      if (cached) {
        opened = await load(size, call);
        exhausted = opened.length < size;
      } else {
        const records = await recordsFor(size, call);
        exhausted = records.length < size;
        opened = await openNew(records, known, call);
      }
      const visible = opened.filter((record) => record.visible !== undefined).length;
      if (visible >= limit || exhausted || !stack.reads) return opened;
      known = opened;
    }
  }

  /** A doubled window ends with the records of the last one: those are not opened again. */
  async function openNew(
    records: readonly AgentInputItem[],
    known: readonly Opened[],
    call: SessionCall,
  ): Promise<Opened[]> {
    const start = records.length - known.length;
    const same =
      known.length > 0 &&
      start >= 0 &&
      known.every(
        (before, index) => recordKey(before.stored) === recordKey(records[start + index] as AgentInputItem),
      );
    return same
      ? [...(await openUnseen(records.slice(0, start), call)), ...known]
      : openUnseen(records, call);
  }

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

  return { write, open, read, matches };
}

/** The entry, if it shows an item. */
function shownOf(entry: Entry | HiddenEntry): Entry | undefined {
  return entry.item === undefined ? undefined : entry;
}

/** The records of these entries. Envelopes cannot be changed by anybody, so that a store may read them in slices. */
export function recordsOf(
  { enveloped }: Stack,
  entries: readonly { readonly stored?: AgentInputItem }[],
): AgentInputItem[] {
  const records = entries.map(storedOf);
  return enveloped ? own(records) : records;
}

/** The inner session's record of an entry that {@link Pipeline.write} made. */
export function storedOf(entry: { readonly stored?: AgentInputItem }): AgentInputItem {
  return entry.stored as AgentInputItem;
}
