import { setTimeout as delay } from 'node:timers/promises';
import type { KeyValueDriver } from '../../src/stores/index.ts';

/** What a driver of a real database does that one in memory does not. */
interface Behaviour {
  /** From 0 up to 1. */
  readonly random: () => number;
  /** The chance that a call fails: a commit sometimes before it is made, and sometimes after. */
  readonly failures?: number;
}

/** The driver, with a delay of random length before and after each call, so that calls overlap in every order. */
export function slowDriver(driver: KeyValueDriver, { random, failures = 0 }: Behaviour): KeyValueDriver {
  const wait = async (): Promise<void> => {
    if (random() < 0.5) await delay(random() * 3);
  };
  const mayFail = (): void => {
    if (random() < failures) throw new Error('The connection was lost.');
  };
  const slow = async <T>(call: () => Promise<T>): Promise<T> => {
    await wait();
    mayFail();
    const answer = await call();
    await wait();
    mayFail();
    return answer;
  };
  return {
    name: 'slowDriver',
    get: (keys) => slow(() => driver.get(keys)),
    list: (range) => slow(() => driver.list(range)),
    commit: (commit) => slow(() => driver.commit(commit)),
  };
}
