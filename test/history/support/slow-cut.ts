import type { AgentInputItem } from '@openai/agents';
import type { PlanSettings } from '../../../src/history/plan/settings.ts';
import { fits, type HistorySize } from '../../../src/history/plan/size.ts';
import { createStructure, isSystemMessage, isUserMessage } from '../../../src/history/structure.ts';

/**
 * The rule of `findCut`, written for reading and not for speed: at each end of a turn everything is weighed anew. Returns
 * the indexes that stay.
 */
export function slowCut(
  history: readonly AgentInputItem[],
  newItems: readonly AgentInputItem[],
  { high, low, counter, pin, onOverflow }: PlanSettings,
): { readonly cut: number; readonly kept: readonly number[] } {
  const base = Math.max(
    0,
    history.findLastIndex((item) => item.type === 'compaction'),
  );
  let cut = base;
  let anchor = -1;
  let keptNow: (start: number, ask: number) => number[] = () => [];

  const weigh = (indexes: readonly number[]): HistorySize => ({
    items: indexes.length,
    turns: indexes.filter((index) => isUserMessage(history[index] as AgentInputItem)).length,
    tokens: indexes.reduce((sum, index) => sum + (counter?.(history[index] as AgentInputItem) ?? 0), 0),
  });

  const endTurn = (turn: number, end: number, input: readonly AgentInputItem[]): void => {
    const structure = createStructure();
    const always = new Set<number>();
    for (let index = 0; index < end; index++) {
      const item = history[index] as AgentInputItem;
      structure.add(item);
      if (index < base) continue;
      if (isSystemMessage(item) || item.type === 'compaction') always.add(index);
      if (pin?.(item, index) === true) {
        always.add(index);
        structure.pin(index);
      }
    }
    for (const item of input) structure.add(item);
    const stays = (index: number, start: number, ask: number): boolean =>
      index >= start ||
      index === ask ||
      always.has(index) ||
      structure.unit(index)?.pinned === true ||
      structure.neededUntil(index) >= start;
    keptNow = (start, ask) => {
      const kept: number[] = [];
      for (let index = base; index < end; index++) if (stays(index, start, ask)) kept.push(index);
      return kept;
    };
    const size = (start: number, ask = -1): HistorySize => weigh(keptNow(start, ask));
    if (fits(size(cut, anchor), high)) return;
    const move = (start: number, ask = -1): void => {
      cut = start;
      anchor = ask;
    };
    for (let start = cut + 1; start <= turn; start++) {
      if (isUserMessage(history[start] as AgentInputItem) && fits(size(start), low)) return move(start);
    }
    if (fits(size(turn), high) || onOverflow === 'keep') return move(turn);
    const asks =
      isUserMessage(history[turn] as AgentInputItem) && !stays(turn, end + 1, -1) ? [turn, -1] : [-1];
    for (const ask of asks) {
      for (let start = turn + 1; start <= end; start++)
        if (fits(size(start, ask), high)) return move(start, ask);
    }
    move(end);
  };

  let turn = base;
  for (let index = base + 1; index < history.length; index++) {
    if (!isUserMessage(history[index] as AgentInputItem)) continue;
    endTurn(turn, index, []);
    turn = index;
  }
  endTurn(turn, history.length, newItems);
  return { cut, kept: keptNow(cut, anchor) };
}
