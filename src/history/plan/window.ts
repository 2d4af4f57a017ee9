import type { Structure, Unit } from '../structure.ts';
import { createRescued, type Part } from './rescued.ts';
import { addTo, emptySize, type MutableSize } from './size.ts';
import type { Weights } from './weights.ts';

/** The items so far that a cut keeps, and their size. */
export interface Window {
  /** Index of the first item of the window. */
  start(): number;
  /** An item joins at the end. */
  add(index: number): void;
  /** A unit got a member at or after the cut: its members before the cut now stay. */
  extend(unit: Unit | undefined): void;
  total(): MutableSize;
  /** For each start from the cut to `end`: the size of the window. */
  sizesUntil(end: number): (start: number) => MutableSize;
  /** @param newAnchor The user message of the turn that is cut inside; -1 for none. */
  moveTo(start: number, newAnchor: number): void;
  keeps(index: number): boolean;
}

export function createWindow(count: number, base: number, weights: Weights, structure: Structure): Window {
  const { turns, tokens, always } = weights;
  let cut = base;
  /** The items from the cut on, and those before it that are kept always. */
  const window = emptySize();
  const carried = emptySize();
  const rescued = createRescued();
  /** Units that reach across the cut, or did: each member is processed once, however often its unit grows. */
  const parts = new WeakMap<Unit, Part>();
  /** The message that asked for the turn that was cut inside; -1 for none. */
  let anchor = -1;
  const anchorSize = emptySize();

  function extend(unit: Unit | undefined): void {
    if (unit === undefined) return;
    const { members, pinned } = unit;
    if (!pinned && unit.first >= cut) return;
    for (const other of unit.absorbed) rescued.release(other);
    unit.absorbed.length = 0;
    rescued.release(unit);
    let part = parts.get(unit);
    if (part?.pinned !== pinned) parts.set(unit, (part = { counted: 0, pinned, before: emptySize() }));
    for (; part.counted < members.length; part.counted++) {
      const index = members[part.counted] as number;
      if (index < base || index >= count || always[index] === 1) continue;
      if (pinned) {
        always[index] = 1;
        if (index < cut) weights.change(carried, index, 1);
      } else if (index < cut && index !== anchor) weights.change(part.before, index, 1);
    }
    rescued.add(unit, part);
  }

  function total(): MutableSize {
    const all = emptySize();
    for (const part of [window, carried, rescued.size, anchorSize]) addTo(all, part, 1);
    return all;
  }

  function sizesUntil(end: number): (start: number) => MutableSize {
    const width = end - cut + 1;
    const gone = new Float64Array(3 * width);
    const drop = (lastNeeded: number, ofItems: number, ofTurns: number, ofTokens: number): void => {
      const slot = 3 * (Math.max(cut, lastNeeded + 1) - cut);
      if (slot >= gone.length) return;
      gone[slot] = (gone[slot] as number) + ofItems;
      gone[slot + 1] = (gone[slot + 1] as number) + ofTurns;
      gone[slot + 2] = (gone[slot + 2] as number) + ofTokens;
    };
    for (const [unit, { before }] of rescued.units) {
      drop(unit.last, before.items, before.turns, before.tokens);
    }
    if (anchor >= 0) drop(anchor, anchorSize.items, anchorSize.turns, anchorSize.tokens);
    for (let index = cut; index < end; index++) {
      if (always[index] === 1) continue;
      drop(structure.neededUntil(index), 1, turns[index] as number, tokens[index] as number);
    }
    for (let slot = 3; slot < gone.length; slot++) {
      gone[slot] = (gone[slot] as number) + (gone[slot - 3] as number);
    }
    const all = total();
    return (start: number) => {
      const slot = 3 * (start - cut);
      return {
        items: all.items - (gone[slot] as number),
        turns: all.turns - (gone[slot + 1] as number),
        tokens: all.tokens - (gone[slot + 2] as number),
      };
    };
  }

  function moveTo(start: number, newAnchor: number): void {
    for (const unit of rescued.units.keys()) if (unit.last < start) rescued.release(unit);
    for (let index = cut; index < start; index++) {
      weights.change(window, index, -1);
      if (always[index] === 1) {
        weights.change(carried, index, 1);
        continue;
      }
      const unit = structure.unit(index);
      if (unit === undefined) continue;
      let part = parts.get(unit);
      if (part === undefined) {
        if (unit.last < start) continue;
        parts.set(unit, (part = { counted: unit.members.length, pinned: unit.pinned, before: emptySize() }));
      }
      // A unit that grows later needs its size, although it is dropped now.
      rescued.release(unit);
      weights.change(part.before, index, 1);
      if (unit.last >= start) rescued.add(unit, part);
    }
    cut = start;
    anchor = newAnchor;
    Object.assign(anchorSize, newAnchor < 0 ? emptySize() : weights.sizeOf(newAnchor));
  }

  return {
    start: () => cut,
    add: (index) => weights.change(window, index, 1),
    extend,
    total,
    sizesUntil,
    moveTo,
    keeps: (index) =>
      index >= base &&
      (index >= cut || always[index] === 1 || index === anchor || structure.neededUntil(index) >= cut),
  };
}
