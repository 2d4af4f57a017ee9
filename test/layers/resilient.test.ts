import { MemorySession, type Session } from '@openai/agents';
import {
  bulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  ConstantBackoff,
  fallback,
  handleAll,
  handleWhen,
  noop,
  retry,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StrongroomError } from '../../src/errors.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { isTemporary, resilient, type Policy, type ResilientOptions } from '../../src/layers/resilient.ts';
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
          /^resilient: getItems on session "session-1": No answer within 2000 ms\./,
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
    [{ policy: 'retry' }, /resilient: policy must be a policy of the package cockatiel, got a string/],
    [{ policy: noop, retries: 1 }, /resilient: retries must be absent beside policy, which decides instead/],
    [{ policy: noop, retryOn: () => true }, /resilient: retryOn must be absent beside policy/],
  ])('bad options are refused: %#', (options, message) => {
    expect(() => resilient(options as ResilientOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });
});

describe('resilient with a policy of cockatiel', () => {
  const twice = retry(handleAll, { maxAttempts: 2, backoff: new ConstantBackoff(10) });
  const breaker = (): Policy =>
    circuitBreaker(handleWhen(isTemporary), { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(2) });

  test('a read is repeated as the policy says', async () => {
    const { next, attempts } = failing(2);
    expect(await around({ policy: twice }, next)).toEqual({ status: 'fulfilled', value: 'result' });
    expect(attempts()).toBe(3);
  });

  test.each([
    'popItem',
    'clearSession',
    'addItems',
    'replaceHistoryWithCompaction',
    'applyHistoryMutations',
  ] as const)(
    '%s is tried once, although the policy repeats it, and rejects with its own error',
    async (kind) => {
      const { next, attempts } = failing(9);
      const result = await around({ policy: twice }, next, handMadeCall({ kind }));
      expect(result).toMatchObject({ status: 'rejected', reason: { message: 'connection lost' } });
      expect(attempts()).toBe(1);
    },
  );

  test('an append of which nothing was written, and a transaction with an operation id, are repeated', async () => {
    const unwritten = failing(2, new StrongroomError('ERR_STORE', 'x', { written: 'no' }));
    await around({ policy: twice }, unwritten.next, handMadeCall({ kind: 'addItems' }));
    expect(unwritten.attempts()).toBe(3);
    const named = failing(2);
    const call = handMadeCall({ kind: 'applyHistoryTransaction', operationId: 'operation-1' });
    expect((await around({ policy: twice }, named.next, call)).status).toBe('fulfilled');
    expect(named.attempts()).toBe(3);
  });

  describe('a change that runs longer than the policy waits is not given up, nor made twice', () => {
    const policy = wrap(twice, timeout(1_000, TimeoutStrategy.Aggressive));
    const named = handMadeCall({ kind: 'applyHistoryTransaction', operationId: 'operation-1' });
    const slow = (end: () => string) => {
      let attempts = 0;
      const next = async (): Promise<string> => {
        attempts++;
        await new Promise((resolve) => {
          setTimeout(resolve, 60_000);
        });
        return end();
      };
      return { next, attempts: () => attempts };
    };

    test('when it ends, that is the result', async () => {
      const { next, attempts } = slow(() => 'late');
      expect(await around({ policy }, next, named)).toEqual({ status: 'fulfilled', value: 'late' });
      expect(attempts()).toBe(1);
    });

    test('when it fails, that is the error', async () => {
      const { next, attempts } = slow(() => {
        throw new Error('late');
      });
      const call = handMadeCall({ kind: 'clearSession' });
      expect(await around({ policy }, next, call)).toMatchObject({ reason: { message: 'late' } });
      expect(attempts()).toBe(1);
    });
  });

  test('a read that takes longer than the policy allows is ERR_TIMEOUT', async () => {
    const policy = timeout(1_000, TimeoutStrategy.Aggressive);
    const result = await around({ policy }, () => new Promise(() => undefined));
    expect(result).toMatchObject({
      reason: {
        code: 'ERR_TIMEOUT',
        message: 'resilient: getItems on session "session-1": No answer in the time that the policy allows.',
      },
    });
  });

  test('an open breaker refuses reads and writes of every session of the layer, and says that nothing was written', async () => {
    const layer = resilient({ policy: breaker() });
    const sessions = [1, 2].map((id) => {
      const faulty = faultySession(new MemorySession({ sessionId: `session-${id}` }));
      return { faulty, session: wrapSession(faulty.session, [layer]) };
    });
    const [one, two] = sessions as [(typeof sessions)[0], (typeof sessions)[0]];
    for (const member of ['getItems', 'addItems'] as const) {
      one.faulty.arm({ member, when: 'before' });
      const calling =
        member === 'getItems' ? one.session.getItems() : one.session.addItems([userMessage('x')]);
      expect((await settled<unknown>(calling)).status).toBe('rejected');
    }
    for (const refused of [() => two.session.getItems(), () => two.session.addItems([userMessage('x')])]) {
      expect(await settled<unknown>(refused())).toMatchObject({
        reason: {
          code: 'ERR_STORE',
          written: 'no',
          message: expect.stringMatching(
            /^resilient: \w+ on session "session-2": The call was not tried: the circuit breaker of the policy is open/,
          ),
        },
      });
    }
    vi.advanceTimersByTime(10_001);
    expect(await two.session.getItems()).toEqual([]);
  });

  test('calls that are refused for good do not open a breaker that handles isTemporary', async () => {
    const policy = breaker();
    for (let call = 0; call < 5; call++) {
      await around({ policy }, failing(1, new StrongroomError('ERR_ACCESS_DENIED', 'x')).next);
    }
    expect((await around({ policy }, failing(0).next)).status).toBe('fulfilled');
  });

  test('a bulkhead bounds how many calls run at once', async () => {
    const layer = resilient({ policy: bulkhead(2, 10) });
    let most = 0;
    let running = 0;
    const next = async (): Promise<string> => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
      running--;
      return 'result';
    };
    await settled(Promise.all(Array.from({ length: 8 }, async () => layer.around?.(handMadeCall(), next))));
    expect(most).toBe(2);
  });

  test('a call inside of a call is in its slot of the bulkhead, so that it does not wait for itself', async () => {
    const layer = resilient({ policy: bulkhead(1, 10) });
    const inside = async (): Promise<string | undefined> =>
      layer.around?.(handMadeCall({ sessionId: 'vault' }), async () => 'of the vault');
    const outer = layer.around?.(handMadeCall({ kind: 'addItems' }), inside);
    expect(await outer).toBe('of the vault');
  });

  test('a call on a whole store is not under the policy: the calls that follow it are', async () => {
    const layer = resilient({ policy: bulkhead(1) });
    const each = async (): Promise<string | undefined> =>
      layer.around?.(handMadeCall({ kind: 'shred' }), async () => 'erased');
    expect(await layer.around?.(handMadeCall({ kind: 'eraseSubject', sessionId: '' }), each)).toBe('erased');
  });

  test('a policy that answers by itself is refused: it would invent history', async () => {
    const policy = fallback(handleAll, []) as unknown as Policy;
    expect(await around({ policy }, failing(9).next)).toMatchObject({
      reason: {
        code: 'ERR_INVALID_OPTION',
        message: expect.stringMatching(
          /^resilient: getItems on session "session-1": The policy answered a call by itself/,
        ),
      },
    });
  });
});
