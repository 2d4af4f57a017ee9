/** An answer took longer than the option `timeout`. */
export class TimeoutError extends Error {}

/** @param late Runs when the time is over, before the error is thrown. */
export function inTime<T>(work: Promise<T>, timeout: number, late?: () => void): Promise<T> {
  // Written by hand: every call of a store uses it, and `Promise.race` creates three more promises.
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      late?.();
      reject(new TimeoutError(`No answer in ${timeout} ms.`));
    }, timeout);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
