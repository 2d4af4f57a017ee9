/** What the indexes over all sessions must say of some records: at most these scores, and this owner. */
export interface Entries {
  /** The earliest birth, in Unix milliseconds; `Infinity` without records. */
  readonly birth: number;
  /** The earliest expiry, in Unix milliseconds; `Infinity` when none expires. */
  readonly expiry: number;
  readonly subject: string | undefined;
}

/** What this process knows of the indexes, so that an append need not write what they have already. */
export interface Indexed {
  /** The generation in which the indexes are known to have these entries, or lower ones. */
  generation(sessionId: string, entries: Entries): string | undefined;
  /** Records with these entries are in the session, in this generation, and the indexes had them afterwards. */
  note(sessionId: string, generation: string, entries: Entries): void;
  forget(sessionId: string): void;
}

/**
 * While a generation lasts no record goes. So what is noted stays the least at most, and a purge, which sets a score to
 * the least, does not set it higher.
 *
 * @param limit Sessions that are remembered; the one that was noted first goes first.
 * @param trust Milliseconds after which entries are written again: a failover can lose what an index was told, and the
 * session does not show it.
 */
export function createIndexed(
  limit = 10_000,
  trust = 60_000,
  now: () => number = () => performance.now(),
): Indexed {
  interface Noted extends Entries {
    readonly generation: string;
    readonly until: number;
  }
  const noted = new Map<string, Noted>();
  return {
    generation(sessionId, { birth, expiry, subject }) {
      const known = noted.get(sessionId);
      const covers =
        known !== undefined &&
        known.birth <= birth &&
        known.expiry <= expiry &&
        known.subject === subject &&
        now() < known.until;
      return covers ? known.generation : undefined;
    },
    note(sessionId, generation, entries) {
      noted.delete(sessionId);
      noted.set(sessionId, { ...entries, generation, until: now() + trust });
      if (noted.size > limit) noted.delete(noted.keys().next().value as string);
    },
    forget: (sessionId) => void noted.delete(sessionId),
  };
}
