import { expect } from 'vitest';
import type { ErrorCode } from '../../src/errors.ts';

/** What `action` throws or rejects with; fails the test when it does neither. */
export async function failure(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  return expect.fail('expected an error, got none');
}

/** A matcher for an error with this code and message. */
export function coded(code: ErrorCode, message: RegExp): unknown {
  const matcher: unknown = expect.objectContaining({
    code,
    message: expect.stringMatching(message) as string,
  });
  return matcher;
}
