import { toBase64url, utf8 } from '../../crypto/encoding.ts';
import { sha256 } from '../../crypto/hash.ts';
import { defined } from '../../defined.ts';
import { derivedId } from '../../derived-id.ts';
import type { Maintenance } from '../../stores/maintenance.ts';
import type { ErasedSession } from './report.ts';
import { ownErasure } from './tombstones.ts';

/** A session that an erasure is about to remove. */
export interface Removal {
  readonly session: ErasedSession;
  /** The time of its newest record or data key. */
  readonly newest?: number | undefined;
}

interface NotedRemoval extends Removal {
  /** Unix milliseconds. */
  readonly at: number;
}

interface RemovalNote {
  readonly removals: readonly NotedRemoval[];
}

/**
 * What an erasure removes, noted in the database of the rows until it ends, so that a repeat after an interruption
 * reports it: the rows that led there are gone. The notes are in sessions of a kind of their own, under the hash of
 * the subject or id, and hold ids and counts.
 */
export interface Unfinished {
  /** What interrupted calls of the same erasure have removed. */
  before(): Promise<readonly Removal[]>;
  /** Called before they are removed, after {@link Unfinished.before}. */
  note(removals: readonly Removal[]): Promise<void>;
  /** The erasure has ended. */
  end(): Promise<void>;
}

/** How many notes a session takes: an append reads those that are there. */
const MOST = 50;

export function createUnfinished(
  maintenance: Maintenance,
  about: { readonly subject: string } | { readonly sessionId: string },
): Unfinished {
  const { notes, dekStore } = maintenance;
  const of = toBase64url(sha256(utf8(JSON.stringify(about))));
  const idOf = (number: number): string => derivedId({ kind: 'erasing', name: `${number}`, of });
  /** Sessions of earlier calls, which this one only reads. */
  let first = 0;
  let written = 0;
  return {
    async before() {
      const removed: Removal[] = [];
      for (; ; first++) {
        const found = (await notes.read(idOf(first))) as readonly RemovalNote[];
        if (found.length === 0) break;
        for (const removal of found.flatMap(({ removals }) => removals)) {
          // Otherwise the call ended before it removed this one.
          const erasedAt = await ownErasure(dekStore, removal.session.id);
          if (erasedAt !== undefined && erasedAt >= removal.at) removed.push(removal);
        }
      }
      return removed;
    },
    async note(removals) {
      const at = maintenance.now();
      const note: RemovalNote = {
        removals: removals.map(({ session, newest }) => defined({ session, newest, at })),
      };
      await notes.append(
        idOf(first + Math.floor(written++ / MOST)),
        () => note,
        (all) => ({ removals: (all as readonly RemovalNote[]).flatMap((each) => each.removals) }),
      );
    },
    async end() {
      for (let number = first + Math.ceil(written / MOST) - 1; number >= 0; number--)
        await maintenance.drop(idOf(number));
    },
  };
}
