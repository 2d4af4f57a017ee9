import { clockOf } from '../clock.ts';
import { fileLines } from '../file-lines.ts';
import type { AuditEvent } from '../layers/audit.ts';
import type { RedactionReport } from '../layers/redact.ts';
import { checkOptions, invalidOption } from '../options.ts';
import { appendLine } from './append-line.ts';

/** Options of {@link auditFile}. */
export interface AuditFileOptions {
  /** The time of reports of redactions, in Unix milliseconds. Default: the clock of the machine. Events have their own. */
  readonly clock?: () => number;
}

/** The result of {@link auditFile}. */
export interface AuditFile {
  /** Appends an event: the sink of `audit()`. */
  write(event: AuditEvent): Promise<void>;
  /**
   * Appends how often each entity was found, without locations: for `onRedaction` of `redact()`.
   *
   * @example
   * ```ts
   * import { redact } from 'strongroom';
   * import { auditFile } from 'strongroom/report';
   *
   * const log = auditFile('audit.jsonl');
   * export const layer = redact({ onRedaction: (report) => log.redaction(report) });
   * ```
   */
  redaction(report: RedactionReport): Promise<void>;
}

/**
 * An audit log in a file: one event a line, as JSON, appended in the order of the calls. The file is created when the first line
 * is written, readable and writable for its owner only. Each line is one write of the operating system to a file that is opened for appending, so
 * several processes can share it on a local disk. After a write that failed in the middle of a line, by a full disk or the end of a process, the
 * next event begins a line of its own. `complianceReport()` and `strongroom report` read it, and count such a half line as unreadable.
 *
 * It does not rotate, is not signed, and its writer can change it: copy it to where the operators of the application cannot.
 *
 * @param path The file. Its folder must exist.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for a path that is not a non-empty string.
 *
 * @example
 * ```ts
 * import { audit } from 'strongroom';
 * import { auditFile } from 'strongroom/report';
 *
 * export const layer = audit({ sink: auditFile('audit.jsonl') });
 * ```
 */
export function auditFile(path: string, options: AuditFileOptions = {}): AuditFile {
  checkOptions('auditFile', options, ['clock']);
  const now = clockOf('auditFile', options.clock);
  if (typeof path !== 'string' || path === '') invalidOption('auditFile', 'path', 'the path of a file', path);
  let before: Promise<unknown> = Promise.resolve();

  async function append(line: object): Promise<void> {
    const text = JSON.stringify(line);
    const written = before.then(async () => appendLine(path, text, 0o600));
    // A failure is the caller's; the next line does not depend on it.
    before = written.catch(() => undefined);
    return written;
  }

  return {
    write: async (event) => append(event),
    redaction: async ({ sessionId, when, itemCount, counts, unsearched }) =>
      append({
        type: 'redaction',
        time: now(),
        sessionId,
        when,
        itemCount,
        counts,
        unsearched: unsearched.length,
      }),
  };
}

/** The lines of an audit log, read as a stream. @throws the error of the file system when it cannot be opened. */
export function auditLines(path: string): AsyncGenerator<string> {
  return fileLines(path);
}
