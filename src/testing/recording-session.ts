import type { Session } from '@openai/agents';
import { cloneItem } from '../protocol/item.ts';
import { interceptSession, type SessionMember } from './intercept.ts';

/** One call that reached a recorded session. */
export interface RecordedCall {
  readonly member: string;
  /** Arrays (items) as they were at the time of the call; everything else by reference. */
  readonly args: readonly unknown[];
  /** How many items the call passed. */
  readonly itemsWritten: number;
  /** How many items it returned. */
  readonly itemsRead: number;
  /** Whether the inner session threw. */
  readonly failed: boolean;
}

/** A session whose calls are recorded, see {@link recordingSession}. */
export interface SessionRecording<S extends Session> {
  /** Has exactly the members of the inner session. */
  readonly session: S;
  /** In the order in which the calls ended. */
  readonly calls: readonly RecordedCall[];
  /** How many calls there were, of one member or of all. */
  count(member?: SessionMember): number;
  /** The sum over all calls since the last {@link SessionRecording.reset}. */
  readonly itemsRead: number;
  /** The sum over all calls since the last {@link SessionRecording.reset}. */
  readonly itemsWritten: number;
  /** Deletes the record. */
  reset(): void;
}

/**
 * A session that records its calls: which members are called, with which arguments, and how many items are passed.
 * For tests that count ("a warm read asks for one item") rather than measure time.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { recordingSession } from 'strongroom/testing';
 *
 * const recording = recordingSession(new MemorySession());
 * await recording.session.getItems();
 * console.log(recording.count('getItems'), recording.itemsRead); // 1 0
 * ```
 */
export function recordingSession<S extends Session>(inner: S): SessionRecording<S> {
  let calls: RecordedCall[] = [];
  const session = interceptSession(inner, async ({ member, args }, next) => {
    const known = { member, args: args.map(snapshotArgument), itemsWritten: sum(args.map(countWritten)) };
    try {
      const result: unknown = await next();
      calls.push({ ...known, itemsRead: countRead(result), failed: false });
      return result;
    } catch (error) {
      calls.push({ ...known, itemsRead: 0, failed: true });
      throw error;
    }
  });
  return {
    session,
    get calls() {
      return calls;
    },
    count: (member) => calls.filter((call) => member === undefined || call.member === member).length,
    get itemsRead() {
      return sum(calls.map((call) => call.itemsRead));
    },
    get itemsWritten() {
      return sum(calls.map((call) => call.itemsWritten));
    },
    reset: () => {
      calls = [];
    },
  };
}

function snapshotArgument(argument: unknown): unknown {
  return Array.isArray(argument) || countWritten(argument) > 0 ? cloneItem(argument) : argument;
}

function countWritten(argument: unknown): number {
  if (Array.isArray(argument)) return argument.length;
  const transaction = (
    argument as { transaction?: { items?: unknown[]; replacement?: unknown[] } } | null | undefined
  )?.transaction;
  return (transaction?.items ?? transaction?.replacement ?? []).length;
}

function countRead(result: unknown): number {
  if (Array.isArray(result)) return result.length;
  if (typeof result !== 'object' || result === null) return 0;
  const { items } = result as { items?: unknown };
  return Array.isArray(items) ? items.length : 'type' in result || 'role' in result ? 1 : 0;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
