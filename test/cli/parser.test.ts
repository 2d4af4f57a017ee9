import { describe, expect, it } from 'vitest';
import { linesOf, projectWith } from '../support/built-cli.ts';

const refused: readonly [string, string[], string][] = [
  ['no command', [], 'Give a command.'],
  ['a group without a command', ['branches'], 'Give a command.'],
  ['an unknown command', ['sesions'], "unknown command 'sesions' (Did you mean sessions?)."],
  ['an unknown option', ['verify', '--nope'], "unknown option '--nope'."],
  ['a missing argument', ['branches', 'list'], "missing required argument 'session'."],
  ['a missing option', ['hold', 'one'], "required option '--reason <text>' not specified."],
  ['an option without its value', ['verify', '--actor'], "option '--actor <name>' argument missing."],
  [
    'too many arguments',
    ['sessions', 'one'],
    "too many arguments for 'sessions'. Expected 0 arguments but got 1: one.",
  ],
];

describe('what the parser of the arguments refuses', () => {
  it.each(refused)('is one line of JSON for programs: %s', async (_name, args, message) => {
    const project = await projectWith('');
    const { code, stdout, stderr } = await project.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(linesOf(stderr)).toEqual([
      { event: 'error', code: 'USAGE', message: `${message} strongroom --help shows the commands.` },
    ]);
  });

  it('is text in a terminal, and JSON there with --json', async () => {
    const project = await projectWith('');
    const text = await project.terminal(['verify', '--nope']).finished;
    expect(text.code).toBe(2);
    expect(text.stdout).toContain("error: unknown option '--nope'");
    const json = await project.terminal(['verify', '--nope', '--json']).finished;
    expect(json.code).toBe(2);
    expect(linesOf(json.stdout)).toMatchObject([{ event: 'error', code: 'USAGE' }]);
  });

  it('is not the help that was asked for', async () => {
    const project = await projectWith('');
    const { code, stdout, stderr } = await project.run(['verify', '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('Usage: strongroom verify');
  });
});
