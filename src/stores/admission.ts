import type { StrongroomError } from '../errors.ts';
import { warn } from '../warning.ts';
import type { Admit } from '../session-contract.ts';
import { closedError } from './failure.ts';
import { inTime, TimeoutError } from './in-time.ts';

/** What one session has let in. */
export interface Scope {
  readonly admit: Admit;
  /** A call that is let in for itself, or as a part of one that was. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** Who may still use the database while a store closes. */
export interface Admission {
  scope(): Scope;
  /** @throws {@link StrongroomError} `ERR_CLOSED` once `close()` was called. */
  readonly assertOpen: () => void;
  /** @throws {@link StrongroomError} `ERR_CLOSED` when nothing is left that was let in. */
  readonly assertUsable: () => void;
  /**
   * Lets nobody in any more, waits for those who are, and then runs `end`; for everybody who calls it. A driver can wait for ever
   * for a connection whose other side is gone, so `end` has a limit of its own.
   */
  close(end: () => Promise<void>): Promise<void>;
}

/** Milliseconds that calls which were let in have to end: each has a limit of its own, but many can stand in line. */
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
          if (closing !== undefined && (mine === 0 || ended)) throw closed();
          const leave = enter();
          try {
            return await work();
          } finally {
            leave();
          }
        },
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
