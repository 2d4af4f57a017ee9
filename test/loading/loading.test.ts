import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { loadModule } from '../../src/load-module.ts';
import { coded, failure } from '../crypto/failure.ts';

const run = promisify(execFile);

interface Outcome {
  readonly code?: string;
  readonly message: string;
  readonly retryable?: boolean;
}

/** What four calls ended with, during the first two of which the module could not be loaded. */
async function outcomes(what: string, how: string): Promise<readonly (Outcome | 'done')[]> {
  const program = fileURLToPath(new URL('load-in-process.ts', import.meta.url));
  const flags = ['--conditions=strongroom-source', '--disable-warning=ExperimentalWarning'];
  const { stdout } = await run(process.execPath, [...flags, program, what, how]);
  return JSON.parse(stdout) as (Outcome | 'done')[];
}

const DATABASE: unknown = expect.objectContaining({ code: 'ERR_STORE' });
const LATER: unknown = expect.objectContaining({
  message: expect.stringMatching(/could not be loaded/) as string,
  retryable: true,
});
const missing = (advice: RegExp, code = 'ERR_UNSUPPORTED'): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(advice) as string });
const AWS: unknown = expect.objectContaining({
  message: expect.stringContaining('LoadedException') as string,
});

/** How a call ends while the package is missing, while it cannot be loaded, and afterwards: there is no database. */
const ENDS = [
  ['redis', missing(/npm install redis/), LATER, DATABASE],
  ['postgres', missing(/npm install pg/), LATER, DATABASE],
  ['mysql', missing(/npm install mysql2/), LATER, DATABASE],
  ['tokens', missing(/npm install gpt-tokenizer/), LATER, 'done'],
  ['aws', missing(/client-kms is not installed/, 'ERR_INVALID_OPTION'), LATER, AWS],
  // It goes on without telemetry when its package is there and cannot be loaded.
  ['observe', missing(/npm install @opentelemetry\/api/), 'done', 'done'],
] as const;

describe.concurrent.each(ENDS)('%s', (what, absent, _later, after) => {
  it('says how to install a missing package, and finds it once it is installed', async () => {
    expect(await outcomes(what, 'missing')).toEqual([absent, absent, after, after]);
  });
});

// Not pg: a hook that fails below its ESM part ends the process, because Node throws that error past every promise.
describe.concurrent.each(ENDS.filter(([what]) => what !== 'postgres'))(
  '%s',
  (what, _absent, later, after) => {
    it.each(['incomplete', 'EMFILE'])(
      'does not advise to install what is there (%s), and loads it later',
      async (how) => {
        expect(await outcomes(what, how)).toEqual([later, later, after, after]);
      },
    );
  },
);

it.concurrent.each(['sdk', 'dekStore'])('%s works after its module failed to load', async (what) => {
  const ends = await outcomes(what, 'EMFILE');
  expect(ends[0]).toMatchObject({ code: 'ERR_LOAD', retryable: true });
  expect(ends.slice(2)).toEqual(['done', 'done']);
});

describe('loadModule', () => {
  it('keeps the cause and forgets the failure', async () => {
    let loads = 0;
    const cause = Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
    const load = (): Promise<string> => {
      loads++;
      return Promise.reject(cause);
    };
    const error = await failure(() => loadModule('some-package', load, 'install it'));
    expect(error).toEqual(
      coded('ERR_LOAD', /^The package some-package is installed but could not be loaded/),
    );
    expect((error as Error).cause).toBe(cause);
    expect(loads).toBe(1);
  });

  it('does not advise to install this package when another one is missing', async () => {
    const cases = [
      ['package-a/part', "Cannot find package 'package-a' imported from /x", 'ERR_UNSUPPORTED'],
      ['package-b/part', "Cannot find module 'package-b/part'", 'ERR_UNSUPPORTED'],
      ['package-c', "Cannot find package 'package-c-else' imported from /x/package-c/index.js", 'ERR_LOAD'],
      ['package-d', "Cannot find module '/x/node_modules/package-d/gone.js' imported from /x", 'ERR_LOAD'],
    ] as const;
    for (const [name, message, code] of cases) {
      const cause = Object.assign(new Error(message), { code: 'ERR_MODULE_NOT_FOUND' });
      const error = await failure(() => loadModule(name, () => Promise.reject(cause), 'install it'));
      expect(error).toMatchObject({ code });
    }
  });
});
