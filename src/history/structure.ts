import type { AgentInputItem } from '@openai/agents';
import { createLinkMatcher, isResult, type LinkMatcher } from '../protocol/links.ts';

/** Items that a provider accepts only together: all of them are kept or all are dropped. */
export interface Unit {
  /** Grows at its end only; empty once the unit has become part of another one. */
  readonly members: number[];
  /** The units that became part of this one; code that keeps data about units empties it. */
  readonly absorbed: Unit[];
  /** Indexes of the first and the last member. */
  first: number;
  last: number;
  /** A pinned item keeps its whole unit. */
  pinned: boolean;
}

/**
 * Finds the units of a history in one pass. It never looks ahead: the result for the first n items does not change
 * when more are added, except that a unit can grow.
 */
export interface Structure {
  /** Takes the next item. Returns its unit if the item grew one. */
  add(item: AgentInputItem): Unit | undefined;
  /** Pins the unit of an item, now and as it grows. */
  pin(index: number): void;
  /** The unit of an item, `undefined` when it has none. */
  unit(index: number): Unit | undefined;
  /** The index of the last item that needs this one: its own for an item without a unit. */
  neededUntil(index: number): number;
  /**
   * The items that a provider would refuse, among the first `count`: results without a call, calls without a
   * result, reasoning without the next item, items of a missing program. Items from `count` on are input of this
   * run: they answer calls, and are never included.
   */
  orphans(count: number): Set<number>;
}

/** Starts a turn: everything up to the next user message belongs to it. */
export function isUserMessage(item: AgentInputItem): boolean {
  return (item as { role?: unknown }).role === 'user';
}

export function isSystemMessage(item: AgentInputItem): boolean {
  return (item as { role?: unknown }).role === 'system';
}

/** Written by the model; the rest is input to it: messages of others, and results. */
function isOutput(item: AgentInputItem): boolean {
  const role = (item as { role?: unknown }).role;
  if (role !== undefined) return role === 'assistant';
  return item.type !== 'compaction' && item.type !== 'message' && !isResult(item);
}

/**
 * Neighbours from one response of the model. Reasoning needs the next item; parallel calls and the text that
 * announces them belong together. Two messages, or reasoning after a message, do not.
 */
function isOneResponse(before: AgentInputItem, item: AgentInputItem): boolean {
  if (!isOutput(before) || !isOutput(item)) return false;
  return !('role' in before) || (!('role' in item) && item.type !== 'reasoning');
}

export function createStructure(): Structure {
  const items: AgentInputItem[] = [];
  const units: (Unit | undefined)[] = [];
  /** For a result its call, for a call its result; `-1` for a result without a call. */
  const partner: (number | undefined)[] = [];
  const owner: (number | undefined)[] = [];
  const calls = new Set<number>();
  const matcher: LinkMatcher = createLinkMatcher();

  /** The smaller unit goes into the larger one, so that no item is moved more often than a logarithm. */
  function join(first: number, second: number): Unit {
    const left = units[first];
    const right = units[second];
    if (left !== undefined && left === right) return left;
    const leftIsLarger = (left?.members.length ?? 1) >= (right?.members.length ?? 1);
    const into = (leftIsLarger ? left : right) ?? left ?? right ?? newUnit([first, second]);
    absorb(into, first);
    absorb(into, second);
    return into;
  }

  /** Adds an item and its unit to another unit. */
  function absorb(into: Unit, index: number): void {
    const unit = units[index];
    if (unit === into) return;
    if (unit === undefined) {
      units[index] = into;
      into.members.push(index);
      into.first = Math.min(into.first, index);
      into.last = Math.max(into.last, index);
      return;
    }
    for (const member of unit.members) {
      units[member] = into;
      into.members.push(member);
    }
    into.absorbed.push(unit);
    for (const other of unit.absorbed) into.absorbed.push(other);
    unit.members.length = 0;
    unit.absorbed.length = 0;
    into.first = Math.min(into.first, unit.first);
    into.last = Math.max(into.last, unit.last);
    into.pinned ||= unit.pinned;
  }

  function newUnit(members: number[]): Unit {
    const unit: Unit = {
      members,
      absorbed: [],
      first: members[0] as number,
      last: members.at(-1) as number,
      pinned: false,
    };
    for (const member of members) units[member] = unit;
    return unit;
  }

  return {
    add(item: AgentInputItem): Unit | undefined {
      const index = items.push(item) - 1;
      const { opens, closes, owner: program } = matcher.add(item, index);
      if (opens) calls.add(index);
      let unit: Unit | undefined;
      const before = items[index - 1];
      if (before !== undefined && isOneResponse(before, item)) unit = join(index - 1, index);
      if (closes !== undefined) {
        partner[index] = closes;
        if (closes >= 0) {
          partner[closes] = index;
          unit = join(closes, index);
        }
      }
      if (program !== undefined) {
        owner[index] = program;
        if (program >= 0) unit = join(program, index);
      }
      return unit;
    },

    pin(index: number): void {
      (units[index] ?? newUnit([index])).pinned = true;
    },
    unit: (index: number) => units[index],
    neededUntil: (index: number) => units[index]?.last ?? index,

    orphans(count: number): Set<number> {
      const orphans = new Set<number>();
      const drop = (index: number): void => {
        if (index >= count || orphans.has(index)) return;
        orphans.add(index);
        const other = partner[index];
        if (other !== undefined && other >= 0) drop(other);
      };
      const continued = (index: number): boolean => (units[index]?.last ?? index) >= count;
      for (let index = 0; index < count; index++) {
        if (partner[index] === -1 || owner[index] === -1) drop(index);
        else if (partner[index] === undefined && calls.has(index)) {
          // A program that this run's input continues is still running.
          if ((items[index] as AgentInputItem).type !== 'program' || !continued(index)) drop(index);
        }
      }
      for (let index = 0; index < count; index++) {
        const program = owner[index];
        if (program !== undefined && orphans.has(program)) drop(index);
      }
      for (let index = count - 1; index >= 0; index--) {
        if ((items[index] as AgentInputItem).type !== 'reasoning') continue;
        const follower = items[index + 1];
        if (follower === undefined || !isOutput(follower) || orphans.has(index + 1)) drop(index);
      }
      return orphans;
    },
  };
}
