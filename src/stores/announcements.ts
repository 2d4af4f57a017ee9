import { setTimeout as delay } from 'node:timers/promises';
import { warn } from '../warning.ts';
import { inTime } from './in-time.ts';

/** What a database tells by itself. */
export interface Announcements {
  /** Begins to listen, and goes on until {@link Announcements.close}. Called once. */
  listen(listener: AnnouncementListener): void;
  close(): Promise<void>;
}

/** Who wants to hear it. */
export interface AnnouncementListener {
  /** Somebody changed the session, or may have. */
  readonly changed: (sessionId: string) => void;
  /** From now on every change is told (`true`), or changes may be missed (`false`). Both make void what was told before. */
  readonly live: (now: boolean) => void;
}

/** A connection on which a database tells of changes. */
export interface Channel {
  /** Resolves when an announcement of our own came back over it: a connection can look well and carry nothing. */
  readonly check: () => Promise<void>;
  /** Aborted when the connection is gone; absent where that cannot happen. */
  readonly gone?: AbortSignal;
  readonly close: () => void | Promise<void>;
}

/** How often a channel is checked: what it misses is believed for no longer than this and {@link PATIENCE}. */
const CHECK_EVERY = 5_000;
/** How long a channel may take to open, and an announcement to come back. */
const PATIENCE = 5_000;

/**
 * Announcements over channels: when one is gone or silent the next is opened, and in between nothing counts as told.
 *
 * @param where The store's factory, for the warning that it cannot listen.
 */
export function announcementsOver(
  where: string,
  open: (changed: AnnouncementListener['changed'], everything: () => void) => Promise<Channel>,
): Announcements {
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  let warned = false;

  /** Until the channel is gone, silent, or no longer wanted. */
  async function attend(channel: Channel, listener: AnnouncementListener): Promise<void> {
    const { gone } = channel;
    const over = gone === undefined ? closing.signal : AbortSignal.any([closing.signal, gone]);
    await inTime(channel.check(), PATIENCE);
    listener.live(true);
    while (await passes(CHECK_EVERY, over)) await inTime(channel.check(), PATIENCE);
  }

  async function run(listener: AnnouncementListener): Promise<void> {
    for (let wait = 50; ; wait = Math.min(wait * 2, 5_000)) {
      let channel: Channel | undefined;
      try {
        const opening = open(listener.changed, () => listener.live(true));
        channel = await inTime(opening, PATIENCE, () => {
          opening.then(
            (late) => late.close(),
            () => undefined,
          );
        });
        await attend(channel, listener);
        wait = 50;
      } catch (error) {
        if (!warned && !closing.signal.aborted) {
          warned = true;
          const reason = error instanceof Error ? error.message : 'unknown error';
          warn(
            'STRONGROOM_PUSH',
            `${where}: push: changes are not announced at the moment (${reason}). Until they are, each cached read asks the database.`,
          );
        }
      }
      listener.live(false);
      await Promise.resolve(channel?.close()).catch(() => undefined);
      if (!(await passes(wait, closing.signal))) return;
    }
  }

  return {
    listen(listener) {
      running ??= run(listener);
    },
    async close() {
      closing.abort();
      await running;
    },
  };
}

/** Waits, and keeps no process alive. Whether the time passed before the signal came. */
async function passes(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(milliseconds, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}
