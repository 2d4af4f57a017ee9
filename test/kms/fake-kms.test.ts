import { expect, test } from 'vitest';
import { keyring } from '../../src/keys/keyring.ts';
import { fakeKms } from '../../src/testing/fake-kms.ts';
import { coded, failure } from '../crypto/failure.ts';
import { kmsSuite } from './kms-suite.ts';

kmsSuite('fakeKms', async () => {
  const kms = fakeKms({ backoff: 0.01, attempts: 2 });
  return {
    provider: () => kms,
    calls: () => kms.calls.encrypt + kms.calls.decrypt,
    down: () => void (kms.state = 'down'),
    up: () => void (kms.state = 'up'),
    disable: () => void (kms.state = 'disabled'),
  };
});

test('a KMS that never answers is ERR_KEY_UNAVAILABLE after its time limit, with ERR_TIMEOUT as the cause', async () => {
  const kms = fakeKms({ timeout: 5, attempts: 1 });
  kms.state = 'silent';
  const keys = keyring({ current: kms });
  const error = await failure(() => keys.wrap(new Uint8Array(32), { contextHash: 'A'.repeat(43) }));
  expect(error).toEqual(coded('ERR_KEY_UNAVAILABLE', /No answer within 5 ms/));
  expect((error as Error).cause).toEqual(coded('ERR_TIMEOUT', /5 ms/));
  expect(kms.calls).toEqual({ encrypt: 1, decrypt: 0 });
});

test('options that cannot work are refused', async () => {
  for (const options of [
    { attempts: 0 },
    { attempts: 11 },
    { attempts: 1.5 },
    { timeout: 0 },
    { backoff: '-1s' },
  ]) {
    expect(await failure(() => fakeKms(options as object))).toEqual(
      coded('ERR_INVALID_OPTION', /^fakeKms: \w+ must be/),
    );
  }
  expect(await failure(() => fakeKms({ retries: 3 } as object))).toEqual(
    coded('ERR_INVALID_OPTION', /unknown option "retries"/),
  );
  for (const kid of ['', 'é', 'a'.repeat(129)]) {
    expect(await failure(() => fakeKms({ kid }))).toEqual(coded('ERR_INVALID_OPTION', /kid must be/));
  }
});
