import type { AgentInputItem } from '@openai/agents';
import { createStructure, isSystemMessage, isUserMessage, type Structure, type Unit } from './structure.ts';
import type { TokenCounter } from './token-counter.ts';

/** An amount of history. `tokens` is 0 where no budget needs them counted. */
export interface HistorySize {
  readonly items: number;
  /** User messages: each starts a turn. */
  readonly turns: number;
  readonly tokens: number;
}

/** Options after their checks. An absent limit is `Infinity`. */
export interface PlanSettings {
  /** The budget. */
  readonly high: HistorySize;
  /** What a cut leaves at most. */
  readonly low: HistorySize;
  readonly counter?: TokenCounter;
  readonly pin?: (item: AgentInputItem, index: number) => boolean;
  /** What happens to a last turn that is larger than the budget by itself. */
  readonly onOverflow: 'split' | 'keep';
}

/** Where the window begins, and what of before it stays. */
export interface Cut {
  /** Index of the first item of the window. */
  readonly index: number;
  /** Index of the compaction item that replaces all before it, else 0. */
  readonly base: number;
  /** The last turn does not fit the budget by itself. */
  readonly overflow: boolean;
  /** The end of the last turn moved the cut, so the prefix is another one than at the turn before. */
  readonly moved: boolean;
  /** Whether an item of the history stays in front of the new input. */
  keeps(index: number): boolean;
  /** Items that a provider would refuse wherever the cut is. */
  readonly orphans: ReadonlySet<number>;
  /** What one item adds to a {@link HistorySize}. */
  size(index: number): HistorySize;
}

/**
 * Where to cut, by replaying the history from its oldest item: whenever a turn ends and the window is above the high
 * mark, its start moves to the first turn from which on it is at or below the low mark. The result depends on the
 * items alone and a cut never on what comes after it, so every process finds the same one, and between two cuts the
 * kept prefix stays the same byte by byte, which is what prompt caches need.
 *
 * Every item is needed until some index: its own, the last of its unit (the result of a call), or without end (system
 * messages, pinned units). A window that starts at `p` keeps exactly the items that are needed from `p` on, so no
 * start can split a unit, and the sizes for all possible starts are one running sum.
 */
export function findCut(
  history: readonly AgentInputItem[],
  newItems: readonly AgentInputItem[],
  settings: PlanSettings,
): Cut {
  const count = history.length;
  const base = Math.max(
    0,
    history.findLastIndex((item) => item.type === 'compaction'),
  );
  const structure = createStructure();
  const replay = createReplay(count, base, settings, structure);
  let turn = base;
  for (let index = 0; index < count; index++) {
    const item = history[index] as AgentInputItem;
    const startsTurn = isUserMessage(item);
    if (startsTurn && index > base) {
      replay.endTurn(turn, index);
      turn = index;
    }
    replay.add(item, index);
  }
  for (const item of newItems) replay.extend(structure.add(item));
  const moved = replay.endTurn(turn, count);
  const orphans = structure.orphans(count);
  return {
    index: replay.start(),
    base,
    overflow: replay.overflow(),
    moved,
    keeps: (index: number) => replay.keeps(index) && !orphans.has(index),
    orphans,
    size: (index: number) => replay.size(index),
  };
}

interface Replay {
  add(item: AgentInputItem, index: number): void;
  /** New input joined a unit. */
  extend(unit: Unit | undefined): void;
  /** The turn that started at `turn` ends before `end`. Returns whether the cut moved. */
  endTurn(turn: number, end: number): boolean;
  start(): number;
  overflow(): boolean;
  keeps(index: number): boolean;
  size(index: number): HistorySize;
}

function createReplay(count: number, base: number, settings: PlanSettings, structure: Structure): Replay {
  const { high, low, counter, pin, onOverflow } = settings;
  const turns = new Uint8Array(count);
  const tokens = new Float64Array(count);
  /** Kept wherever the cut is. */
  const always = new Uint8Array(count);
  let cut = base;
  let overflow = false;
  /** The items from the cut on, and those before it that are kept always. */
  const window = emptySize();
  const carried = emptySize();
  /** Units that reach across the cut: their part before it is kept with the rest of them. */
  const rescued = new Map<Unit, Part>();
  const rescuedSize = emptySize();
  /** Units that reach across the cut, or did: each member is looked at once, however often its unit grows. */
  const parts = new WeakMap<Unit, Part>();
  /** The message that asked for the turn that was cut inside; -1 for none. */
  let anchor = -1;
  const anchorSize = emptySize();

  function change(total: MutableSize, index: number, sign: 1 | -1): void {
    total.items += sign;
    total.turns += sign * (turns[index] as number);
    total.tokens += sign * (tokens[index] as number);
  }

  function sizeOf(index: number): HistorySize {
    return { items: 1, turns: turns[index] as number, tokens: tokens[index] as number };
  }

  function release(unit: Unit): void {
    const part = rescued.get(unit);
    if (part === undefined) return;
    rescued.delete(unit);
    addTo(rescuedSize, part.before, -1);
  }

  function rescue(unit: Unit, part: Part): void {
    if (part.before.items === 0) return;
    rescued.set(unit, part);
    addTo(rescuedSize, part.before, 1);
  }

  /** A unit got a member at or behind the cut: those before the cut stay now. */
  function extend(unit: Unit | undefined): void {
    if (unit === undefined) return;
    const { members, pinned } = unit;
    if (!pinned && unit.first >= cut) return;
    for (const other of unit.absorbed) release(other);
    unit.absorbed.length = 0;
    release(unit);
    let part = parts.get(unit);
    if (part?.pinned !== pinned) parts.set(unit, (part = { counted: 0, pinned, before: emptySize() }));
    for (; part.counted < members.length; part.counted++) {
      const index = members[part.counted] as number;
      if (index < base || index >= count || always[index] === 1) continue;
      if (pinned) {
        always[index] = 1;
        if (index < cut) change(carried, index, 1);
      } else if (index < cut && index !== anchor) change(part.before, index, 1);
    }
    rescue(unit, part);
  }

  function total(): MutableSize {
    const all = emptySize();
    for (const part of [window, carried, rescuedSize, anchorSize]) addTo(all, part, 1);
    return all;
  }

  /** For each start from the cut to `end`: what the window would weigh. */
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
    for (const [unit, { before }] of rescued) drop(unit.last, before.items, before.turns, before.tokens);
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
    for (const unit of rescued.keys()) if (unit.last < start) release(unit);
    for (let index = cut; index < start; index++) {
      change(window, index, -1);
      if (always[index] === 1) {
        change(carried, index, 1);
        continue;
      }
      const unit = structure.unit(index);
      if (unit === undefined) continue;
      let part = parts.get(unit);
      if (part === undefined) {
        if (unit.last < start) continue;
        parts.set(unit, (part = { counted: unit.members.length, pinned: unit.pinned, before: emptySize() }));
      }
      // What grows later needs its size although it goes for now.
      release(unit);
      change(part.before, index, 1);
      if (unit.last >= start) rescue(unit, part);
    }
    cut = start;
    anchor = newAnchor;
    Object.assign(anchorSize, newAnchor < 0 ? emptySize() : sizeOf(newAnchor));
  }

  /**
   * The last steps of a turn that is larger than the budget, with the message that asked for them where that fits:
   * without it, what the model did has no visible cause.
   */
  function splitTurn(turn: number, end: number, sizeFrom: (start: number) => MutableSize): boolean {
    const asks =
      turns[turn] === 1 && always[turn] === 0 && structure.unit(turn) === undefined ? [turn, -1] : [-1];
    for (const ask of asks) {
      for (let start = turn + 1; start <= end; start++) {
        const size = sizeFrom(start);
        if (ask >= 0) change(size, ask, 1);
        if (!fits(size, high)) continue;
        moveTo(start, ask);
        return true;
      }
    }
    moveTo(end, -1);
    return false;
  }

  return {
    add(item: AgentInputItem, index: number): void {
      const unit = structure.add(item);
      if (index < base) return;
      if (isUserMessage(item)) turns[index] = 1;
      if (counter !== undefined) tokens[index] = counter(item);
      change(window, index, 1);
      if (isSystemMessage(item) || item.type === 'compaction') always[index] = 1;
      if (pin?.(item, index) === true) {
        always[index] = 1;
        structure.pin(index);
      }
      extend(unit);
    },
    extend,
    endTurn(turn: number, end: number): boolean {
      overflow = false;
      if (fits(total(), high)) return false;
      const before = cut;
      const sizeFrom = sizesUntil(end);
      for (let start = cut + 1; start <= turn; start++) {
        if (turns[start] === 1 && fits(sizeFrom(start), low)) {
          moveTo(start, -1);
          return true;
        }
      }
      const fitsWhole = fits(sizeFrom(turn), high);
      overflow = !fitsWhole;
      if (fitsWhole || onOverflow === 'keep') moveTo(turn, -1);
      else splitTurn(turn, end, sizeFrom);
      return cut !== before;
    },
    start: () => cut,
    overflow: () => overflow,
    keeps: (index: number) =>
      index >= base &&
      (index >= cut || always[index] === 1 || index === anchor || structure.neededUntil(index) >= cut),
    size: sizeOf,
  };
}

/** The part of a unit that stands before the cut. */
interface Part {
  /** How many of the members have been looked at; of those behind the cut each joins when the cut passes it. */
  counted: number;
  readonly pinned: boolean;
  /** What of it nothing else keeps. */
  readonly before: MutableSize;
}

interface MutableSize {
  items: number;
  turns: number;
  tokens: number;
}

function addTo(total: MutableSize, part: HistorySize, sign: 1 | -1): void {
  total.items += sign * part.items;
  total.turns += sign * part.turns;
  total.tokens += sign * part.tokens;
}

function emptySize(): MutableSize {
  return { items: 0, turns: 0, tokens: 0 };
}

export function fits(size: HistorySize, limit: HistorySize): boolean {
  return size.items <= limit.items && size.turns <= limit.turns && size.tokens <= limit.tokens;
}
