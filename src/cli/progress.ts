/** The progress of one command. */
export interface Progress {
  /** How many units are done. */
  at(done: number): void;
  /** Removes the line, so that something else can be printed; the next {@link Progress.at} shows it again. */
  hide(): void;
  /** Shows the last state for good. */
  end(): void;
}

export interface ProgressOptions {
  readonly err: NodeJS.WritableStream;
  /** A line that changes, one JSON object a second, or nothing. */
  readonly mode: 'terminal' | 'json' | 'none';
  /** What is counted, in plural. */
  readonly unit: string;
  readonly total?: number | undefined;
  /** Milliseconds. Default: `performance.now`. */
  readonly now?: () => number;
}

const EVERY = { terminal: 100, json: 1_000, none: Infinity } as const;

export function createProgress(options: ProgressOptions): Progress {
  const { err, mode, unit, total, now = () => performance.now() } = options;
  const start = now();
  let done = 0;
  let last = -Infinity;
  let isVisible = false;

  const show = (): void => {
    last = now();
    const state = stateOf(done, total, last - start);
    if (mode === 'json') {
      err.write(`${JSON.stringify({ event: 'progress', unit, done, ...state })}\n`);
      return;
    }
    err.write(`\r\u001b[2K${textOf(unit, done, state)}`);
    isVisible = true;
  };
  return {
    at(units) {
      done = units;
      if (mode !== 'none' && now() - last >= EVERY[mode]) show();
    },
    hide() {
      if (!isVisible) return;
      err.write('\r\u001b[2K');
      isVisible = false;
    },
    end() {
      if (mode === 'none') return;
      show();
      if (mode === 'terminal') err.write('\n');
      isVisible = false;
    },
  };
}

interface State {
  readonly total?: number;
  /** Units a second since the begin of this run. */
  readonly rate: number;
  /** Seconds, by the rate; absent without a total. */
  readonly remaining?: number;
}

function stateOf(done: number, total: number | undefined, elapsed: number): State {
  const rate = elapsed > 0 ? Math.round((done / elapsed) * 10_000) / 10 : 0;
  if (total === undefined) return { rate };
  const left = Math.max(total - done, 0);
  return {
    total,
    rate,
    ...((rate > 0 || left === 0) && { remaining: left === 0 ? 0 : Math.ceil(left / rate) }),
  };
}

function textOf(unit: string, done: number, { total, rate, remaining }: State): string {
  const of = total === undefined ? '' : ` of ${total.toLocaleString('en')}`;
  const speed = `${rate >= 10 ? Math.round(rate).toLocaleString('en') : rate}/s`;
  const left = remaining === undefined ? '' : ` · ${durationOf(remaining)} left`;
  return `${barOf(done, total)}${done.toLocaleString('en')}${of} ${unit} · ${speed}${left}`;
}

const WIDTH = 20;

function barOf(done: number, total: number | undefined): string {
  if (total === undefined || total === 0) return '';
  const full = Math.min(Math.floor((done / total) * WIDTH), WIDTH);
  return `[${'#'.repeat(full)}${'.'.repeat(WIDTH - full)}] `;
}

function durationOf(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}
