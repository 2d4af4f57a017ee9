import type { AgentInputItem, Session } from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { StrongroomError } from '../errors.ts';
import { checkOptions, invalidOption, parseCount } from '../options.ts';
import { itemKey } from '../protocol/item.ts';
import { hasTransactions } from './replace-oldest.ts';
import { createStructure, isUserMessage } from './structure.ts';

/** The result of {@link undoTurn} and {@link rewindTo}. */
export interface RewindReport {
  /** The removed items, oldest first: a "redo" would add them again. */
  readonly removed: readonly AgentInputItem[];
  /** How many items are left. */
  readonly left: number;
}

/**
 * Removes the last turns of a session: the last user message and everything after it. Call it between runs. In one
 * transaction where the session has them; elsewhere item by item with `popItem`, where a failure can leave a part: an
 * item that another writer appended meanwhile is put back (with a new time), and the error says how many were removed.
 *
 * @param turns How many turns, from 1 on; a larger number removes all of them.
 * @throws StrongroomError `ERR_INVALID_OPTION`; `ERR_CONFLICT` when the session changed meanwhile.
 *
 * @example
 * ```ts
 * import { Agent, run, type Session } from '@openai/agents';
 * import { undoTurn } from 'strongroom/history';
 *
 * export async function regenerate(agent: Agent, session: Session): Promise<unknown> {
 *   const { removed } = await undoTurn(session);
 *   const [question] = removed;
 *   return question === undefined ? undefined : run(agent, [question], { session });
 * }
 * ```
 */
export async function undoTurn(session: Session, turns: number = 1): Promise<RewindReport> {
  const where = 'undoTurn()';
  parseCount(where, 'turns', turns);
  const items = await session.getItems();
  const starts = [...items.keys()].filter((index) => isUserMessage(items[index] as AgentInputItem));
  const start = starts.at(-turns) ?? starts[0] ?? items.length;
  return removeFrom(where, session, items, start);
}

/** Where {@link rewindTo} goes back to. */
export interface RewindTarget {
  /** Keep this many turns, from 0 on, with the items before the first one. */
  readonly turns?: number;
  /** Keep at most this many items, from 0 on: fewer where that would separate a call from its result. */
  readonly items?: number;
}

/**
 * Removes everything after a point from a session. Otherwise like {@link undoTurn}.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION` unless exactly one of `turns` and `items` is given; `ERR_CONFLICT`.
 *
 * @example
 * ```ts
 * import type { Session } from '@openai/agents';
 * import { rewindTo, type RewindReport } from 'strongroom/history';
 *
 * export const startOver = (session: Session): Promise<RewindReport> => rewindTo(session, { turns: 0 });
 * ```
 */
export async function rewindTo(session: Session, target: RewindTarget): Promise<RewindReport> {
  const where = 'rewindTo()';
  checkOptions(where, target, ['turns', 'items']);
  const items = await session.getItems();
  return removeFrom(where, session, items, rewindIndex(where, items, target));
}

/** Index of the first item after the target. */
export function rewindIndex(where: string, items: readonly AgentInputItem[], target: RewindTarget): number {
  const { turns, items: wanted } = target;
  if ((turns === undefined) === (wanted === undefined)) {
    invalidOption(where, 'the target', 'either turns or items', target);
  }
  for (const [name, value] of Object.entries(target)) {
    if (!Number.isSafeInteger(value) || (value as number) < 0) {
      invalidOption(where, name, 'a whole number of at least 0', value);
    }
  }
  if (turns !== undefined) {
    const starts = [...items.keys()].filter((index) => isUserMessage(items[index] as AgentInputItem));
    return starts[turns] ?? items.length;
  }
  return wholeUnits(items, Math.min(wanted as number, items.length));
}

/** The last index up to `wanted` that no unit reaches across. */
function wholeUnits(items: readonly AgentInputItem[], wanted: number): number {
  const structure = createStructure();
  for (const item of items) structure.add(item);
  let best = 0;
  let needed = -1;
  for (let index = 0; index <= wanted; index++) {
    if (needed < index) best = index;
    if (index < items.length) needed = Math.max(needed, structure.neededUntil(index));
  }
  return best;
}

async function removeFrom(
  where: string,
  session: Session,
  items: readonly AgentInputItem[],
  start: number,
): Promise<RewindReport> {
  const removed = items.slice(start);
  if (removed.length === 0) return { removed, left: items.length };
  if (hasTransactions(session)) {
    await session.applyHistoryTransaction({
      operationId: `strongroom-rewind-${randomName()}`,
      transaction: { type: 'replace_suffix', expectedSuffix: removed, replacement: [] },
    });
    return { removed, left: start };
  }
  for (const [done, expected] of removed.toReversed().entries()) {
    const popped = await session.popItem();
    if (popped === undefined || itemKey(popped) !== itemKey(expected)) {
      await refuse(session, popped, `${where} removed ${done} of ${removed.length} items, and`, done);
    }
  }
  return { removed, left: start };
}

/** Puts back what another writer had appended. */
async function refuse(
  session: Session,
  popped: AgentInputItem | undefined,
  what: string,
  done: number,
): Promise<never> {
  const hint = 'Read the history before you rewind again.';
  try {
    if (popped !== undefined) await session.addItems([popped]);
  } catch (cause) {
    throw new StrongroomError(
      'ERR_STORE',
      `${what} the last item of another writer, which could not be put back. ${hint}`,
      { cause, written: 'unknown' },
    );
  }
  const found =
    popped === undefined
      ? 'the session ended early: another writer removed items at the same time.'
      : 'put back the item of another writer, who appended it at the same time.';
  throw new StrongroomError('ERR_CONFLICT', `${what} ${found} ${hint}`, {
    written: done === 0 ? 'no' : 'unknown',
  });
}
