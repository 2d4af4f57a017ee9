import type { AgentInputItem } from '@openai/agents';
import { createReplay } from './plan/replay.ts';
import type { PlanSettings } from './plan/settings.ts';
import type { HistorySize } from './plan/size.ts';
import { createStructure, isUserMessage } from './structure.ts';

/** Where the window begins, and which earlier items stay. */
export interface Cut {
  /** Index of the first item of the window. */
  readonly index: number;
  /** Index of the compaction item that replaces all before it, else 0. */
  readonly base: number;
  /** The last turn does not fit the budget by itself. */
  readonly overflow: boolean;
  /** The end of the last turn moved the cut, so the prefix differs from that of the previous turn. */
  readonly moved: boolean;
  /** Whether an item of the history stays in front of the new input. */
  keeps(index: number): boolean;
  /** Items that a provider would refuse wherever the cut is. */
  readonly orphans: ReadonlySet<number>;
  /** The size of one item. */
  size(index: number): HistorySize;
}

/**
 * Where to cut, by replaying the history from its oldest item: whenever a turn ends and the window is above the high
 * mark, its start moves to the first turn from which on it is at or below the low mark. The result depends on the
 * items alone and a cut never on later items, so every process finds the same one, and between two cuts the kept
 * prefix stays the same byte by byte, as prompt caches require.
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
