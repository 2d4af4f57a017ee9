import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { StrongroomError, type ErrorCode } from '../src/errors.ts';
import { ERROR_CODES } from '../tools/error-codes.ts';
import { errorsPage } from '../tools/errors-page.ts';
import { generateKey } from '../src/index.ts';
import { keyring } from '../src/keys/keyring.ts';
import { failure } from './crypto/failure.ts';

describe('an error', () => {
  const errors = (Object.keys(ERROR_CODES) as ErrorCode[]).map((code) => new StrongroomError(code, 'text'));

  it('has the fields for retrying and lost data that its page states', () => {
    const page = errorsPage();
    for (const error of errors) {
      expect(Object.keys(error)).toEqual(expect.arrayContaining(['code', 'retryable', 'dataLost']));
      const section = page.slice(page.indexOf(`## ${error.code}\n`)).split('\n## ')[0];
      expect(section).toContain(`data lost?** ${error.dataLost ? 'Yes' : 'No'}.`);
      expect(section).toContain(`without a change?** ${error.retryable ? 'Yes' : 'No'}.`);
    }
  });

  it('is retryable when a backend does not answer, and never when data is gone', () => {
    const retryable = errors.filter((error) => error.retryable).map(({ code }) => code);
    expect(retryable).toEqual(['ERR_KEY_UNAVAILABLE', 'ERR_CLOCK', 'ERR_TIMEOUT', 'ERR_LOAD', 'ERR_STORE']);
    expect(errors.filter((error) => error.dataLost).map(({ code }) => code)).toEqual(['ERR_SHREDDED']);
  });

  it('can report lost data in one case only', () => {
    expect(new StrongroomError('ERR_MALFORMED', 'text', { dataLost: true })).toMatchObject({
      dataLost: true,
    });
    expect(new StrongroomError('ERR_MALFORMED', 'text', { cause: 1 })).toMatchObject({
      dataLost: false,
      cause: 1,
    });
  });

  it('can report a failure that does not pass by itself', async () => {
    expect(new StrongroomError('ERR_STORE', 'text', { retryable: false }).retryable).toBe(false);
    const { d: _privateHalf, ...publicHalf } = await generateKey({ alg: 'ECDH-ES+A256KW' });
    const keys = keyring({ current: publicHalf });
    expect(await failure(() => keys.checkOpens(keys.current))).toMatchObject({
      code: 'ERR_KEY_UNAVAILABLE',
      message: expect.stringContaining('Put the private JWK in its place to read.') as string,
      retryable: false,
    });
  });

  it('with an unknown code is neither, and keeps its message', () => {
    const error = new StrongroomError('ERR_ELSE' as ErrorCode, 'what happened');
    expect(error).toMatchObject({ message: 'what happened', retryable: false, dataLost: false });
  });
});

it('a bad key names a command, and the command makes a key', async () => {
  const error = (await failure(() => keyring({ current: 'my password' as never }))) as StrongroomError;
  expect(error.code).toBe('ERR_INVALID_OPTION');
  const command = /for example: (node .+)$/.exec(error.message)?.[1] as string;
  // The sources of this repository stand for the installed package.
  const env = {
    ...process.env,
    NODE_OPTIONS: '--conditions=strongroom-source --disable-warning=ExperimentalWarning',
  };
  const line = command.replace(/^node/, `"${process.execPath}"`).replace(/\.$/, '');
  const made = execFileSync('/bin/sh', ['-c', line], { env }).toString();
  expect(keyring({ current: JSON.parse(made) as never }).current).toMatch(/^[\w-]{16}$/);
});
