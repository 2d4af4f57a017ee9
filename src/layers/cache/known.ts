import type { AgentInputItem } from '@openai/agents';
import { getOrMake } from '../../get-or-make.ts';
import type { Entry, HiddenEntry, LayerIO, MaybePromise, SessionCall } from '../../layer.ts';
import { after } from '../../maybe-promise.ts';
import { recordKey } from '../../protocol/envelope.ts';
import { isMark, markKey, markOf } from '../../protocol/record-mark.ts';
import { takesParts } from '../../protocol/sealed-record.ts';
import {
  copyShared,
  sharedEntry,
  sharingOf,
  withRecord,
  type SharedEntry,
} from '../../protocol/shared-entries.ts';
import { mapInSlices } from '../../slices.ts';
import { freezeAll } from './freezing.ts';
import type { CacheSettings } from './options.ts';

/** One record of a kept history. */
export type Known = SharedEntry | HiddenEntry;

/** Makes the kept entries of one call. */
export interface Keeping {
  readonly keep: (entry: Entry | HiddenEntry) => Known;
  /** The same record was read again. */
  readonly again: (known: Known, record: AgentInputItem) => Known;
}

export function createKeeping({ mode, freeze }: CacheSettings, call: SessionCall): Keeping {
  // Rows that were edited by hand are detected only by comparing their whole content.
  const marks = mode !== 'verify' && takesParts(call);
  let last: AgentInputItem | undefined;

  function keptRecord(record: AgentInputItem): AgentInputItem {
    const mark = marks ? markOf(record, last) : undefined;
    if (mark !== undefined) last = mark;
    return mark ?? record;
  }

  return {
    keep(entry) {
      // A skipped record is opened again.
      if (isSkipped(entry)) return entry as HiddenEntry;
      const stored = keptRecord(entry.stored as AgentInputItem);
      const { item } = entry;
      return item === undefined
        ? { stored }
        : sharedEntry(item, entry.header, stored, freeze && freezeAll(item));
    },
    again(known, record) {
      if (marks && isMark(known.stored)) return known;
      const stored = keptRecord(record);
      return known.item === undefined ? { ...known, stored } : withRecord(known, stored);
    },
  };
}

export function isSkipped(entry: Entry | HiddenEntry): boolean {
  return 'skipped' in entry;
}

/** Whether a mark replaces its record, which only calls that take parts may get. */
export function isMarked({ stored }: Known): boolean {
  return isMark(stored);
}

/** A key that is equal for equal records, for comparison with these. */
export function keyFor(known: readonly Known[]): (record: AgentInputItem) => string {
  return known.some(isMarked) ? markKey : recordKey;
}

/** Opens the records that are not known, in one batch. */
export function openUnknown(
  records: readonly AgentInputItem[],
  before: readonly Known[],
  io: LayerIO,
  keeping: Keeping,
): MaybePromise<Known[]> {
  if (records.length === 0) return [];
  if (before.length === 0) return after(io.open(records), (all) => mapInSlices(all, keeping.keep));
  return openOthers(records, before, io, keeping);
}

async function openOthers(
  records: readonly AgentInputItem[],
  before: readonly Known[],
  io: LayerIO,
  { keep, again }: Keeping,
): Promise<Known[]> {
  const keyOf = keyFor(before);
  const unused = new Map<string, Known[]>();
  // From the end, so that the first one of equal records is popped.
  await mapInSlices(before.toReversed(), (known) => {
    // A skipped record may have become readable; if not, it has to be reported to the engine again.
    if (isSkipped(known)) return;
    getOrMake(unused, keyOf(known.stored), () => []).push(known);
  });
  const found = await mapInSlices(records, (stored) => unused.get(keyOf(stored))?.pop());
  const missing = records.filter((_, index) => found[index] === undefined);
  const opened = missing.length === 0 ? [] : await io.open(missing);
  let next = 0;
  return await mapInSlices(found, (known, index) =>
    known === undefined
      ? keep(opened[next++] as Entry | HiddenEntry)
      : again(known, records[index] as AgentInputItem),
  );
}

/** The entries that a read returns: the kept ones when nothing can change them, else copies. */
export function handOutAll(
  known: readonly Known[],
  call: SessionCall,
): MaybePromise<readonly (Entry | HiddenEntry)[]> {
  const sharing = sharingOf(call);
  if (sharing === undefined) return mapInSlices(known, handOut);
  // No layer changes the items, and the engine copies them at the end.
  sharing.given = true;
  return known;
}

function handOut(known: Known): Entry | HiddenEntry {
  if (known.item === undefined) return known;
  const { header, stored } = known;
  return { item: copyShared(known, known), header, stored };
}
