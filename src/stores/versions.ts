import { LRUCache } from 'lru-cache';
import type { HistoryVersion, VersionAnswer, VersionSource } from '../layer.ts';
import type { StoreDriver } from './driver.ts';
import type { Since } from './marks.ts';

/** Under this symbol a session of a store tells which state its history is in. */
export const VERSION: unique symbol = Symbol.for('strongroom.version') as never;

/** Sessions whose version is kept in memory; of others it is asked for. */
const MOST = 10_000;

/**
 * Versions of histories. While the database announces changes by itself, an answer is kept until a change is announced,
 * so that nobody asks again before something changed. An announcement is never believed to say what changed: it can only
 * make somebody ask.
 */
export function createVersions(
  driver: Pick<StoreDriver, 'announcements' | 'version'>,
): (sessionId: string) => Omit<VersionSource, 'stepOf'> {
  const kept = new LRUCache<string, { version?: HistoryVersion }>({ max: MOST });
  let live = false;
  let listening = false;

  /** Not before somebody wants to know: a store connects when it is used. */
  function listen(): void {
    if (listening) return;
    listening = true;
    driver.announcements?.listen({
      live(now) {
        live = now;
        kept.clear();
      },
      changed: (sessionId) => void kept.delete(sessionId),
    });
  }

  async function ask(sessionId: string, since?: Since): Promise<VersionAnswer> {
    listen();
    // What is announced while the answer is under way removes this, so that an old answer is not kept.
    const asked: { version?: HistoryVersion } = {};
    if (live) kept.set(sessionId, asked);
    const answer = await driver.version(sessionId, since);
    if (kept.get(sessionId) === asked) asked.version = answer.version;
    return answer;
  }

  return (sessionId) => ({
    known: () => kept.get(sessionId)?.version,
    read: async () => (await ask(sessionId)).version,
    compare: (version, steps) => ask(sessionId, { version, steps }),
  });
}
