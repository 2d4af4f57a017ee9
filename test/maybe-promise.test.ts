import { describe, expect, it } from 'vitest';
import { ending, type MaybePromise } from '../src/maybe-promise.ts';

describe('the end of work', () => {
  it.each<[string, () => MaybePromise<string>]>([
    ['that has a result', () => 'result'],
    ['that has a result later', () => Promise.resolve('result')],
    [
      'that fails',
      () => {
        throw new Error('failed');
      },
    ],
    ['that fails later', () => Promise.reject(new Error('failed'))],
  ])('%s is told once, before its caller gets to know', async (how, work) => {
    const seen: string[] = [];
    const run = async (): Promise<string> => ending(work, (failed) => seen.push(`failed: ${failed}`));
    await run().then(
      (value) => seen.push(value),
      ({ message }: Error) => seen.push(message),
    );
    const fails = how.includes('fails');
    expect(seen).toEqual([`failed: ${fails}`, fails ? 'failed' : 'result']);
  });

  it('makes no promise of its own', () => {
    expect(
      ending(
        () => 1,
        () => undefined,
      ),
    ).toBe(1);
  });
});
