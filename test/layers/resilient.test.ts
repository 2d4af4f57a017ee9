import { MemorySession, type Session } from '@openai/agents';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StrongroomError } from '../../src/errors.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { resilient, type ResilientOptions } from '../../src/layers/resilient.ts';
import { faultySession, type FaultTime } from '../../src/testing/faulty-session.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { handMadeCall, userMessage } from './hand-made-call.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  // In this order: a spy on a fake timer restores the fake.
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets every pause end at once. */
async function settled<T>(promise: Promise<T>): Promise<PromiseSettledResult<T>> {
  const both = Promise.allSettled([promise]);
  await vi.runAllTimersAsync();
  return (await both)[0];
}

/** A call that fails `failures` times, and how often it was tried. */
function failing(failures: number, error: unknown = new Error('connection lost')) {
  let attempts = 0;
  return {
    attempts: () => attempts,
    next: async (): Promise<string> => {
      if (attempts++ < failures) throw error;
      return 'result';
    },
  };
}

const around = async (
  options: ResilientOptions,
  next: () => Promise<string>,
  call = handMadeCall(),
): Promise<PromiseSettledResult<string | undefined>> =>
  settled((async () => resilient(options).around?.(call, next))());

describe('resilient', () => {
  test('a read is repeated, twice by default', async () => {
    for (const [failures, expected] of [
      [0, 'fulfilled'],
      [2, 'fulfilled'],
      [3, 'rejected'],
    ] as const) {
      const { next, attempts } = failing(failures);
      expect((await around({}, next)).status).toBe(expected);
      expect(attempts()).toBe(Math.min(failures, 2) + 1);
    }
    const once = failing(1);
    expect(await around({ retries: 0 }, once.next)).toMatchObject({
      status: 'rejected',
      reason: { message: 'connection lost' },
    });
    expect(once.attempts()).toBe(1);
  });

  test('pauses double up to their limit, and are a random part of it', async () => {
    const pauses = vi.spyOn(globalThis, 'setTimeout');
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    await around({ retries: 4, delay: 100, maxDelay: 300 }, failing(9).next);
    expect(pauses.mock.calls.map(([, milliseconds]) => milliseconds)).toEqual([50, 100, 150, 150]);
  });

  test.each([
    ['ERR_STORE', 3],
    ['ERR_KEY_UNAVAILABLE', 3],
    ['ERR_TIMEOUT', 3],
    ['ERR_AUTHENTICATION', 1],
    ['ERR_CLOCK', 1],
    ['ERR_CONFLICT', 1],
    ['ERR_ACCESS_DENIED', 1],
  ] as const)('after %s a read is tried %i times', async (code, times) => {
    const { next, attempts } = failing(9, new StrongroomError(code, 'x'));
    expect(await around({}, next)).toMatchObject({ status: 'rejected', reason: { code } });
    expect(attempts()).toBe(times);
  });

  test('retryOn decides instead', async () => {
    const { next, attempts } = failing(9);
    await around({ retryOn: () => false }, next);
    expect(attempts()).toBe(1);
  });

  test.each([
    'addItems',
    'popItem',
    'clearSession',
    'replaceHistoryWithCompaction',
    'applyHistoryMutations',
    'runCompaction',
    'addItemsWithCompactionOwnership',
    'deleteSession',
  ] as const)('%s is never repeated', async (kind) => {
    const { next, attempts } = failing(1);
    const call = handMadeCall({ kind, operationId: 'operation-1' });
    expect((await around({ retries: 5, timeout: 1 }, next, call)).status).toBe('rejected');
    expect(attempts()).toBe(1);
  });

  test('a transaction is repeated under its operation id, and without one it is not', async () => {
    const named = failing(2);
    const call = handMadeCall({ kind: 'applyHistoryTransaction', operationId: 'operation-1' });
    expect((await around({}, named.next, call)).status).toBe('fulfilled');
    const nameless = failing(1);
    await around({}, nameless.next, handMadeCall({ kind: 'applyHistoryTransaction' }));
    expect(nameless.attempts()).toBe(1);
  });

  test('a read that takes too long fails with ERR_TIMEOUT, and its later result has no effect', async () => {
    let fail: (error: Error) => void = () => undefined;
    const hanging = new Promise<string>((_resolve, reject) => {
      fail = reject;
    });
    const result = await around({ timeout: '2s', retries: 1 }, async () => hanging);
    expect(result).toMatchObject({
      status: 'rejected',
      reason: {
        code: 'ERR_TIMEOUT',
        message: expect.stringMatching(
          /^resilient: getItems on session "session-1" took longer than 2000 ms\./,
        ),
      },
    });
    fail(new Error('nobody listens'));
    await vi.runAllTimersAsync();
  });

  test('a read in time leaves no timer behind', async () => {
    expect(await resilient({ timeout: '2s' }).around?.(handMadeCall(), async () => 'result')).toBe('result');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a transaction has no time limit: it could still be applied afterwards', async () => {
    const call = handMadeCall({ kind: 'applyHistoryTransaction', operationId: 'operation-1' });
    const slow = async (): Promise<string> =>
      new Promise((resolve) => {
        setTimeout(() => resolve('late'), 60_000);
      });
    expect(await around({ timeout: 1 }, slow, call)).toEqual({ status: 'fulfilled', value: 'late' });
  });

  test.each<[FaultTime, boolean]>([
    ['before', false],
    ['after', false],
    ['before', true],
    ['after', true],
  ])('a transaction that fails %s its commit is applied once (sealed: %s)', async (when, sealed) => {
    // Sealing works outside of the fake time, so the pauses have no length instead.
    vi.useRealTimers();
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const faulty = faultySession(new MemorySession());
    const seal = sealed ? [encrypt({ keys: keyring({ current: await generateKey() }) })] : [];
    const session = wrapSession(faulty.session, [resilient(), ...seal]);
    faulty.arm({ member: 'applyHistoryTransaction', when });
    const transaction = { type: 'append_items' as const, items: [userMessage('one')] };
    await session.applyHistoryTransaction({ operationId: 'operation-1', transaction });
    expect(faulty.struck).toBe(1);
    expect(await session.getItems()).toEqual([userMessage('one')]);
  });

  test('a session that fails once is read all the same', async () => {
    const faulty = faultySession(new MemorySession());
    const session: Session = wrapSession(faulty.session, [resilient()]);
    await session.addItems([userMessage('one')]);
    faulty.arm({ member: 'getItems', when: 'before' });
    expect(await settled(session.getItems())).toMatchObject({
      status: 'fulfilled',
      value: [userMessage('one')],
    });
  });

  test.each<[unknown, RegExp]>([
    [null, /resilient: options must be an object/],
    [{ retries: -1 }, /resilient: retries must be a whole number from 0 to 100, got a negative number/],
    [{ retries: 1.5 }, /resilient: retries must be/],
    [{ timeout: 0 }, /resilient: timeout must be a positive number/],
    [{ delay: 'soon' }, /resilient: delay must be/],
    [{ maxDelay: -1 }, /resilient: maxDelay must be/],
    [{ retryOn: true }, /resilient: retryOn must be a function/],
    [{ attempts: 3 }, /resilient: unknown option "attempts"/],
  ])('bad options are refused: %#', (options, message) => {
    expect(() => resilient(options as ResilientOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });
});
