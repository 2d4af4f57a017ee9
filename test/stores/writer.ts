import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** One writer-process.ts under way. */
export interface Writer {
  /** What it said was acknowledged, so far: whole lines. */
  acknowledged(): string[];
  /** Resolves when it has said at least `count` lines, or ended. */
  reached(count: number): Promise<void>;
  kill(): void;
  /** Its exit code, `null` when it was killed. */
  readonly ended: Promise<number | null>;
}

const PROGRAM = fileURLToPath(new URL('writer-process.ts', import.meta.url));

export function startWriter(
  target: string,
  name: string,
  options: {
    readonly writer: string;
    readonly calls: number;
    readonly sessions: number;
    readonly popEvery?: number;
  },
): Writer {
  const { writer, calls, sessions, popEvery = 0 } = options;
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      PROGRAM,
      target,
      name,
      writer,
      ...[calls, sessions, popEvery].map(String),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  const over = new AbortController();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const ended = once(child, 'close').then(([code]) => {
    over.abort();
    return code as number | null;
  });
  const acknowledged = (): string[] => output.split('\n').slice(0, -1);
  return {
    acknowledged,
    async reached(count) {
      while (!over.signal.aborted && acknowledged().length < count)
        await Promise.race([once(child.stdout, 'data'), ended]);
    },
    kill: () => void child.kill('SIGKILL'),
    ended,
  };
}
