import type { AgentInputItem } from '@openai/agents';
import type { Entry, HiddenEntry, LayerIO, MaybePromise, SessionCall } from '../../layer.ts';
import { recordKey } from '../../protocol/envelope.ts';
import { cloneItem } from '../../protocol/item.ts';
import { recordLength } from '../../protocol/sealed-record.ts';
import { share, takesShared } from '../../protocol/shared-entries.ts';
import { mapInSlices } from '../../slices.ts';

/** One record of a kept history. */
export interface Known {
  /** Characters of its {@link keyOf}. */
  readonly length: number;
  readonly entry: Entry | HiddenEntry;
  /** The item is frozen through and through. */
  readonly frozen: boolean;
}

/** Equal for equal records. Made when somebody compares: it is as long as the record. */
export function keyOf(known: Known): string {
  return recordKey(known.entry.stored as AgentInputItem);
}

export function know(entry: Entry | HiddenEntry, freeze: boolean): Known {
  const length = recordLength(entry.stored as AgentInputItem);
  return { length, entry, frozen: freeze && entry.item !== undefined && deepFreeze(entry.item) };
}

/** Opens the records that are not known, in one batch. */
export async function openUnknown(
  records: readonly AgentInputItem[],
  before: readonly Known[],
  io: LayerIO,
  freeze: boolean,
): Promise<Known[]> {
  if (before.length === 0) {
    const all = records.length === 0 ? [] : await io.open(records);
    return await mapInSlices(all, (entry) => know(entry, freeze));
  }
  const unused = new Map<string, Known[]>();
  // From the end, so that the first one of equal records is the one to pop.
  await mapInSlices(before.toReversed(), (known) => {
    // What a layer skipped may have become readable, and if not, the engine has to hear of it again.
    if (isSkipped(known.entry)) return;
    const key = keyOf(known);
    const same = unused.get(key);
    if (same === undefined) unused.set(key, [known]);
    else same.push(known);
  });
  const found = await mapInSlices(records, (stored) => {
    return { stored, known: unused.get(recordKey(stored))?.pop() };
  });
  const missing = found.filter(({ known }) => known === undefined).map(({ stored }) => stored);
  const opened = missing.length === 0 ? [] : await io.open(missing);
  let next = 0;
  return await mapInSlices(found, ({ stored, known }) =>
    known === undefined
      ? know(opened[next++] as Entry | HiddenEntry, freeze)
      : { ...known, entry: { ...known.entry, stored } },
  );
}

/** The entries as they leave the cache: copies, unless they are frozen or shared. */
export function handOutAll(
  known: readonly Known[],
  call: SessionCall,
  freeze: boolean,
): MaybePromise<readonly (Entry | HiddenEntry)[]> {
  // The engine copies the items at the end, where nobody on the way changes them.
  if (takesShared(call) && !freeze) return share(known.map(({ entry }) => entry));
  return mapInSlices(known, handOut);
}

function handOut({ entry, frozen }: Known): Entry | HiddenEntry {
  return frozen || entry.item === undefined ? entry : { ...entry, item: cloneItem(entry.item) };
}

export function isSkipped(entry: Entry | HiddenEntry): boolean {
  return 'skipped' in entry;
}

/** What a record takes beside its text and item: measured 350 to 480 bytes of heap. */
const RECORD_BYTES = 512;
/** What the engine knows of an object of the last two reads goes with the object, and a frozen one stays here. */
const FROZEN_BYTES = 512;

export function bytesOf(known: readonly Known[]): number {
  let bytes = 0;
  for (const { length, frozen } of known) bytes += 2 * length + RECORD_BYTES + (frozen ? FROZEN_BYTES : 0);
  return bytes;
}

/** Whether all of it could be frozen. */
function deepFreeze(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (ArrayBuffer.isView(value)) return false;
  Object.freeze(value);
  let whole = true;
  for (const key of Object.keys(value)) {
    whole = deepFreeze((value as Record<string, unknown>)[key]) && whole;
  }
  return whole;
}
