import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { mapInSlices, slices } from '../slices.ts';
import type { Entry, HiddenEntry, LayerIO, SessionCall, SessionLayer } from '../layer.ts';
import { discloseClear, encloseClear, matchesClear } from './clear-envelope.ts';
import type { Inner } from './inner.ts';
import type { Stack } from './stack.ts';
import { own } from '../protocol/item.ts';
import { recordKey } from '../protocol/envelope.ts';

/** One record on its way up: what the inner session holds, what it opens to, and what the caller may see. */
export interface Opened {
  readonly stored: AgentInputItem;
  /** Opened, before the layers above the seal; absent when the record could not or must not be opened. */
  readonly bottom?: Entry;
  /** What the caller sees; absent when hidden. */
  readonly visible?: Entry;
  /** Hidden because it could not be read. */
  readonly skipped?: true;
}

/** Entries down to records, records up to entries: the only place where `write` and `read` of layers are called. */
export interface Pipeline {
  /** As many entries as came; `stored` is the inner session's record, `item` and `header` are as a cache keeps them. */
  write(
    entries: readonly Entry[],
    call: SessionCall,
  ): Promise<readonly (Entry & { stored: AgentInputItem })[]>;
  /** Opens raw records through all layers. */
  open(records: readonly AgentInputItem[], call: SessionCall): Promise<Opened[]>;
  /**
   * The records behind the last `limit` visible items (all when absent), oldest first: filter, then limit, by
   * doubling the window. `fresh` goes past a caching layer.
   */
  read(limit: number | undefined, call: SessionCall, fresh: boolean): Promise<Opened[]>;
  /** The index of the record in the operation, -1 when it is not of it. */
  matches(record: AgentInputItem, operationId: string, count: number, call: SessionCall): Promise<number>;
}

export function createPipeline(inner: Inner, stack: Stack): Pipeline {
  const { layers, loadAt } = stack;
  const unstamped = stack.stamping?.unstamped ?? 'refuse';

  async function write(
    entries: readonly Entry[],
    call: SessionCall,
  ): Promise<readonly (Entry & { stored: AgentInputItem })[]> {
    if (slices.isOver()) await slices.next();
    let current = entries;
    let plain = entries;
    for (const layer of layers) {
      if (layer.write === undefined) continue;
      // What stands just above the seal is what a cache keeps: the item that a later read would open.
      if (layer.seals === true) plain = current;
      const next = await layer.write(current, call);
      assertCount(layer, 'write', next.length, current.length);
      current = next;
    }
    if (!stack.sealed) {
      plain = current;
      if (stack.enveloped) {
        current = await mapInSlices(current, (entry, index) =>
          encloseClear(entry, index, call.sessionId, call.operationId),
        );
      }
    }
    return current.map((entry, index) => ({
      item: (plain[index] as Entry).item,
      header: entry.header,
      stored: entry.stored ?? entry.item,
    }));
  }

  /** From records to entries through the layers below `above` (exclusive); holes are records that a layer hid. */
  async function openBelow(
    records: readonly AgentInputItem[],
    above: number,
    call: SessionCall,
  ): Promise<(Entry | HiddenEntry)[]> {
    if (slices.isOver()) await slices.next();
    let skipped = false;
    const watching: SessionCall = {
      ...call,
      skipped() {
        skipped = true;
        call.skipped();
      },
    };
    const entries = await mapInSlices(records, (stored) =>
      stack.enveloped && !stack.sealed
        ? discloseClear(stored, call.sessionId, unstamped)
        : { item: stored, header: {}, stored },
    );
    const opened = await readThrough(entries, layers.length - 1, above + 1, watching);
    return opened.map((entry, index) => {
      const stored = records[index] as AgentInputItem;
      if (entry !== undefined) return entry.stored === stored ? entry : { ...entry, stored };
      return skipped ? { stored, skipped: true } : { stored };
    });
  }

  /** Applies the `read` hooks of layers `from` down to `to` (inner to outer); each sees only what is still visible. */
  async function readThrough(
    entries: readonly (Entry | undefined)[],
    from: number,
    to: number,
    call: SessionCall,
  ): Promise<(Entry | undefined)[]> {
    let current = [...entries];
    for (let position = from; position >= to; position--) {
      const layer = layers[position] as SessionLayer;
      if (layer.read === undefined) continue;
      if (slices.isOver()) await slices.next();
      const shown = current.filter((entry) => entry !== undefined);
      if (shown.length === 0) return current;
      const next = await layer.read(shown, call);
      assertCount(layer, 'read', next.length, shown.length);
      let index = 0;
      current = current.map((entry) => (entry === undefined ? undefined : next[index++]));
    }
    return current;
  }

  /** Where the layers that only open end and those that show begin: above the seal, or above the cache. */
  const boundary = loadAt >= 0 ? loadAt : layers.findIndex((layer) => layer.seals === true);

  async function show(entries: readonly (Entry | HiddenEntry)[], call: SessionCall): Promise<Opened[]> {
    const from = boundary >= 0 ? boundary - 1 : layers.length - 1;
    const bottoms = entries.map((entry) => (entry.item === undefined ? undefined : entry));
    const visible = await readThrough(bottoms, from, 0, call);
    return entries.map((entry, index) => {
      const bottom = bottoms[index];
      const seen = visible[index];
      const stored = entry.stored as AgentInputItem;
      if (bottom === undefined)
        return 'skipped' in entry && entry.skipped ? { stored, skipped: true } : { stored };
      return seen === undefined ? { stored, bottom } : { stored, bottom, visible: seen };
    });
  }

  const openBottom = async (
    records: readonly AgentInputItem[],
    call: SessionCall,
  ): Promise<(Entry | HiddenEntry)[]> =>
    boundary >= 0
      ? openBelow(records, boundary === loadAt ? loadAt : boundary - 1, call)
      : openBelow(records, layers.length - 1, call);

  const openUnseen = async (records: readonly AgentInputItem[], call: SessionCall): Promise<Opened[]> =>
    show(await openBottom(records, call), call);

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
    const layer = layers[loadAt] as SessionLayer;
    const io: LayerIO = {
      raw: (wanted) => inner.getItems(wanted, call.runContext),
      open: (records) => openBelow(records, loadAt, call),
      ...(inner.version !== undefined && { version: inner.version }),
    };
    const { limit: _limit, ...unlimited } = call;
    const loaded = await layer.load?.(count === undefined ? unlimited : { ...call, limit: count }, io);
    return show(loaded ?? [], call);
  }

  async function read(limit: number | undefined, call: SessionCall, fresh: boolean): Promise<Opened[]> {
    return inspected(await window(limit, call, fresh), call);
  }

  async function window(limit: number | undefined, call: SessionCall, fresh: boolean): Promise<Opened[]> {
    const cached = loadAt >= 0 && !fresh;
    if (limit === undefined) {
      return cached
        ? load(undefined, call)
        : openUnseen(await inner.getItems(undefined, call.runContext), call);
    }
    let known: readonly Opened[] = [];
    for (let size = limit; ; size *= 2) {
      let opened: Opened[];
      let exhausted: boolean;
      if (cached) {
        opened = await load(size, call);
        exhausted = opened.length < size;
      } else {
        const records = await inner.getItems(size, call.runContext);
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
    if (stack.enveloped && !stack.sealed) return matchesClear(record, operationId, count);
    for (const layer of layers) {
      const index = await layer.matches?.(record, operationId, count, call);
      if (index !== undefined && index >= 0) return index;
    }
    return -1;
  }

  return { write, open, read, matches };
}

function assertCount(layer: SessionLayer, hook: string, got: number, expected: number): void {
  if (got !== expected) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `The layer "${layer.name}" returned ${got} entries from ${hook} for ${expected}. It must return one for each, in their order.`,
    );
  }
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
