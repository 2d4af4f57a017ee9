import { userInfo } from 'node:os';
import type { Command } from 'commander';
import type { Opened } from '../config/define-config.ts';
import type { CallOrigin, SessionLayer } from '../layer.ts';
import type { AuditLayer } from '../layers/audit.ts';
import { layersOfStore } from '../wrap-store.ts';
import { askPerson, type Question } from './confirm.ts';
import { CommandError, EXIT, type ExitCode } from './exit-codes.ts';
import { loadConfig, type LoadedConfig } from './load-config.ts';
import { createOutput, type Output } from './output.ts';

/** What every command can use. */
export interface Context {
  readonly output: Output;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** For `authorize()` and `audit()`. */
  readonly origin: CallOrigin;
  readonly dryRun: boolean;
  config(): Promise<LoadedConfig>;
  /**
   * Opens the store of the configuration; it is closed after the command, when its audit log is written.
   *
   * @param how `config`: the file of another configuration.
   */
  readonly open: (how?: { readonly keyless?: boolean; readonly config?: string }) => Promise<Opened>;
  /** @throws {@link CommandError} `NOT_CONFIRMED`. Not asked with `--yes`, nor with `--dry-run`. */
  confirm(question: Question): Promise<void>;
}

/** The work of a command: its context, then its arguments and its options as commander passes them. */
export type Work = (context: Context, ...given: never[]) => Promise<ExitCode | void>;

interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly actor?: string;
  readonly purpose?: string;
}

/** Where the exit code of the command that ran is put. */
export interface Outcome {
  code: ExitCode;
  /** To print the error of the command with. */
  output: Output;
}

/** Adds a command with the options that all commands have. */
export type Define = (
  name: string,
  description: string,
  work: Work,
  traits?: {
    /** `false`: it needs no configuration. */
    readonly configured?: boolean;
    /** It destroys or changes something: `--dry-run`. */
    readonly changes?: boolean;
    /** It asks before it does: `--yes`. */
    readonly asks?: boolean;
    readonly parent?: Command;
  },
) => Command;

export function createDefine(program: Command, outcome: Outcome): Define {
  return (name, description, work, traits = {}) => {
    const { configured = true, changes = false, asks = false, parent = program } = traits;
    const command = parent.command(name).description(description);
    if (configured) {
      command.option(
        '-c, --config <file>',
        'the configuration; default: strongroom.config.ts, .mts, .mjs or .js',
      );
      command.option(
        '--actor <name>',
        'who does this, for authorize() and audit(); default: the user of the system',
      );
      command.option('--purpose <text>', 'why, for authorize() and audit()');
    }
    if (changes) command.option('--dry-run', 'show what would be done, and change nothing');
    if (asks) command.option('-y, --yes', 'do not ask');
    command.option('--json', 'JSON lines, also on a terminal');
    return command.action(async (...given: unknown[]) => {
      // commander passes the arguments, the options and the command.
      const options = given.at(-2) as CommonOptions;
      const output = createOutput({ out: process.stdout, err: process.stderr }, options.json === true);
      outcome.output = output;
      outcome.code = (await runCommand(work, given.slice(0, -1) as never[], options, output)) ?? EXIT.done;
    });
  };
}

async function runCommand(
  work: Work,
  given: never[],
  options: CommonOptions,
  output: Output,
): Promise<ExitCode | void> {
  const { signal, stop } = abortOnSignals();
  const opened: Opened[] = [];
  let loaded: Promise<LoadedConfig> | undefined;
  const { dryRun = false, yes = false, actor = userOfSystem(), purpose } = options;
  const config = (): Promise<LoadedConfig> => (loaded ??= loadConfig(options.config, process.cwd()));
  const context: Context = {
    output,
    signal,
    origin: { actor, ...(purpose !== undefined && { purpose }) },
    dryRun,
    config,
    async open({ keyless = false, config: other } = {}) {
      const { open } = await (other === undefined ? config() : loadConfig(other, process.cwd()));
      const one = open(keyless);
      opened.push(one);
      return one;
    },
    async confirm(question) {
      if (yes || dryRun) return;
      await askPerson(question, { input: process.stdin, output: process.stderr, signal });
    },
  };
  try {
    return await work(context, ...given);
  } catch (error) {
    // An operation that was ended rejects with the reason, or with an error of a step that was ended.
    throw signal.aborted ? (signal.reason as Error) : error;
  } finally {
    for (const { store } of opened) await flushAudit(layersOfStore(store));
    for (const { store } of opened) await store.close();
    stop();
  }
}

function userOfSystem(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container the process can run under a number that has no name.
    return `uid-${process.getuid?.()}`;
  }
}

/** Events of the command must be in the audit log before the process ends. */
async function flushAudit(layers: readonly SessionLayer[]): Promise<void> {
  for (const layer of layers) if (layer.name === 'audit') await (layer as AuditLayer).flush?.();
}

/** The first signal ends the work between two steps; the second one ends the process. */
function abortOnSignals(): { readonly signal: AbortSignal; readonly stop: () => void } {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort(
      new CommandError(
        'INTERRUPTED',
        'Interrupted. What was done stays done; the same command again does the rest.',
      ),
    );
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    stop: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal),
  };
}
