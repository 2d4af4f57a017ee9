/** The runs in flight, so that a shutdown can wait for them. */
import { refusal } from './refusal.ts';

/** The runs of one process. */
export interface Runs {
  /** @returns The function that ends it, once. Throws a refusal after {@link Runs.finish} was called. */
  begin(): () => void;
  /** Accepts no further run, and resolves when none is left. */
  finish(): Promise<void>;
  readonly finishing: boolean;
}

/** Remembers the runs of one process. */
export function createRuns(): Runs {
  const running = new Set<Promise<void>>();
  let finishing = false;
  return {
    begin() {
      if (finishing) {
        throw refusal('shutting_down', 'This process is ending. Send the request again, to another one.');
      }
      let end = (): void => undefined;
      const run = new Promise<void>((resolve) => (end = resolve));
      running.add(run);
      void run.then(() => running.delete(run));
      return end;
    },
    async finish() {
      finishing = true;
      await Promise.all(running);
    },
    get finishing() {
      return finishing;
    },
  };
}
