import type { AgentInputItem } from '@openai/agents';
import { defined } from '../../defined.ts';
import { StrongroomError } from '../../errors.ts';
import { invalidOption } from '../../options.ts';
import { rewindIndex, type RewindTarget } from '../rewind.ts';
import { isUserMessage } from '../structure.ts';

/** Where a branch leaves the conversation; at its end when nothing is given, else by one of the four. */
export interface BranchPoint extends RewindTarget {
  /** Before this turn, counted from 1: the branch has the items before it, and the turn can be repeated. */
  readonly turn?: number;
  /** Before the first turn whose message contains this text, ignoring case. */
  readonly content?: string;
}

const NAMES = ['turns', 'items', 'turn', 'content'] as const;

/** Whether no point is given. */
export function isWhole(options: BranchPoint): boolean {
  return NAMES.every((name) => options[name] === undefined);
}

/** How many of the items a branch begins with. */
export function parsePoint(
  where: string,
  options: BranchPoint,
): (items: readonly AgentInputItem[]) => number {
  const { turns, items, turn, content } = options;
  const given = NAMES.filter((name) => options[name] !== undefined);
  if (given.length > 1)
    invalidOption(where, 'the point', 'at most one of turns, items, turn and content', given);
  if (turn !== undefined) {
    if (!Number.isSafeInteger(turn) || turn < 1)
      invalidOption(where, 'turn', 'a whole number of at least 1', turn);
    return (list) =>
      startsOf(list)[turn - 1] ??
      notFound(
        `${where}: there is no turn ${turn}, the branch that it is made from has ${startsOf(list).length}. Choose one of those.`,
      );
  }
  if (content !== undefined) {
    if (typeof content !== 'string' || content === '')
      invalidOption(where, 'content', 'a non-empty text', typeof content);
    const wanted = content.toLowerCase();
    return (list) =>
      startsOf(list).find((start) =>
        textOf(list[start] as AgentInputItem)
          .toLowerCase()
          .includes(wanted),
      ) ??
      // The text can be content, so the message does not quote it.
      notFound(
        `${where}: no message of a user contains the content that was given. Look for another text, or give turn.`,
      );
  }
  if (isWhole(options)) return (list) => list.length;
  const target = defined({ turns, items });
  rewindIndex(where, [], target);
  return (list) => rewindIndex(where, list, target);
}

/** The index of the message with which each turn begins. */
export function startsOf(items: readonly AgentInputItem[]): number[] {
  return [...items.keys()].filter((index) => isUserMessage(items[index] as AgentInputItem));
}

function notFound(message: string): never {
  throw new StrongroomError('ERR_INVALID_OPTION', message);
}

function textOf(item: AgentInputItem): string {
  const { content } = item as { readonly content?: unknown };
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map(({ text }: { readonly text?: unknown }) => (typeof text === 'string' ? text : ''))
    .join('\n');
}
