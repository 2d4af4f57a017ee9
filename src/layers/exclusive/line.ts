import type { Session } from '@openai/agents';

/** The queue of this process for the turn on a session. */
export interface Line {
  /** Resolves when a turn of this process ended, for one caller after the other. */
  ended(inner: Session, deadline: number, timeout: () => Error): Promise<void>;
  /** Resolves the first waiter. */
  callNext(inner: Session): void;
}

export function createLine(): Line {
  const queues = new WeakMap<Session, (() => void)[]>();

  return {
    ended: (inner, deadline, timeout) =>
      new Promise<void>((resolve, reject) => {
        const queue = queues.get(inner) ?? [];
        queues.set(inner, queue);
        const next = (): void => {
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(
          () => {
            queue.splice(queue.indexOf(next), 1);
            reject(timeout());
          },
          Math.max(deadline - performance.now(), 0),
        );
        queue.push(next);
      }),
    callNext: (inner) => queues.get(inner)?.shift()?.(),
  };
}
