/** How long a conversation stays open. */
const OPEN_FOR = 15 * 60_000;
const LONGEST_REASON = 500;

/** The conversations that a person has opened, each with the reason that was given. */
export interface OpenedConversations {
  /** Returns what is wrong with the reason, and opens nothing then. */
  open(id: string, reason: string): string | undefined;
  /** The reason; `undefined` for a conversation that is sealed. */
  reasonFor(id: string): string | undefined;
  close(id: string): void;
}

/** @param now Unix milliseconds. */
export function openedConversations(now: () => number): OpenedConversations {
  const opened = new Map<string, { readonly reason: string; readonly until: number }>();
  return {
    open(id, given) {
      const reason = given.replaceAll(/\s+/g, ' ').trim();
      if (!/\p{L}.*\p{L}.*\p{L}/u.test(reason) || reason.length > LONGEST_REASON) {
        return `Give a reason in words, at most ${LONGEST_REASON} characters: it becomes part of the audit log.`;
      }
      opened.set(id, { reason, until: now() + OPEN_FOR });
      return undefined;
    },
    reasonFor(id) {
      const found = opened.get(id);
      if (found !== undefined && found.until > now()) return found.reason;
      opened.delete(id);
      return undefined;
    },
    close: (id) => void opened.delete(id),
  };
}
