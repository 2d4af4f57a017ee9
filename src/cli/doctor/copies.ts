import type { RunConfig } from '@openai/agents';
import type { Report } from './finding.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Settings under which the SDK copies content elsewhere: `run` of the configuration, and the environment variables
 * of the SDK (0.20.0).
 */
export function checkCopies(run: Partial<RunConfig> | undefined, env: Environment, report: Report): void {
  const isOn = (name: string): boolean => /^(?:1|true)$/.test(env[name] ?? '');
  const isOff = (name: string): boolean => /^(?:0|false)$/.test(env[name] ?? '');
  if (run === undefined) {
    report(
      'warning',
      'copies.run',
      'The configuration does not say how runs are traced and stored. By default the SDK sends content to traces, and the Responses API stores it.',
      'Add run: complianceRunConfig(), and use it: new Runner(config.run).',
    );
  } else {
    const traces = run.tracingDisabled !== true && !isOn('OPENAI_AGENTS_DISABLE_TRACING');
    if (traces && run.traceIncludeSensitiveData !== false) {
      report(
        'warning',
        'copies.tracing',
        'Traces of runs contain content (traceIncludeSensitiveData is not false).',
        'Spread complianceRunConfig() into run.',
      );
    }
    if (run.modelSettings?.store !== false) {
      report(
        'warning',
        'copies.store',
        'The Responses API stores responses (modelSettings.store is not false).',
        'Spread complianceRunConfig() into run.',
      );
    }
  }
  for (const name of ['OPENAI_AGENTS_DONT_LOG_MODEL_DATA', 'OPENAI_AGENTS_DONT_LOG_TOOL_DATA']) {
    if (!isOff(name)) continue;
    report(
      'warning',
      'copies.logs',
      `Debug logs of the SDK contain content in this environment (${name} is off).`,
      `Remove ${name} from the environment of the application.`,
    );
  }
}
