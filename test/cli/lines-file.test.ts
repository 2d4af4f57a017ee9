import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openLinesFile } from '../../src/cli/lines-file.ts';

const HEAD = { type: 'strongroom/exports', version: 1 };
const FIRST = `${JSON.stringify(HEAD)}\n`;

function newPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-lines-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'out.jsonl');
}

function lineOf(sessionId: string): string {
  return `${JSON.stringify({ sessionId })}\n`;
}

const refused = (message: string): unknown =>
  expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(message) as string });

describe('a file of lines', () => {
  it('continues after its last whole line, and is readable for its owner only', async () => {
    const path = newPath();
    writeFileSync(`${path}.partial`, `${FIRST}${lineOf('one')}{"sessionId":"tw`);
    chmodSync(`${path}.partial`, 0o644);
    const file = await openLinesFile(path, HEAD);
    expect(statSync(`${path}.partial`).mode & 0o777).toBe(0o600);
    expect([file.has('one'), file.has('two')]).toEqual([true, false]);
    file.add('two', { sessionId: 'two' });
    file.finish();
    expect(readFileSync(path, 'utf8')).toBe(FIRST + lineOf('one') + lineOf('two'));
  });

  it('continues one that ended within its first line', async () => {
    const path = newPath();
    writeFileSync(`${path}.partial`, FIRST.slice(0, 9));
    const file = await openLinesFile(path, HEAD);
    file.finish();
    expect(readFileSync(path, 'utf8')).toBe(FIRST);
  });

  it('leaves a file of something else as it is, also one without a line', async () => {
    for (const text of ['a note without a line', '\n', lineOf('one'), `${FIRST.slice(0, 9)}\n`]) {
      const path = newPath();
      writeFileSync(`${path}.partial`, text);
      await expect(openLinesFile(path, HEAD)).rejects.toEqual(refused('is of another export'));
      expect(readFileSync(`${path}.partial`, 'utf8')).toBe(text);
    }
  });

  it('does not write through a link', async () => {
    const path = newPath();
    const other = `${path}.other`;
    writeFileSync(other, '');
    symlinkSync(other, `${path}.partial`);
    await expect(openLinesFile(path, HEAD)).rejects.toEqual(refused('is a link, or belongs to another user'));
    expect(readFileSync(other, 'utf8')).toBe('');
  });

  it('is written by one process only: the earlier one ends, and nothing is in it twice', async () => {
    const path = newPath();
    const first = await openLinesFile(path, HEAD);
    first.add('one', { sessionId: 'one' });
    const second = await openLinesFile(path, HEAD);
    second.add('two', { sessionId: 'two' });
    expect(() => first.add('two', { sessionId: 'two' })).toThrow(
      refused('Let only one export write to a file, and start it again.'),
    );
    expect(() => first.finish()).toThrow(refused('Another process has written'));
    second.finish();
    expect(readFileSync(path, 'utf8')).toBe(FIRST + lineOf('one') + lineOf('two'));
  });

  it('writes a session again that two processes wrote in one moment', async () => {
    const path = newPath();
    writeFileSync(`${path}.partial`, FIRST + lineOf('one') + lineOf('one') + lineOf('two'));
    const file = await openLinesFile(path, HEAD);
    expect([file.has('one'), file.has('two')]).toEqual([true, false]);
    file.finish();
    expect(readFileSync(path, 'utf8')).toBe(FIRST + lineOf('one'));
  });

  it('does not replace a file that appeared meanwhile', async () => {
    const path = newPath();
    const file = await openLinesFile(path, HEAD);
    writeFileSync(path, 'of another');
    expect(() => file.finish()).toThrow(refused('exists. Name a new one.'));
    expect(readFileSync(path, 'utf8')).toBe('of another');
  });
});
