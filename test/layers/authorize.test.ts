import { RunContext } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import type { SessionCall } from '../../src/layer.ts';
import { authorize, type AuthorizeOptions } from '../../src/layers/authorize.ts';
import { handMadeCall } from './hand-made-call.ts';

async function attempt(
  check: AuthorizeOptions['check'],
  call: SessionCall = handMadeCall(),
): Promise<{ result?: string; reached: boolean; error?: unknown }> {
  let reached = false;
  const layer = authorize({ check });
  try {
    const result = await layer.around?.(call, async () => {
      reached = true;
      return 'result';
    });
    return { reached, ...(result !== undefined && { result }) };
  } catch (error) {
    return { reached, error };
  }
}

describe('authorize', () => {
  test('true lets the call through', async () => {
    expect(await attempt(() => true)).toEqual({ reached: true, result: 'result' });
    expect(await attempt(async () => true)).toEqual({ reached: true, result: 'result' });
  });

  test.each([false, undefined, null, 1, 'true', {}])(
    'a check that gives %j refuses before anything is read or written',
    async (verdict) => {
      const { reached, error } = await attempt(() => verdict as boolean);
      expect(reached).toBe(false);
      expect(error).toMatchObject({
        code: 'ERR_ACCESS_DENIED',
        message: expect.stringMatching(/^authorize: getItems on session "session-1" is refused/),
      });
    },
  );

  test('a check that fails refuses, with its error as cause', async () => {
    const cause = new Error('policy service is down');
    for (const check of [
      () => {
        throw cause;
      },
      async () => Promise.reject(cause),
    ]) {
      const { reached, error } = await attempt(check);
      expect(reached).toBe(false);
      expect(error).toMatchObject({
        code: 'ERR_ACCESS_DENIED',
        cause,
        message: expect.stringContaining('check failed'),
      });
    }
  });

  test('an error of the call itself is not an access error', async () => {
    const failure = new Error('disk full');
    const layer = authorize({ check: () => true });
    await expect(layer.around?.(handMadeCall(), async () => Promise.reject(failure))).rejects.toBe(failure);
  });

  test('the check sees operation, session and run context', async () => {
    const runContext = new RunContext({ userId: 'session-1' });
    const check = ({ kind, sessionId, runContext }: SessionCall): boolean =>
      kind !== 'clearSession' &&
      (runContext?.context as { userId: string } | undefined)?.userId === sessionId;
    expect(await attempt(check, handMadeCall({ runContext }))).toMatchObject({ reached: true });
    expect(await attempt(check, handMadeCall({ runContext, sessionId: 'session-2' }))).toMatchObject({
      reached: false,
    });
    expect(await attempt(check, handMadeCall({ runContext, kind: 'clearSession' }))).toMatchObject({
      reached: false,
    });
    expect(authorize({ check }).wantsRunContext).toBe(true);
  });

  test.each<[unknown, RegExp]>([
    [undefined, /authorize: options must be an object/],
    [{}, /authorize: check must be a function, got undefined/],
    [{ check: () => true, allow: [] }, /authorize: unknown option "allow"/],
  ])('bad options are refused: %#', (options, message) => {
    expect(() => authorize(options as AuthorizeOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });
});
