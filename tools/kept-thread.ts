import { ThreadsPoolWorker, type PoolRunnerInitializer, type WorkerRequest } from 'vitest/node';

/** After this many test files a thread is replaced: each leaves a few listeners behind. */
const FILES_A_THREAD = 40;

type Listener = (message: unknown) => void;

/**
 * A pool of one thread that Vitest keeps from one run to the next. Modules of this project are evaluated again for
 * every test file, those of packages stay loaded: starting a thread and loading them takes longer than most of our
 * tests, and mutation testing does it thousands of times.
 */
export function keptThread(): PoolRunnerInitializer & { close(): Promise<void> } {
  let kept: ThreadsPoolWorker | undefined;
  let files = 0;
  return {
    name: 'kept-thread',
    createPoolWorker(options) {
      const thread = kept ?? new ThreadsPoolWorker(options);
      const listeners: (readonly [string, Listener])[] = [];
      let graceful = false;
      return {
        name: 'kept-thread',
        async start() {
          if (kept === undefined) await thread.start();
          kept = thread;
        },
        on(event, listener: Listener) {
          listeners.push([event, listener]);
          thread.on(event, listener);
        },
        off(event, listener: Listener) {
          thread.off(event, listener);
        },
        send(message: WorkerRequest) {
          if (message.type !== 'stop') {
            thread.send(message);
            return;
          }
          graceful = true;
          const response = { type: 'stopped', __vitest_worker_response__: true };
          for (const [event, listener] of listeners) if (event === 'message') listener(response);
        },
        async stop() {
          for (const [event, listener] of listeners) thread.off(event, listener);
          files++;
          if (graceful && files < FILES_A_THREAD) return;
          files = 0;
          kept = undefined;
          await thread.stop();
        },
        deserialize: (data) => thread.deserialize(data),
      };
    },
    async close() {
      await kept?.stop();
    },
  };
}
