import { setTimeout as delay } from 'node:timers/promises';
import { warn } from '../warning.ts';
import { inTime } from './in-time.ts';

/** Announcements of changes by a database. */
export interface Announcements {
  /** Listens until {@link Announcements.close}. Called once. */
  listen(listener: AnnouncementListener): void;
  close(): Promise<void>;
}

/** The listener of announcements. */
export interface AnnouncementListener {
  /**
   * A session may have changed. The announcement can be forged or repeated, so it is only a reason to query the
   * database.
   *
   * @param name The name under which the session is announced.
   */
  readonly changed: (name: string) => void;
  /**
   * From now on every change is announced, under these names, or changes may be missed (`undefined`). Both
   * invalidate earlier announcements.
   */
  readonly live: (nameOf: Channel['nameOf'] | undefined) => void;
}

/** A connection on which a database announces changes. */
export interface Channel {
  /** Resolves when an announcement of our own came back over it: a connection can seem open and deliver nothing. */
  readonly check: () => Promise<void>;
  /** The name under which changes of a session are announced on it, which does not reveal the session. */
  readonly nameOf: (sessionId: string) => string;
  /** Aborted when the connection is lost; absent where that cannot happen. */
  readonly gone?: AbortSignal;
  readonly close: () => void | Promise<void>;
}

/** The arguments for opening a channel. */
export interface Opening {
  readonly changed: AnnouncementListener['changed'];
  /** Called when all sessions may have changed. */
  readonly everything: () => void;
  /** Aborted when the channel is no longer needed: work that was begun for it has to end. */
  readonly signal: AbortSignal;
}

/** How often a channel is checked: a missed announcement is detected within this time and {@link PATIENCE}. */
const CHECK_EVERY = 5_000;
/** How long a channel may take to open, and an announcement to come back. */
const PATIENCE = 5_000;

/**
 * Announcements over channels: when one is lost or silent the next is opened, and in between announcements are not
 * used.
 *
 * @param where The store's factory, for the warning that it cannot listen.
 */
export function announcementsOver(
  where: string,
  open: (opening: Opening) => Promise<Channel>,
): Announcements {
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  let warned = false;
  let isLive = false;

  /** Runs until the channel is lost, silent, or no longer needed. */
  async function attend(channel: Channel, listener: AnnouncementListener): Promise<void> {
    const { gone } = channel;
    const over = gone === undefined ? closing.signal : AbortSignal.any([closing.signal, gone]);
    await inTime(channel.check(), PATIENCE);
    isLive = true;
    listener.live(channel.nameOf);
    while (await passes(CHECK_EVERY, over)) await inTime(channel.check(), PATIENCE);
  }

  async function run(listener: AnnouncementListener): Promise<void> {
    for (let wait = 50; ; wait = Math.min(wait * 2, 5_000)) {
      let channel: Channel | undefined;
      const abandoned = new AbortController();
      try {
        const { changed } = listener;
        // Before the channel was checked announcements are not used, so there is nothing to invalidate.
        const everything = (): void => {
          if (channel !== undefined && isLive) listener.live(channel.nameOf);
        };
        const opening = open({ changed, everything, signal: abandoned.signal });
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
            `${where}: push: changes are not announced at present (${reason}). Until they are, each cached read queries the database.`,
          );
        }
      }
      isLive = false;
      listener.live(undefined);
      abandoned.abort();
      // A silent connection may never report that it is closed.
      await inTime(Promise.resolve(channel?.close()), PATIENCE).catch(() => undefined);
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

/** Waits without keeping the process alive. Returns whether the time passed before the abort. */
async function passes(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(milliseconds, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}
