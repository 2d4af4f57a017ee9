/** An answer took longer than the option `timeout`. */
export class TimeoutError extends Error {}

/** @param late Runs when the time is over, before the error is thrown. */
export async function inTime<T>(work: Promise<T>, timeout: number, late?: () => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          late?.();
          reject(new TimeoutError(`No answer in ${timeout} ms.`));
        }, timeout);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
