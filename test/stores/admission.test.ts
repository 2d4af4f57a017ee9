import { afterEach, expect, test, vi } from 'vitest';
import { createAdmission } from '../../src/stores/admission.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const CLOSED: Error = expect.objectContaining({ code: 'ERR_CLOSED' }) as Error;

test('close() waits for calls that never end no longer than its time limit', async () => {
  vi.useFakeTimers();
  const admission = createAdmission('openTest', 30_000);
  const scope = admission.scope();
  void scope.run(() => new Promise(() => undefined));
  let ended = 0;
  const closing = admission.close(async () => Promise.resolve(void ended++));
  await vi.advanceTimersByTimeAsync(29_999);
  expect(ended).toBe(0);
  expect(() => admission.assertUsable()).not.toThrow();
  await vi.advanceTimersByTimeAsync(1);
  await closing;
  await admission.close(async () => Promise.resolve(void ended++));
  expect(ended).toBe(1);
  expect(() => admission.assertUsable()).toThrow(CLOSED);
});

test('close() waits for a driver that does not end its connections no longer than its time limit, and a warning says so', async () => {
  vi.useFakeTimers();
  const emitted = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const admission = createAdmission('openTest', 30_000);
  let isClosed = false;
  const closing = admission
    .close(() => new Promise(() => undefined))
    .then(() => {
      isClosed = true;
    });
  await vi.advanceTimersByTimeAsync(29_999);
  expect(isClosed).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await closing;
  expect(emitted).toHaveBeenCalledExactlyOnceWith(
    'openTest: the driver did not end its connections in 30000 ms, so close() leaves them to the end of the process.',
    { type: 'StrongroomWarning', code: 'STRONGROOM_CLOSE' },
  );
});

test('close() fails with the error of a driver that cannot end its connections', async () => {
  const admission = createAdmission('openTest');
  await expect(admission.close(() => Promise.reject(new Error('end')))).rejects.toThrow('end');
});

test('parts of an admitted call continue while the store closes, other calls are refused', async () => {
  const admission = createAdmission('openTest');
  const [mine, theirs] = [admission.scope(), admission.scope()];
  const leave = mine.admit();
  let isClosed = false;
  const closing = admission.close(async () => Promise.resolve(void (isClosed = true)));
  expect(await mine.run(async () => Promise.resolve('part'))).toBe('part');
  await expect(theirs.run(async () => Promise.resolve('late'))).rejects.toThrow(CLOSED);
  expect(() => mine.admit()).toThrow(CLOSED);
  expect(isClosed).toBe(false);
  leave();
  leave();
  await closing;
  expect(isClosed).toBe(true);
  await expect(mine.run(async () => Promise.resolve('late'))).rejects.toThrow(CLOSED);
});

test('a call that is admitted at once is over when its work is, and makes a promise only for a promise', async () => {
  const admission = createAdmission('openTest');
  const scope = admission.scope();
  expect(scope.runNow(() => 'at once')).toBe('at once');
  expect(() =>
    scope.runNow(() => {
      throw new Error('in the work');
    }),
  ).toThrow('in the work');
  await expect(scope.runNow(async () => Promise.resolve('later'))).resolves.toBe('later');
  await expect(scope.runNow(async () => Promise.reject(new Error('in a promise')))).rejects.toThrow(
    'in a promise',
  );
  // None of them is still waited for.
  await admission.close(async () => Promise.resolve());
  expect(() => scope.runNow(() => 'late')).toThrow(CLOSED);
});
