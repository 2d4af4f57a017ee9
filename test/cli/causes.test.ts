import { describe, expect, it } from 'vitest';
import { causesOf, messageWithCauses } from '../../src/cli/causes.ts';
import { exitCodeOf } from '../../src/cli/exit-codes.ts';
import { StrongroomError } from '../../src/errors.ts';
import { linesOf } from '../support/built-cli.ts';
import { CANARY, configOf, filledProject } from '../support/cli-project.ts';

const ofDatabase = (cause: unknown): StrongroomError =>
  new StrongroomError('ERR_STORE', 'openPostgres: the database failed. See the cause.', { cause });

describe('the causes of an error', () => {
  it('are shown by class and code below an error of a database, whose drivers quote values', () => {
    const quoting = Object.assign(new Error(`invalid input syntax: "${CANARY}"`), { code: '22P02' });
    const below = new StrongroomError('ERR_TIMEOUT', 'The time is over.', { cause: ofDatabase(quoting) });
    expect(causesOf(ofDatabase(quoting))).toEqual(['Error 22P02']);
    expect(causesOf(below)).toEqual([
      'ERR_STORE: openPostgres: the database failed. See the cause.',
      'Error 22P02',
    ]);
    expect(causesOf(ofDatabase(new Error(`WRONGTYPE Operation against ${CANARY}`)))).toEqual([
      'Error WRONGTYPE',
    ]);
    expect(causesOf(ofDatabase(Object.assign(new Error(CANARY), { code: CANARY.repeat(9) })))).toEqual([
      'Error',
    ]);
    expect(causesOf(ofDatabase(CANARY))).toEqual([]);
  });

  it('are shown with the texts of the system and of SQLite', () => {
    const refused = (address: string): Error =>
      Object.assign(new Error(`connect ECONNREFUSED ${address}`), {
        code: 'ECONNREFUSED',
        syscall: 'connect',
      });
    const attempts = new AggregateError([refused('::1:1'), refused('127.0.0.1:1')]);
    expect(causesOf(ofDatabase(attempts))).toEqual([
      'connect ECONNREFUSED ::1:1',
      'connect ECONNREFUSED 127.0.0.1:1',
    ]);
    const full = Object.assign(new Error(CANARY), {
      code: 'ERR_SQLITE_ERROR',
      errcode: 13,
      errstr: 'database or disk is full',
    });
    expect(messageWithCauses(ofDatabase(full))).toBe(
      'openPostgres: the database failed. See the cause. Cause: Error SQLITE 13: database or disk is full',
    );
  });

  it('are shown with their messages elsewhere, but never with a text that is no JSON', () => {
    const denied = new StrongroomError('ERR_ACCESS_DENIED', 'check failed, see the cause.', {
      cause: new TypeError('the policy server is away', {
        cause: Object.assign(new Error('late'), { code: 'ELATE' }),
      }),
    });
    expect(causesOf(denied)).toEqual(['TypeError: the policy server is away', 'Error: late (ELATE)']);
    const secret = new StrongroomError('ERR_KEY_UNAVAILABLE', 'see the cause.', {
      cause: syntaxErrorOf(CANARY),
    });
    expect(causesOf(secret)).toEqual(['SyntaxError: a text is not valid JSON.']);
  });

  it('end where an error names itself, and after eight', () => {
    const own = new Error('a circle');
    own.cause = own;
    expect(causesOf(new Error('outside', { cause: own }))).toEqual(['Error: a circle']);
    let deep = new Error('0');
    for (let depth = 1; depth < 20; depth++) deep = new Error(String(depth), { cause: deep });
    expect(causesOf(deep)).toHaveLength(8);
  });
});

function syntaxErrorOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error;
  }
}

const databases: readonly [string, string, number, string][] = [
  ['a folder that is not there', `openSqlite('no/folder/c.db')`, 1, 'ENOENT: no such file or directory'],
  ['a file that is no database', `openSqlite('key.json')`, 1, 'SQLITE 26: file is not a database'],
  [
    'a server that is down',
    `openPostgres('postgres://a:b@127.0.0.1:1/x')`,
    75,
    'connect ECONNREFUSED 127.0.0.1:1',
  ],
];

describe('a command that fails at its database', () => {
  it.each(databases)('says the cause and whether to try again: %s', async (_name, store, exit, text) => {
    const project = await filledProject({});
    const config = configOf().replace(/store: .*/, `store: () => ${store},`);
    await project.write(
      'strongroom.config.mjs',
      `import { openPostgres } from 'strongroom/postgres';\n${config}`,
    );
    await project.write('key.json', 'x'.repeat(200));
    const { code, stderr } = await project.run(['sessions']);
    expect(code).toBe(exit);
    expect(linesOf(stderr)).toEqual([
      {
        event: 'error',
        code: 'ERR_STORE',
        message: expect.stringContaining('See the cause.') as string,
        causes: [expect.stringContaining(text) as string],
      },
    ]);
    const { stdout } = await project.terminal(['sessions']).finished;
    expect(stdout).toMatch(/ERR_STORE {2}.*See the cause\.\r\n {2}cause: /);
    expect(stdout).toContain(text);
  });

  it.each([
    ['a wrong password of PostgreSQL', { code: '28P01' }, 1],
    ['a database of MySQL that is not there', { code: 'ER_BAD_DB_ERROR' }, 1],
    ['a full disk of SQLite', { code: 'ERR_SQLITE_ERROR', errcode: 13 }, 75],
    ['a host that no name server knows, which may come', { code: 'ENOTFOUND', syscall: 'getaddrinfo' }, 75],
    ['a socket of a server that is down', { code: 'ENOENT', syscall: 'connect' }, 75],
  ])('has an exit code by what can pass: %s', async (_name, fields, exit) => {
    const { storeError } = await import('../../src/stores/failure.ts');
    expect(exitCodeOf(storeError('openIt', 'it failed', Object.assign(new Error('x'), fields)))).toBe(exit);
  });
});

describe('a configuration that fails when it is opened', () => {
  it.each([
    ['its layers', { layers: `(() => { throw new Error('no settings here'); })()` }, 'FAILED', ['verify']],
    [
      'a key that is not there',
      { keys: `{ current: { file: 'none.json' } }` },
      'ERR_INVALID_OPTION',
      ['verify'],
    ],
    ['its order', { layers: 'encrypt({ keys }), expire({ after: 1000 })' }, 'ERR_LAYER_ORDER', ['verify']],
    [
      'its receipt key',
      { rest: `receiptKey: { file: 'none.json' },` },
      'ERR_INVALID_OPTION',
      ['erase', '--session', 'one', '--receipt', 'r.jws', '--yes'],
    ],
  ])('has the exit code of a wrong configuration: %s', async (_name, parts, code, command) => {
    const project = await filledProject({ one: 1 });
    await project.write('strongroom.config.mjs', configOf(parts));
    const ended = await project.run(command);
    expect(linesOf(ended.stderr)).toMatchObject([{ event: 'error', code }]);
    expect(ended.code).toBe(2);
  });
});
