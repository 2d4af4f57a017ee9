import { holdsConversation } from '../../derived-id.ts';
import type { SessionSummary } from '../../session-contract.ts';
import type { RetentionSettings } from './options.ts';

/** The decision of the rules about a session. */
export interface Verdict {
  /**
   * - `old`: it is deleted with its derived sessions, by its first item.
   * - `silent`: its conversation is deleted, by the last item of all that belongs to it.
   * - `rest`: it is deleted once no session with items of the conversation is left.
   * - `kept`: at most its oldest items are deleted.
   */
  readonly what: 'old' | 'silent' | 'rest' | 'kept';
  /** How many of its oldest items are deleted. */
  readonly excess: number;
}

export interface Judge {
  /** Whether the conversation has items itself. */
  hasRoot(root: string): boolean;
  of(summary: SessionSummary): Verdict;
}

/**
 * A conversation is as young as its youngest derived session: a user may continue in a branch. A derived session is
 * deleted with its conversation, and by its own age; by inactivity only when the conversation no longer exists. Data
 * keys, vaults and registers of branches are needed as long as there is anything of the conversation; then they are judged together, by their
 * last item.
 */
export async function judgeOf(
  sessions: AsyncIterable<SessionSummary>,
  { age, idle, keep }: RetentionSettings,
  now: number,
): Promise<Judge> {
  const lastAt = new Map<string, number>();
  const lastNeeded = new Map<string, number>();
  const roots = new Set<string>();
  const raise = (times: Map<string, number>, root: string, time: number): void =>
    void times.set(root, Math.max(times.get(root) ?? time, time));
  if (age !== undefined || idle !== undefined) {
    for await (const { id, root = id, lastAt: last } of sessions) {
      if (root === id) roots.add(id);
      if (idle !== undefined) raise(lastAt, root, last);
      if (!holdsConversation(id)) raise(lastNeeded, root, last);
    }
  }

  function whatOf({ id, root = id, kind, firstAt }: SessionSummary): Verdict['what'] {
    const isAlone = root !== id && !roots.has(root);
    const isUsed = holdsConversation(id);
    if (age !== undefined && isUsed && firstAt <= now - age) return 'old';
    const isFirst = kind === undefined || isAlone;
    if (idle !== undefined && isFirst && (lastAt.get(root) ?? now) <= now - idle) return 'silent';
    if (age !== undefined && isAlone && !isUsed && (lastNeeded.get(root) ?? now) <= now - age) return 'rest';
    return 'kept';
  }

  return {
    hasRoot: (root) => roots.has(root),
    of(summary) {
      const { kind, items } = summary;
      const isCut = keep !== undefined && (kind === undefined || kind === 'branch');
      return { what: whatOf(summary), excess: isCut ? Math.max(items - keep, 0) : 0 };
    },
  };
}
