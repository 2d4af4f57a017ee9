import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A process of its own over one database: writer-process.ts or mixed-process.ts. */
export interface Writer {
  /** What it said so far: whole lines. */
  lines(): string[];
  /** Resolves when it has said at least `count` lines, or ended. */
  reached(count: number): Promise<void>;
  /** Resolves when it has said a line that has this in it, with what it said until then; that is forgotten. */
  said(text: string): Promise<string[]>;
  /** Gives it a line, where it waits for one. */
  tell(line: string): void;
  kill(): void;
  /** Its exit code, `null` when it was killed. */
  readonly ended: Promise<number | null>;
}

export function startWriter(program: URL, args: readonly (string | number)[]): Writer {
  const path = fileURLToPath(program);
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--expose-gc', '--liftoff-only', path, ...args.map(String)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let lines: string[] = [];
  let open = '';
  const over = new AbortController();
  child.stdin.on('error', () => undefined);
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const [first = '', ...rest] = chunk.split('\n');
    open += first;
    for (const next of rest) {
      lines.push(open);
      open = next;
    }
  });
  const ended = once(child, 'close').then(([code]) => {
    over.abort();
    return code as number | null;
  });
  const until = async (condition: () => boolean): Promise<void> => {
    while (!over.signal.aborted && !condition()) await Promise.race([once(child.stdout, 'data'), ended]);
  };
  return {
    lines: () => [...lines],
    reached: (count) => until(() => lines.length >= count),
    async said(text) {
      await until(() => lines.at(-1)?.includes(text) === true);
      const said = lines;
      lines = [];
      return said;
    },
    tell: (line) => void child.stdin.write(`${line}\n`),
    kill: () => void child.kill('SIGKILL'),
    ended,
  };
}
