import { TimeoutError } from './in-time.ts';

/** A call that waits, between the one that was made before it and the one after it. */
interface Waiting {
  /** By `performance.now()`. */
  readonly until: number;
  readonly reject: (error: unknown) => void;
  earlier: Waiting;
  later: Waiting;
}

/**
 * As `inTime`, for the calls of one store, which have the same time limit: they share a timer. With one of its own, each
 * call has Node.js make a list of timers for the limit and drop it again, which costs several times as much as the promise. Only
 * while a call waits does the timer keep the process running.
 */
export function sharedTimer(timeout: number): <T>(work: Promise<T>) => Promise<T> {
  // A ring: the first call of those that wait, and the last one, are beside this.
  const ends = {} as Waiting;
  ends.earlier = ends.later = ends;
  let timer: NodeJS.Timeout | undefined;

  function enter(reject: Waiting['reject']): Waiting {
    const isFirst = ends.later === ends;
    const call = { until: performance.now() + timeout, reject, earlier: ends.earlier, later: ends };
    ends.earlier.later = ends.earlier = call;
    if (timer === undefined) timer = setTimeout(look, timeout);
    else if (isFirst) timer.ref();
    return call;
  }

  function leave(call: Waiting): void {
    call.earlier.later = call.later;
    call.later.earlier = call.earlier;
    // It can leave twice: when its time is over, and when it is answered after that.
    call.earlier = call.later = call;
    if (ends.later === ends) timer?.unref();
  }

  function look(): void {
    timer = undefined;
    const now = performance.now();
    for (let first = ends.later; first !== ends; first = ends.later) {
      if (first.until > now) {
        timer = setTimeout(look, first.until - now);
        return;
      }
      leave(first);
      first.reject(new TimeoutError(`No answer in ${timeout} ms.`));
    }
  }

  return <T>(work: Promise<T>) =>
    new Promise<T>((resolve, reject) => {
      const call = enter(reject);
      work.then(
        (value) => {
          leave(call);
          resolve(value);
        },
        (error: unknown) => {
          leave(call);
          reject(error);
        },
      );
    });
}
