import type { AgentInputItem } from '@openai/agents';
import type { Entry, HiddenEntry, MaybePromise, SessionCall, SessionLayer } from '../layer.ts';
import { after } from '../maybe-promise.ts';
import { slices } from '../slices.ts';
import { readWith, writeWith } from './layer-hooks.ts';

/** Applies the `write` hooks of these layers, the outermost first. */
export function writeThrough(
  through: readonly SessionLayer[],
  entries: readonly Entry[],
  call: SessionCall,
): MaybePromise<readonly Entry[]> {
  return through.reduce<MaybePromise<readonly Entry[]>>(
    (current, layer) =>
      layer.write === undefined ? current : after(current, (written) => writeWith(layer, written, call)),
    entries,
  );
}

/** Opens records through these layers; a record that one of them could not read is marked as skipped. */
export async function openThrough(
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
export function readThrough(
  through: readonly SessionLayer[],
  entries: readonly (Entry | undefined)[],
  call: SessionCall,
): MaybePromise<readonly (Entry | undefined)[]> {
  const at = through.findLastIndex((layer) => layer.read !== undefined);
  if (at < 0 || entries.length === 0) return entries;
  const rest = (): MaybePromise<readonly (Entry | undefined)[]> =>
    after(readLayer(through[at] as SessionLayer, entries, call), (read) =>
      readThrough(through.slice(0, at), read, call),
    );
  return slices.isOver() ? slices.next().then(rest) : rest();
}

function readLayer(
  layer: SessionLayer,
  entries: readonly (Entry | undefined)[],
  call: SessionCall,
): MaybePromise<readonly (Entry | undefined)[]> {
  const shown = entries.includes(undefined) ? entries.filter((entry) => entry !== undefined) : entries;
  return after(readWith(layer, shown as readonly Entry[], call), (read) => {
    // The layer changes nothing.
    if (read === entries) return entries;
    // A copy: the layer may change its list later.
    if (shown === entries) return read.slice();
    let index = 0;
    return entries.map((entry) => (entry === undefined ? undefined : read[index++]));
  });
}

/** The entry, if it shows an item. */
export function shownOf(entry: Entry | HiddenEntry): Entry | undefined {
  return entry.item === undefined ? undefined : entry;
}
