import { styleText } from 'node:util';
import { isStrongroomError } from '../errors.ts';
import { causesOf } from './causes.ts';
import { messageOf } from './error-message.ts';
import { CommandError } from './exit-codes.ts';
import { createProgress, type Progress } from './progress.ts';

/** A value of a line for programs. */
export type Line = object;

/**
 * What a command prints. Results go to the standard output: text on a terminal, else (and with `--json`) one JSON
 * object a line, each with `event`. Progress, hints and errors go to the standard error output.
 */
export interface Output {
  readonly json: boolean;
  /** One result: the object, or the text. */
  line(event: string, members: Line, text: string): void;
  /** Something for the person at the terminal only. */
  hint(text: string): void;
  /** @param total How many units there are, where it is known. */
  progress(what: { readonly unit: string; readonly total?: number }): Progress;
  error(error: unknown): void;
  /** A process warning. */
  warning(code: string, message: string): void;
}

/** The parts of the process that an output needs. */
export interface Streams {
  readonly out: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly err: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

export function createOutput({ out, err }: Streams, wantsJson: boolean): Output {
  const json = wantsJson || out.isTTY !== true;
  const terminal = err.isTTY === true && !json;
  let progress: Progress | undefined;
  return {
    json,
    line(event, members, text) {
      progress?.hide();
      out.write(`${json ? JSON.stringify({ event, ...members }) : text}\n`);
    },
    hint(text) {
      if (json) return;
      progress?.hide();
      err.write(`${text}\n`);
    },
    progress({ unit, total }) {
      progress = createProgress({ err, mode: json ? 'json' : terminal ? 'terminal' : 'none', unit, total });
      return progress;
    },
    warning(code, message) {
      progress?.hide();
      err.write(
        json ? `${JSON.stringify({ event: 'warning', code, message })}\n` : `${code}  ${plain(message)}\n`,
      );
    },
    error(error) {
      progress?.hide();
      const code = codeOf(error);
      const message = messageOf(error);
      const causes = causesOf(error);
      if (json) {
        const members = { code, message, ...(causes.length > 0 && { causes }) };
        err.write(`${JSON.stringify({ event: 'error', ...members })}\n`);
        return;
      }
      const mark = terminal ? styleText('red', code) : code;
      err.write(`${mark}  ${plain(message)}\n`);
      for (const cause of causes) err.write(`  cause: ${plain(cause)}\n`);
    },
  };
}

function codeOf(error: unknown): string {
  return isStrongroomError(error) || error instanceof CommandError ? error.code : 'FAILED';
}

/**
 * An id or a reason on a terminal, which obeys control characters: they are shown as escapes.
 */
export function shown(text: string): string {
  return plain(JSON.stringify(text).slice(1, -1));
}

/** A message on a terminal, in which such an id can stand: its lines stay. */
export function plain(message: string): string {
  // Controls, and the marks that turn the direction of text.
  return message.replace(
    /(?!\n)[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A time for people; programs get Unix milliseconds. */
export function shownTime(milliseconds: number | undefined): string {
  return milliseconds === undefined
    ? '-'
    : new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ');
}

/** `1 item`, `1,234 items`. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** Lines with aligned columns. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return rows.map((row) =>
    row.map((cell, column) => cell.padEnd(column === row.length - 1 ? 0 : (widths[column] ?? 0))).join('  '),
  );
}
