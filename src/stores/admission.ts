import type { StrongroomError } from '../errors.ts';
import { ending, type MaybePromise } from '../maybe-promise.ts';
import { warn } from '../warning.ts';
import type { Admit } from '../session-contract.ts';
import { closedError } from './failure.ts';
import { inTime, TimeoutError } from './in-time.ts';

/** The admitted calls of one session. */
export interface Scope {
  readonly admit: Admit;
  /** Runs a call that is admitted by itself, or as a part of an admitted one. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** The same, without a promise if `work` makes none; throws at once. */
  runNow<T>(work: () => MaybePromise<T>): MaybePromise<T>;
}

/** Decides which calls may still use the database while a store closes. */
export interface Admission {
  scope(): Scope;
  /** @throws {@link StrongroomError} `ERR_CLOSED` once `close()` was called. */
  readonly assertOpen: () => void;
  /** @throws {@link StrongroomError} `ERR_CLOSED` when no admitted call is running. */
  readonly assertUsable: () => void;
  /**
   * Refuses new calls, waits for admitted ones, and then runs `end` once, for all callers. A driver can wait for
   * ever for a connection whose other side does not answer, so `end` has its own time limit.
   */
  close(end: () => Promise<void>): Promise<void>;
}

/** Milliseconds that admitted calls have to end: each has its own time limit, but many can be queued. */
const PATIENCE = 30_000;

export function createAdmission(name: string, patience: number = PATIENCE): Admission {
  let inside = 0;
  let closing: Promise<void> | undefined;
  let ended = false;
  let empty = (): void => undefined;

  const closed = (): StrongroomError => closedError(name);
  function enter(): () => void {
    inside++;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      inside--;
      if (inside === 0) empty();
    };
  }

  /** @param mine The admitted calls of the scope. */
  function enterAs(mine: number): () => void {
    if (closing !== undefined && (mine === 0 || ended)) throw closed();
    return enter();
  }

  async function drain(): Promise<void> {
    if (inside === 0) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      empty = resolve;
      timer = setTimeout(resolve, patience);
    });
    clearTimeout(timer);
  }

  return {
    scope() {
      let mine = 0;
      return {
        admit() {
          if (closing !== undefined) throw closed();
          mine++;
          const leave = enter();
          return () => {
            leave();
            mine--;
          };
        },
        async run(work) {
          const leave = enterAs(mine);
          try {
            return await work();
          } finally {
            leave();
          }
        },
        runNow: (work) => ending(work, enterAs(mine)),
      };
    },
    assertOpen() {
      if (closing !== undefined) throw closed();
    },
    assertUsable() {
      if (closing !== undefined && (inside === 0 || ended)) throw closed();
    },
    close(end) {
      closing ??= drain().then(() => {
        ended = true;
        return inTime(end(), patience).catch((error: unknown) => {
          if (!(error instanceof TimeoutError)) throw error;
          warn(
            'STRONGROOM_CLOSE',
            `${name}: the driver did not end its connections in ${patience} ms, so close() leaves them to the end of the process.`,
          );
        });
      });
      return closing;
    },
  };
}
