import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { projectWith, type Project } from '../support/built-cli.ts';

/** The commands in the help of the built binary: those of a group as `group command`. */
async function commandsOf(project: Project, group: readonly string[] = []): Promise<string[]> {
  const { stdout } = await project.run([...group, '--help']);
  const names: string[] = [];
  // Every command has options; a group of commands has none.
  for (const [, name = '', options] of stdout.matchAll(/^ {2}([a-z]+)( \[options\])?/gm)) {
    if (name === 'help') continue;
    const path = [...group, name];
    names.push(...(options === undefined ? await commandsOf(project, path) : [path.join(' ')]));
  }
  return names;
}

/** The first two words of every command line that this folder runs in this way. */
async function linesThat(start: RegExp): Promise<string[]> {
  const files = (await readdir(import.meta.dirname)).filter((name) => name.endsWith('.test.ts'));
  const sources = await Promise.all(files.map((name) => readFile(`${import.meta.dirname}/${name}`, 'utf8')));
  const list = new RegExp(String.raw`${start.source}\s*\[\s*'([a-z]+)'(?:,\s*'([a-z]+)')?`, 'g');
  return sources.flatMap((source) =>
    [...source.matchAll(list)].map(([, first = '', second = '']) => `${first} ${second} `),
  );
}

describe('every command of the help', () => {
  it.each([
    ['in a terminal', /project\.terminal\(/],
    ['without a terminal', /(?:project\.(?:run|start)\(|endedAndRepeated\(project,)/],
  ])('has a test that runs the built binary %s', async (_name, start) => {
    const commands = await commandsOf(await projectWith(''));
    expect(commands).toEqual(expect.arrayContaining(['serve', 'receipt verify', 'branches switch']));
    const lines = await linesThat(start);
    expect(commands.filter((command) => !lines.some((line) => line.startsWith(`${command} `)))).toEqual([]);
  });
});
