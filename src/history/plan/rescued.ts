import type { Unit } from '../structure.ts';
import { addTo, emptySize, type HistorySize, type MutableSize } from './size.ts';

/** The part of a unit before the cut. */
export interface Part {
  /** How many of the members have been processed; each of those after the cut joins when the cut passes it. */
  counted: number;
  readonly pinned: boolean;
  /** The size of its items that are not kept for another reason. */
  readonly before: MutableSize;
}

/** Units that reach across the cut: their part before it is kept with the rest of them. */
export interface Rescued {
  readonly units: ReadonlyMap<Unit, Part>;
  readonly size: HistorySize;
  add(unit: Unit, part: Part): void;
  release(unit: Unit): void;
}

export function createRescued(): Rescued {
  const units = new Map<Unit, Part>();
  const size = emptySize();
  return {
    units,
    size,
    add(unit, part) {
      if (part.before.items === 0) return;
      units.set(unit, part);
      addTo(size, part.before, 1);
    },
    release(unit) {
      const part = units.get(unit);
      if (part === undefined) return;
      units.delete(unit);
      addTo(size, part.before, -1);
    },
  };
}
