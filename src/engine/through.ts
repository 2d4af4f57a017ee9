import type { AgentInputItem } from '@openai/agents';
import type { Entry, HiddenEntry, SessionCall, SessionLayer } from '../layer.ts';
import { slices } from '../slices.ts';
import { readWith, writeWith } from './layer-hooks.ts';

/** Applies the `write` hooks of these layers, the outermost first. */
export async function writeThrough(
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

/** What these layers open; a record that one of them could not read is marked as skipped. */
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
export async function readThrough(
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

/** The entry, if it shows an item. */
export function shownOf(entry: Entry | HiddenEntry): Entry | undefined {
  return entry.item === undefined ? undefined : entry;
}
