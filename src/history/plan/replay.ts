import type { AgentInputItem } from '@openai/agents';
import { isSystemMessage, isUserMessage, type Structure, type Unit } from '../structure.ts';
import type { PlanSettings } from './settings.ts';
import { fits, type HistorySize, type MutableSize } from './size.ts';
import { createWeights } from './weights.ts';
import { createWindow } from './window.ts';

/** A history, item by item and turn by turn, with the cut that it has led to. */
export interface Replay {
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

export function createReplay(
  count: number,
  base: number,
  settings: PlanSettings,
  structure: Structure,
): Replay {
  const { high, low, counter, pin, onOverflow } = settings;
  const weights = createWeights(count);
  const { turns, tokens, always } = weights;
  const window = createWindow(count, base, weights, structure);
  let overflow = false;

  /**
   * The last steps of a turn that is larger than the budget, with the message that asked for them where that fits:
   * without it, the model's actions have no visible cause.
   */
  function splitTurn(turn: number, end: number, sizeFrom: (start: number) => MutableSize): void {
    const asks =
      turns[turn] === 1 && always[turn] === 0 && structure.unit(turn) === undefined ? [turn, -1] : [-1];
    for (const ask of asks) {
      for (let start = turn + 1; start <= end; start++) {
        const size = sizeFrom(start);
        if (ask >= 0) weights.change(size, ask, 1);
        if (!fits(size, high)) continue;
        window.moveTo(start, ask);
        return;
      }
    }
    window.moveTo(end, -1);
  }

  return {
    add(item, index) {
      const unit = structure.add(item);
      if (index < base) return;
      if (isUserMessage(item)) turns[index] = 1;
      if (counter !== undefined) tokens[index] = counter(item);
      window.add(index);
      if (isSystemMessage(item) || item.type === 'compaction') always[index] = 1;
      if (pin?.(item, index) === true) {
        always[index] = 1;
        structure.pin(index);
      }
      window.extend(unit);
    },
    extend: (unit) => window.extend(unit),
    endTurn(turn, end) {
      overflow = false;
      if (fits(window.total(), high)) return false;
      const before = window.start();
      const sizeFrom = window.sizesUntil(end);
      for (let start = before + 1; start <= turn; start++) {
        if (turns[start] === 1 && fits(sizeFrom(start), low)) {
          window.moveTo(start, -1);
          return true;
        }
      }
      const fitsWhole = fits(sizeFrom(turn), high);
      overflow = !fitsWhole;
      if (fitsWhole || onOverflow === 'keep') window.moveTo(turn, -1);
      else splitTurn(turn, end, sizeFrom);
      return window.start() !== before;
    },
    start: () => window.start(),
    overflow: () => overflow,
    keeps: (index) => window.keeps(index),
    size: (index) => weights.sizeOf(index),
  };
}
