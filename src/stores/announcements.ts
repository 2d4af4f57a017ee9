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
  /**
   * Somebody changed a session, or says so: it can be anybody, and they can have said it before. So it is no more than a
   * reason to look.
   *
   * @param name The name under which the session is announced.
   */
  readonly changed: (name: string) => void;
  /**
   * From now on every change is told, under these names, or changes may be missed (`undefined`). Both make void what was told
   * before.
   */
  readonly live: (nameOf: Channel['nameOf'] | undefined) => void;
}

/** A connection on which a database tells of changes. */
export interface Channel {
  /** Resolves when an announcement of our own came back over it: a connection can look well and carry nothing. */
  readonly check: () => Promise<void>;
  /** Under which name changes of a session are announced on it: one that tells nobody else which session it is. */
  readonly nameOf: (sessionId: string) => string;
  /** Aborted when the connection is gone; absent where that cannot happen. */
  readonly gone?: AbortSignal;
  readonly close: () => void | Promise<void>;
}

/** What a channel is opened with. */
export interface Opening {
  readonly changed: AnnouncementListener['changed'];
  /** All of it may have changed. */
  readonly everything: () => void;
  /** Nobody waits for the channel any more: what was begun for it has to end. */
  readonly signal: AbortSignal;
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
  open: (opening: Opening) => Promise<Channel>,
): Announcements {
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  let warned = false;
  let isLive = false;

  /** Until the channel is gone, silent, or no longer wanted. */
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
        // Before the channel was checked nothing counts as told, so nothing becomes void.
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
      // One that fell silent may never say that it is closed.
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

/** Waits, and keeps no process alive. Whether the time passed before the signal came. */
async function passes(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(milliseconds, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}
